"""Where configuration files are looked for. Kept small: the supervisor imports it."""

import os
from collections.abc import Iterator

OWN = "snakepit.toml"
SHARED = "pyproject.toml"

VARIABLE = "SNAKEPIT_CONFIG"
"""The environment variable that names the file."""


def may_have_table(data: bytes) -> bool:
    """Tell whether a pyproject.toml may have a table for Snakepit, without parsing it; the answer no is certain."""
    if b"snakepit" not in data:
        return False
    lines = [line.strip() for line in data.splitlines()]
    for line in lines:
        first = line.lstrip(b"[ \t\"'")
        if first.startswith(b"tool") and (b"snakepit" in line or first.rstrip(b"] \t\"'") == b"tool"):
            return True
    return False


def candidates(folder: str) -> Iterator[str]:
    """Yield the files of these names in a folder and in those above it, the nearest first.

    Nothing that follows a snakepit.toml counts. A pyproject.toml counts only if it has a table for Snakepit.
    """
    while folder:
        for name in (OWN, SHARED):
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                yield path
        parent = os.path.dirname(folder)
        folder = parent if parent != folder else ""

"""Placeholders in routes, and in options of the apps that are made for what stands in their place."""

import os
import re
import sys
from collections.abc import Iterable, Mapping

from snakepit.errors import ConfigError

PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
"""A whole label of a host, or a whole segment of a path; in options, any part of the text."""

_VALUE = re.compile(rb"[A-Za-z0-9_-]{1,63}")
_DEVICES = re.compile(r"(?i)con|prn|aux|nul|com[0-9]|lpt[0-9]")  # on Windows no folder can be called so


def read_value(text: bytes) -> str | None:
    """Return what stands in a request for a placeholder, if it may: letters, digits, `-`, `_`; 63 at most. Else None.

    It becomes part of the paths of files. So nothing that is special in a path, or looks like another letter, is let
    through, and that is found out before any file is looked at.
    """
    if _VALUE.fullmatch(text) is None:
        return None
    value = text.decode("ascii")
    return None if sys.platform == "win32" and _DEVICES.fullmatch(value) else value


def names(text: str) -> list[str]:
    """Return the names of the placeholders in a text, in their order."""
    return PLACEHOLDER.findall(text)


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put values in the place of placeholders; the text is otherwise kept as it is."""
    return PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def check_known(texts: Iterable[str], known: Iterable[str]) -> None:
    """Raise ConfigError if one of the texts has a placeholder that is not known."""
    known = list(known)
    for text in texts:
        for name in names(text):
            if name not in known:
                has = f"it has {', '.join(f'{{{each}}}' for each in known)}" if known else "it has none"
                raise ConfigError(f"{{{name}}} in {text!r} is no placeholder of the app's host and path: {has}")


def fixed_folder(pattern: str) -> str:
    """Return the folder in a path that is above its first placeholder; the path itself if it has none."""
    before, brace, _ = pattern.partition("{")
    return os.path.dirname(f"{before}x") if brace else pattern


def find(pattern: str, values: Mapping[str, str]) -> str | None:
    """Return the path that one with placeholders means; None if it leads to nothing.

    It must be below the folder above its first placeholder. Links are followed, and may not lead out of that.
    """
    if not names(pattern):
        return pattern
    root = os.path.realpath(fixed_folder(pattern))
    found = fill(pattern, values)
    path = os.path.realpath(found)
    below = path != root and os.path.commonpath([root, path]) == root
    return found if below and os.path.exists(path) else None

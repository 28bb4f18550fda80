"""Which files this process has open, on Linux."""

import os
from pathlib import Path

SHOWN = os.path.isdir("/proc/self/fd")
"""Whether this system shows that."""


def open_below(folder: Path) -> list[str]:
    """Return the files and folders below a folder that are open; none, where the system does not show it."""
    found = []
    for number in os.listdir("/proc/self/fd") if SHOWN else ():
        try:
            path = os.readlink(f"/proc/self/fd/{number}")
        except OSError:  # it was closed meanwhile
            continue
        if path.startswith(str(folder)):
            found.append(path)
    return found

"""Turns the path of a request into names of folders and a file, or refuses it. Pure: it looks at no disk.

Each name is decoded once and must be one that can only mean an entry of the folder before it, on any system: what is
refused on Windows is refused everywhere, so that a site that was tested on one system is as safe on another.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

MOST_NAMES = 64
"""The deepest path; a longer one is no file's."""

_NOT_ENCODED = re.compile(rb"%(?![0-9A-Fa-f]{2})")

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f/\\:]")
"""Control codes, separators of paths, and what begins an alternate data stream or follows a drive's letter."""

_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\xb9\xb2\xb3])[ ]*(?:\..*)?", re.IGNORECASE)
"""Names that Windows gives to devices, in each folder and with any extension."""

_SHORT = re.compile(r"[^.]{1,7}~[0-9]+(?:\..{0,3})?")
"""Names like GIT~1, by which Windows may know .git as well."""

_IGNORED = "".join(map(chr, (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF)))
"""Characters that a file system of macOS leaves out when it compares names."""

WELL_KNOWN = ".well-known"
"""The one name with a dot before it that is meant for all (RFC 8615)."""


class Names(NamedTuple):
    """The names on the way to a file, from the folder that is served."""

    names: tuple[str, ...]
    folder: bool
    """Whether a slash is at the end, so that a folder is meant."""


def read_path(path: bytes, windows: bool = False) -> Names | None:
    """Return the names in a path as it was sent, without the route and the slash after it; None: it is refused.

    `windows`: refuse short names, too.
    """
    if not path:
        return Names((), True)
    if _NOT_ENCODED.search(path):
        return None
    parts = path.split(b"/")
    folder = not parts[-1]
    if folder:
        parts.pop()
    if len(parts) > MOST_NAMES:
        return None
    names: list[str] = []
    for part in parts:
        try:
            name = unquote_to_bytes(part).decode("utf-8")
        except UnicodeDecodeError:
            return None
        if is_refused(name, windows) and not (name == WELL_KNOWN and not names):
            return None
        names.append(name)
    return Names(tuple(names), folder)


def is_refused(name: str, windows: bool = False) -> bool:
    """Tell whether nothing of this name is served: it is hidden, or no plain name of a file on every system."""
    return (
        not name
        or name.lstrip(_IGNORED).startswith(".")
        or name.endswith((".", " "))
        or _FORBIDDEN.search(name) is not None
        or _DEVICE.fullmatch(name) is not None
        or (windows and _SHORT.fullmatch(name) is not None)
    )

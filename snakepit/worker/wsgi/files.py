"""Finds the file of the operating system behind what an app gave to `wsgi.file_wrapper`, if there is one.

Many objects have a `fileno()` and read other bytes than that descriptor has: a `GzipFile` unpacks, a class of the app
may do anything. So the only ones that count are the standard library's binary files, and objects whose `read` is the
method of such a file itself, as that of Django's `File` is.
"""

import os
import stat
from io import BufferedRandom, BufferedReader, FileIO
from types import BuiltinMethodType
from typing import NamedTuple

_BUFFERED = BufferedReader, BufferedRandom


class Opened(NamedTuple):
    """A file that is open: its descriptor, name, device and inode, where its next byte is, and how many there are."""

    descriptor: int
    name: object
    device: int
    inode: int
    start: int
    size: int


def file_behind(filelike: object) -> Opened | None:
    """Return the file whose bytes are read from an object; None if there is none, or it has no more bytes.

    Files that the system makes as they are read (`/proc`) say that they have none.
    """
    read = getattr(filelike, "read", None)
    if not isinstance(read, BuiltinMethodType) or read.__name__ != "read":
        return None
    file: object = read.__self__
    try:
        if isinstance(file, BufferedRandom):
            file.flush()
        if isinstance(file, BufferedReader | BufferedRandom):
            if type(file) not in _BUFFERED or type(file.raw) is not FileIO:
                return None
        elif not isinstance(file, FileIO) or type(file) is not FileIO:
            return None
        descriptor = file.fileno()
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or not file.readable():
            return None
        start = file.tell()
    except (OSError, ValueError):  # it is closed, perhaps: reading it will say so
        return None
    size = status.st_size - start
    return Opened(descriptor, file.name, status.st_dev, status.st_ino, start, size) if size > 0 else None


def path_of(file: Opened) -> str | None:
    """Return the path under which a file was opened, which may lead elsewhere by now; None if it has no name."""
    return os.path.abspath(file.name) if isinstance(file.name, str) and file.inode else None

"""Open files, and folders that open them without leaving the folder that is served.

Where the system can, a folder is a descriptor, and what is in it is opened relative to it without following a symbolic
link: so nobody can exchange a name on the way between a check and the opening. On Windows, and where symbolic links may
be followed, a folder is a path; without links, the real path of what was opened is compared with the one that was
meant.
"""

import os
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import NamedTuple

BY_DESCRIPTOR = os.name == "posix" and os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
"""Whether folders can be descriptors here."""

# a named pipe would wait for somebody to write into it (O_NONBLOCK)
_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0)  # O_PATH: reading it need not be allowed


class Identity(NamedTuple):
    """What changes when a file does."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


class OpenFile:
    """A file that is open for reading, by several transfers perhaps: closed when the last of them has released it.

    Only `read` may be called in other threads; `close` there, once nobody else uses it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._users = 1
        self._turn = None if hasattr(os, "pread") else threading.Lock()  # to go to a place and read there

    def status(self) -> os.stat_result:
        """Return what the system says of it."""
        return os.fstat(self._descriptor)

    def share(self) -> None:
        """Note one more user."""
        self._users += 1

    def release(self) -> bool:
        """Note one user less; returns whether that was the last, so that the file is to be closed."""
        self._users -= 1
        return not self._users

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)

    def read(self, offset: int, size: int) -> bytes:
        """Read so many bytes from a place, or fewer if the file ends before. Raises OSError."""
        pieces: list[bytes] = []
        while size and (piece := self._read_some(offset, size)):
            pieces.append(piece)
            offset += len(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read_some(self, offset: int, size: int) -> bytes:
        if self._turn is None:
            return os.pread(self._descriptor, size, offset)
        with self._turn:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, size)


def identity(status: os.stat_result) -> Identity:
    """Return what changes when a file does."""
    return Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Entry(NamedTuple):
    """What stands in a folder."""

    name: str
    folder: bool


class Folder(ABC):
    """A folder that is open. Names are those of `names`: a single entry, never the way out. All raise OSError."""

    @abstractmethod
    def descend(self, name: str) -> "Folder":
        """Open a folder in it."""

    @abstractmethod
    def open(self, name: str) -> OpenFile:
        """Open a file in it. Raises IsADirectoryError for a folder."""

    @abstractmethod
    def entries(self, most: int) -> list[Entry]:
        """Return the files and folders in it that can be opened, so many at most, in no order."""

    @abstractmethod
    def close(self) -> None:
        """Close it."""


def open_folder(path: str, follow_links: bool) -> Folder:
    """Open the folder that is served, which may be a symbolic link itself. Raises OSError."""
    if BY_DESCRIPTOR and not follow_links:
        return FolderByDescriptor(os.open(path, _FOLDER))
    return FolderByPath(path if follow_links else os.path.realpath(path, strict=True), follow_links)


class FolderByDescriptor(Folder):
    """A folder as a descriptor, which follows no symbolic link."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def descend(self, name: str) -> Folder:
        return FolderByDescriptor(os.open(name, _FOLDER | _NO_LINK, dir_fd=self._descriptor))

    def open(self, name: str) -> OpenFile:
        return _file(os.open(name, _READ | _NO_LINK, dir_fd=self._descriptor))

    def entries(self, most: int) -> list[Entry]:
        descriptor = os.open(".", _READ, dir_fd=self._descriptor)
        try:
            with os.scandir(descriptor) as found:
                return _entries(found, most, follow_links=False)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


class FolderByPath(Folder):
    """A folder as a path; without `follow_links` it must be a real path."""

    def __init__(self, path: str, follow_links: bool) -> None:
        self._path = path
        self._follow_links = follow_links

    def descend(self, name: str) -> Folder:
        path = os.path.join(self._path, name)
        if not stat.S_ISDIR(os.stat(path).st_mode):
            raise NotADirectoryError(path)
        self._check(path)
        return FolderByPath(path, self._follow_links)

    def open(self, name: str) -> OpenFile:
        path = os.path.join(self._path, name)
        try:
            file = _file(os.open(path, _READ))
        except PermissionError:
            if os.path.isdir(path):  # on Windows
                self._check(path)
                raise IsADirectoryError(path) from None
            raise
        try:
            self._check(path)
        except OSError:
            file.close()
            raise
        return file

    def entries(self, most: int) -> list[Entry]:
        with os.scandir(self._path) as found:
            return _entries(found, most, self._follow_links)

    def close(self) -> None:
        """Do nothing: a path is not open."""

    def _check(self, path: str) -> None:
        """Raise FileNotFoundError if a symbolic link, or another name for the same, leads elsewhere."""
        if not self._follow_links and os.path.normcase(os.path.realpath(path)) != os.path.normcase(path):
            raise FileNotFoundError(path)


def open_named(path: str) -> tuple[OpenFile, int]:
    """Open a file by any path; returns it, and its size. Raises OSError."""
    file = _file(os.open(path, _READ))
    return file, file.status().st_size


def open_again(source: int | str, device: int, inode: int) -> tuple[OpenFile, int]:
    """Open a file that an app has open, by its descriptor, in the same process, or its path; returns also its size.

    Raises OSError, also if this leads to another file by now.
    """
    file = _file(os.open(source, _READ) if isinstance(source, str) else os.dup(source))
    status = file.status()
    if (status.st_dev, status.st_ino) != (device, inode):
        file.close()
        raise FileNotFoundError("it is another file")
    return file, status.st_size


def _file(descriptor: int) -> OpenFile:
    """Return a file from its descriptor, if it is one that has bytes. Raises OSError."""
    file = OpenFile(descriptor)
    mode = file.status().st_mode
    if stat.S_ISREG(mode):
        return file
    file.close()
    raise IsADirectoryError("it is a folder") if stat.S_ISDIR(mode) else FileNotFoundError("it is no file")


def _entries(found: Iterable[os.DirEntry[str]], most: int, follow_links: bool) -> list[Entry]:
    listed: list[Entry] = []
    for entry in found:
        try:
            folder = entry.is_dir(follow_symlinks=follow_links)
            if folder or entry.is_file(follow_symlinks=follow_links):
                listed.append(Entry(entry.name, folder))
        except OSError:
            continue  # it has gone meanwhile
        if len(listed) == most:
            break
    return listed

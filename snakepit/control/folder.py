"""The folder in which the running servers of one user have their entries, and their control sockets.

Users who can read and write in it may give commands, so it must belong to one user alone. A process that changes it, or
reads several files that belong together, holds its lock meanwhile, for milliseconds.
"""

import errno
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from snakepit.control.client import is_gone, is_left_over
from snakepit.control.entry import Entry
from snakepit.errors import ConfigError
from snakepit.system.locks import try_lock
from snakepit.system.private_folders import trouble_with

LOCK_SECONDS = 10.0
"""Seconds to wait for the lock: more than it takes to find out that a server does not answer."""

_LOCK = "lock"
_RECORD = ".json"
_SOCKET = ".sock"
_UNFINISHED = ".new"


def places() -> list[Path]:
    """Return the paths where servers may have their folder, the best one first.

    There are two, since a command may run in a login session, and the server of the same user outside of any.
    """
    try:
        temporary = [Path(tempfile.gettempdir())]
    except OSError:  # none can be written to
        temporary = []
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return [folder / "snakepit" / "run" for folder in ([Path(local)] if local else temporary)]
    found = [folder / f"snakepit-{os.geteuid()}" for folder in temporary]
    session = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(session):
        found.insert(0, Path(session) / "snakepit")
    return found


class Folder:
    """A folder that exists and is safe. Raises ConfigError if it is unsafe, FileNotFoundError if it does not exist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        _check(path)

    @classmethod
    def make(cls) -> "Folder":
        """Return the folder at the first usable path, and create it if necessary. Raises ConfigError."""
        troubles = []
        found = places()
        if not found:
            raise ConfigError("no folder for control sockets: none for temporary files can be written to; set TMPDIR")
        for path in found:
            try:
                with suppress(FileExistsError):
                    if sys.platform == "win32":
                        path.parent.mkdir(exist_ok=True)
                    path.mkdir(0o700)
                return cls(path)
            except OSError as error:
                troubles.append(f"{path} can't be made: {error.strerror or error}")
            except ConfigError as error:
                troubles.append(str(error))
        raise ConfigError(f"no folder for control sockets: {'; '.join(troubles)}")

    @contextmanager
    def locked(self, patience: float = LOCK_SECONDS) -> Iterator[None]:
        """Lock the folder for other processes within this block. Raises OSError if the lock can't be taken in time."""
        with (self.path / _LOCK).open("ab") as file:
            until = time.monotonic() + patience
            while not try_lock(file):
                if time.monotonic() >= until:
                    raise OSError(errno.EBUSY, "another process holds its lock", str(self.path))
                time.sleep(0.005)
            yield

    def socket_path(self, id: str) -> str:
        """Return the path of the Unix socket of the server with this id."""
        return str(self.path / f"{id}{_SOCKET}")

    def entries(self) -> list[Entry]:
        """Yield the entries of servers, whether or not they still run."""
        return [entry for entry in map(_read, sorted(self.path.glob(f"*{_RECORD}"))) if entry is not None]

    def entry(self, key: int) -> Entry | None:
        """Return the entry with this key."""
        return _read(self._record(key))

    def put(self, entry: Entry) -> None:
        """Write an entry; it replaces one with the same key, in one step."""
        unfinished = self.path / f"{entry.id}{_UNFINISHED}"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(entry.dump())
        os.replace(unfinished, self._record(entry.key))

    def keep(self, entry: Entry) -> None:
        """Refresh the times of an entry's files; otherwise the system could delete them as old temporary files."""
        record = self._record(entry.key)
        found = _read(record)
        if found is None:
            self.put(entry)
        for path in (str(record) if found == entry else "", entry.path):
            if path:
                os.utime(path)

    def remove(self, entry: Entry) -> None:
        """Remove an entry's files, but not those of an entry that has taken its place."""
        record = self._record(entry.key)
        found = _read(record)
        if found is None or found.id == entry.id:
            record.unlink(missing_ok=True)
        if entry.path:
            Path(entry.path).unlink(missing_ok=True)

    def clean(self, key: int) -> None:
        """Remove the files of killed servers, except the entry with this key, which is about to be replaced."""
        used = set()
        for entry in self.entries():
            if entry.key == key:
                continue
            if is_gone(entry):
                self.remove(entry)
            else:
                used.add(entry.path)
        for path in self.path.glob(f"*{_SOCKET}"):
            if str(path) not in used and is_left_over(str(path)):
                path.unlink(missing_ok=True)
        for path in self.path.glob(f"*{_UNFINISHED}"):
            path.unlink(missing_ok=True)

    def _record(self, key: int) -> Path:
        return self.path / f"{key}{_RECORD}"


def _read(path: Path) -> Entry | None:
    try:
        return Entry.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _check(path: Path) -> None:
    trouble = trouble_with(path)
    if trouble is not None:
        raise ConfigError(trouble)

"""The folder of this process in which workers keep private copies of extension files.

`snakepit.worker.extensions.loader` makes the copies. The folder belongs to the user alone (0700) and is removed at the
end. A process that dies can't remove its folder, so the next one that starts does: each folder holds a locked file, and
if the lock can be taken, the process that held it is dead.
"""

import os
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from snakepit.system.locks import try_lock

PREFIX = "snakepit-extensions-"
_LOCK = "lock"
_YOUNG = 60.0  # seconds; a younger folder without a lock may belong to a process that is just creating it


class CopiesFolder:
    """The folder of this process, below the folder for temporary files. Raises OSError if it can't be created."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix=PREFIX)
        self._lock = (Path(self.path) / _LOCK).open("wb")
        try_lock(self._lock)

    def remove(self) -> None:
        """Delete the folder. Loaded modules stay loaded; on Windows their files stay until the next start."""
        self._lock.close()
        shutil.rmtree(self.path, ignore_errors=True)


def remove_left_over() -> list[str]:
    """Delete the folders of dead processes of this user; returns which."""
    removed = []
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if _is_ours(folder) and _is_left_over(folder):
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(str(folder))
    return removed


def _is_ours(folder: Path) -> bool:
    found = folder.lstat()
    return folder.is_dir() and not folder.is_symlink() and (sys.platform == "win32" or found.st_uid == os.getuid())


def _is_left_over(folder: Path) -> bool:
    try:
        file = (folder / _LOCK).open("r+b")
    except FileNotFoundError:
        return time.time() - folder.stat().st_mtime > _YOUNG
    with file:
        return try_lock(file)

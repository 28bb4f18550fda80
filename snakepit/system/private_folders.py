"""Folders and files with secrets: they must belong to one user alone."""

import os
import secrets
import stat
import sys
from pathlib import Path

UNFINISHED = ".new"
"""How the names of files end that are being written, and begin with a dot."""


def trouble_with(path: Path) -> str | None:
    """Return why a folder is not safe, with the remedy; None if it is. Raises OSError if it can't be looked at."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return f"{path} is a symbolic link; remove it"
    if not stat.S_ISDIR(found.st_mode):
        return f"{path} is not a folder; remove it"
    if sys.platform == "win32":
        return None  # below LOCALAPPDATA everything belongs to the user alone
    if found.st_uid != os.geteuid():
        return f"{path} belongs to another user (uid {found.st_uid})"
    if found.st_mode & 0o077:
        return f"{path} is open to other users (mode {stat.S_IMODE(found.st_mode):03o}): chmod 700 it"
    return None


def write_secret(path: Path, data: bytes) -> None:
    """Write a file that only this user can read, or replace it, in one step, so that it is never half there.

    It is on the disk when this returns. Raises OSError.
    """
    unfinished = path.with_name(f".{secrets.token_hex(8)}{UNFINISHED}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)

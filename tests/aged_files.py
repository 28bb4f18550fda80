"""Files that were not written just now: a server that is asked for one may rely on its time."""

import os
from pathlib import Path
from time import time_ns


def write_aged(path: Path, content: bytes = b"content", age: int = 60) -> Path:
    """Write a file, with its folders, as if that had been so many seconds ago; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    at = time_ns() - age * 10**9
    os.utime(path, ns=(at, at))
    return path

"""Threads for what may wait for a disk, so that the event loop never does."""

import asyncio
from typing import TYPE_CHECKING

from snakepit.server.event_loop.threads import Threads

if TYPE_CHECKING:
    from snakepit.server.responders.static_files.files import OpenFile

MOST_THREADS = 4
"""Threads of one route: enough that a disk has something to do, and few, as all share the main interpreter's GIL."""


class DiskThreads(Threads):
    """Threads that read files, and close them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, most: int = MOST_THREADS) -> None:
        super().__init__(loop, name, most)

    def release(self, file: "OpenFile") -> None:
        """Note that a file has one user less; if it was the last, close the file in a thread."""
        if file.release():
            self.run(file.close, lambda result: None)

"""Threads for what may wait for a disk, so that the event loop never does."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snakepit.server.responders.static_files.files import OpenFile

MOST_THREADS = 4
"""Threads of one route: enough that a disk has something to do, and few, as all share the main interpreter's GIL."""


class DiskThreads:
    """A few threads that begin when they are needed.

    They are daemons: a thread that waits for a network drive which does not answer must not keep the process from
    ending. All methods are for the loop's thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, most: int = MOST_THREADS) -> None:
        self._loop = loop
        self._name = name
        self._most = most
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None] = SimpleQueue()
        self._count = 0  # threads
        self._busy = 0  # jobs that were given out and have not come back
        self._closed = False

    def run[T](self, work: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        """Run `work` in a thread, and `then`, in the loop, with what it returned, or with its exception."""
        if self._closed:
            then(_done(work))
            return
        self._busy += 1
        if self._busy > self._count and self._count < self._most:
            self._count += 1
            name = f"{self._name}-{self._count}"
            threading.Thread(target=self._serve, args=(self._jobs,), name=name, daemon=True).start()
        self._jobs.put((work, then))

    def release(self, file: "OpenFile") -> None:
        """Note that a file has one user less; if it was the last, close the file in a thread."""
        if file.release():
            self.run(file.close, lambda result: None)

    def close(self) -> None:
        """End the threads once they have done what they were given. Later jobs run at once."""
        self._closed = True
        for _ in range(self._count):
            self._jobs.put(None)

    def _serve(self, jobs: "SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None]") -> None:
        while (job := jobs.get()) is not None:
            work, then = job
            result = _done(work)
            try:
                self._loop.call_soon_threadsafe(self._came, then, result)
            except RuntimeError:  # the loop is closed
                return
            del job, work, then, result  # nothing stays alive while this waits

    def _came(self, then: Callable[[Any], None], result: Any) -> None:
        self._busy -= 1
        then(result)


def _done[T](work: Callable[[], T]) -> T | Exception:
    try:
        return work()
    except Exception as error:  # whoever wants the result says what becomes of it
        return error

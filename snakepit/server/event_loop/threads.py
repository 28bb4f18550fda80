"""Threads for work that would hold up the event loop."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any


class Threads:
    """A few threads that begin when they are needed.

    They are daemons: a thread that waits for a network drive which does not answer must not keep the process from
    ending. All methods are for the loop's thread.

    Args:
        name: of the threads, which a number follows.
        most: threads at once.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, most: int) -> None:
        self.busy = 0
        """Jobs that were given out and have not come back."""
        self._loop = loop
        self._name = name
        self._most = most
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None] = SimpleQueue()
        self._count = 0  # threads
        self._closed = False

    def run[T](self, work: Callable[[], T], then: Callable[[T | Exception], None]) -> None:
        """Run `work` in a thread, and `then`, in the loop, with what it returned, or with its exception.

        Where the system allows not even one thread, the work is done at once.
        """
        if self._closed:
            then(_done(work))
            return
        if self.busy >= self._count and self._count < self._most:
            self._begin_thread()
        self.busy += 1
        if self._count:
            self._jobs.put((work, then))
        else:
            self._loop.call_soon(self._came, then, _done(work))

    def close(self) -> None:
        """End the threads once they have done what they were given. Later jobs run at once."""
        self._closed = True
        for _ in range(self._count):
            self._jobs.put(None)

    def _begin_thread(self) -> None:
        name = f"{self._name}-{self._count + 1}"
        try:
            threading.Thread(target=self._serve, args=(self._jobs,), name=name, daemon=True).start()
        except RuntimeError:  # the system allows no more: the job waits for another thread
            return
        self._count += 1

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
        self.busy -= 1
        then(result)


def _done[T](work: Callable[[], T]) -> T | Exception:
    try:
        return work()
    except Exception as error:  # whoever wants the result says what becomes of it
        return error

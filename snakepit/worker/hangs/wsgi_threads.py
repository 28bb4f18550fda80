"""Ends hanging code in the worker of a WSGI app; see `snakepit.worker.hangs.contract`."""

import threading
import time
from collections.abc import Collection
from types import CodeType

from snakepit.errors import Interrupted
from snakepit.wire.ends import BlockingEnd
from snakepit.wire.envelopes import Envelope
from snakepit.worker.hangs.contract import NOTHING


class RunningThreads:
    """The threads of a WSGI app, and the exchange that each runs.

    Each thread notes when it enters the app and leaves it. The watchdog takes a thread's entry out while it raises an
    exception there, and a thread that leaves waits for that. So nothing is ever raised in a thread that has left.
    """

    def __init__(self, callers: Collection[CodeType], ends: Collection[BlockingEnd] = ()) -> None:
        self._callers = callers
        self._ends = ends  # of the threads' channels
        self._running: dict[int, int] = {}  # by exchange: the thread
        self._raised: set[int] = set()  # exchanges in whose threads an exception was raised
        self._at = 0  # the exchange whose entry is taken out

    def enter(self, number: int) -> None:
        """Note that the calling thread calls the app."""
        self._running[number] = threading.get_ident()

    def leave(self, number: int) -> None:
        """Note that the calling thread has left the app. A pending exception is never raised in it."""
        while True:
            try:
                if self._running.pop(number, None) is not None and number not in self._raised:
                    return
                while self._at == number:
                    time.sleep(0.0005)
                self._running.pop(number, None)
                if number in self._raised:
                    from snakepit.worker.hangs import threads

                    threads.clear(threading.get_ident())
                    self._raised.discard(number)
                return
            except Interrupted:
                pass  # it came too late to end anything

    def end_exchange(self, number: int, error: type[Interrupted], again: bool = False) -> tuple[str, bool] | None:
        """Raise in the thread that runs an exchange, if it is in the app's code; once, unless `again`."""
        from snakepit.stacks import thread_frames
        from snakepit.worker.hangs import threads

        self._at = number
        try:
            ident = self._running.pop(number, None)
            if ident is None:
                return NOTHING
            try:
                if number in self._raised and not again:
                    return NOTHING
                frame = thread_frames.frame_of(ident)
                where = thread_frames.stack(frame)
                if not threads.is_in_app(frame, self._callers):
                    return None
                self._raised.add(number)
                threads.raise_in(ident, error)
            finally:
                self._running[number] = ident
        finally:
            self._at = 0
        return threads.text(where), False

    def release(self, upto: int) -> list[Envelope]:
        """Send what the threads keep, each by its own channel; they keep no answers up to this exchange any more."""
        for end in self._ends:
            end.release(upto)
        return []

    def end_all(self, error: type[Interrupted], again: bool) -> None:
        """Raise in every thread that runs the app's code."""
        for number in list(self._running):
            self.end_exchange(number, error, again)

    def start_stack(self) -> str:
        """Return nothing: there is no start-up."""
        return ""

"""Ends an import of the app that hangs; see `snakepit.worker.hangs.contract`."""

import threading
import time
from collections.abc import Collection
from types import CodeType

from snakepit.errors import Interrupted
from snakepit.wire.envelopes import Envelope
from snakepit.worker.hangs.contract import NOTHING


class RunningImport:
    """The import of the app, in the thread that created this object.

    That thread notes when the import is over, and waits if the watchdog is about to raise in it. So nothing is raised
    later.
    """

    def __init__(self, callers: Collection[CodeType]) -> None:
        self._callers = callers
        self._ident = threading.get_ident()
        self._over = False
        self._looking = False  # the watchdog is about to raise
        self._raised = False

    def leave(self) -> None:
        """Note that the import is over. A pending exception is never raised in its thread."""
        while True:
            try:
                self._over = True
                while self._looking:
                    time.sleep(0.0005)
                if self._raised:
                    from snakepit.worker.hangs import threads

                    threads.clear(self._ident)
                return
            except Interrupted:
                pass  # it came too late to end anything

    def end_exchange(self, number: int, error: type[Interrupted]) -> tuple[str, bool] | None:
        """Do nothing: there are no exchanges yet."""
        return NOTHING

    def release(self, upto: int) -> list[Envelope]:
        """Return nothing."""
        return []

    def end_all(self, error: type[Interrupted], again: bool) -> None:
        """Raise an exception in the thread, if it runs the app's code."""
        from snakepit.stacks import thread_frames
        from snakepit.worker.hangs import threads

        self._looking = True
        try:
            if not self._over and threads.is_in_app(thread_frames.frame_of(self._ident), self._callers):
                self._raised = True
                threads.raise_in(self._ident, error)
        finally:
            self._looking = False

    def start_stack(self) -> str:
        """Return the stack of the import."""
        from snakepit.stacks import thread_frames
        from snakepit.worker.hangs import threads

        return threads.text_of_import(thread_frames.stack(thread_frames.frame_of(self._ident)))

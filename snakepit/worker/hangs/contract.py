"""What hangs in a worker, and how it is ended: by an exception that is raised in it.

It is raised only where the app's code runs. In Snakepit's own, a thread waits for the client or for room in a channel,
and is told by its channel.

Here is how that is done for a WSGI app; for an ASGI app, see `snakepit.worker.hangs.asgi_tasks`.
"""

import threading
import time
from collections.abc import Collection
from types import CodeType
from typing import Protocol

from snakepit.errors import Interrupted
from snakepit.wire.envelopes import Envelope

NOTHING = "", False
"""What `end_exchange` returns where nothing runs for an exchange."""


class Hung(Protocol):
    """What a watchdog needs to know of what its worker does."""

    def end_exchange(self, number: int, error: type[Interrupted], /) -> tuple[str, bool] | None:
        """End what is done for an exchange.

        Returns what ran there and whether that was aside, as in `envelopes.seen_to`; None: something does, and has to
        be looked at later.
        """

    def held_up(self) -> list[Envelope]:
        """Take what was answered and can't leave, and what was taken and can't begin; for the caller to send."""

    def end_all(self, error: type[Interrupted], again: bool, /) -> None:
        """End whatever runs; `again`: also what went on after it had been ended."""

    def start_stack(self) -> str:
        """Where the start is, for people; empty if that can't be told, or the worker has started."""


class Loading:
    """The import of the app, in the thread that made this.

    That thread says when the import is over, and waits for whoever is about to raise in it. So nothing is raised later.
    """

    def __init__(self, callers: Collection[CodeType]) -> None:
        self._callers = callers
        self._ident = threading.get_ident()
        self._over = False
        self._looking = False  # somebody is about to raise
        self._raised = False

    def leave(self) -> None:
        """The import is over. From here on nothing is raised in its thread, and what was not raised yet never is."""
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
        """Nothing: there are none yet."""
        return NOTHING

    def held_up(self) -> list[Envelope]:
        """Nothing."""
        return []

    def end_all(self, error: type[Interrupted], again: bool) -> None:
        """Raise in the thread, if it runs the app's code."""
        from snakepit.worker.hangs import threads

        self._looking = True
        try:
            if not self._over and threads.is_in_app(threads.frame_of(self._ident), self._callers):
                self._raised = True
                threads.raise_in(self._ident, error)
        finally:
            self._looking = False

    def start_stack(self) -> str:
        """Where the import is."""
        from snakepit.worker.hangs import threads

        return threads.text_of_import(threads.stack(threads.frame_of(self._ident)))


class Seats:
    """The threads of a WSGI app, and the exchange that each is at.

    Each thread says when it enters the app and leaves it. Whoever raises in one takes its entry out first, for as long
    as that takes, and a thread that leaves waits for that. So nothing is ever raised in a thread that has left.
    """

    def __init__(self, callers: Collection[CodeType]) -> None:
        self._callers = callers
        self._running: dict[int, int] = {}  # by exchange: the thread
        self._raised: set[int] = set()  # exchanges in whose threads an exception was raised
        self._at = 0  # the exchange whose entry is taken out

    def enter(self, number: int) -> None:
        """The calling thread calls the app."""
        self._running[number] = threading.get_ident()

    def leave(self, number: int) -> None:
        """The calling thread is back. From here on nothing is raised in it, and what was not raised yet never is."""
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
        """Raise in the thread that is at an exchange, if it runs the app's code; once, unless `again`."""
        from snakepit.worker.hangs import threads

        self._at = number
        try:
            ident = self._running.pop(number, None)
            if ident is None:
                return NOTHING
            try:
                if number in self._raised and not again:
                    return NOTHING
                frame = threads.frame_of(ident)
                where = threads.stack(frame)
                if not threads.is_in_app(frame, self._callers):
                    return None
                self._raised.add(number)
                threads.raise_in(ident, error)
            finally:
                self._running[number] = ident
        finally:
            self._at = 0
        return threads.text(where), False

    def held_up(self) -> list[Envelope]:
        """Nothing: each thread sends for itself."""
        return []

    def end_all(self, error: type[Interrupted], again: bool) -> None:
        """Raise in every thread that runs the app's code."""
        for number in list(self._running):
            self.end_exchange(number, error, again)

    def start_stack(self) -> str:
        """Nothing: there is no start-up."""
        return ""

"""What hangs in a worker, and how it is ended: by an exception that is raised in it.

It is raised only where the app's code runs. In Snakepit's own, a thread waits for the client or for room in a channel,
and is told by its channel.
"""

import asyncio
import functools
import threading
import time
from asyncio import events
from collections.abc import Collection, Iterable
from contextvars import Context, ContextVar
from types import BuiltinMethodType, CodeType, FrameType
from typing import Any, Protocol

from snakepit.errors import Interrupted

EXCHANGE: ContextVar[int] = ContextVar("snakepit_exchange")
"""The number of the exchange that a task, or what it started, works for; kept only where requests may time out."""


_NOTHING = "", False


class Hung(Protocol):
    """What a watchdog needs to know of what its worker does."""

    def end_exchange(self, number: int, error: type[Interrupted], /) -> tuple[str, bool] | None:
        """End what is done for an exchange.

        Returns what ran there and whether that was aside, as in `envelopes.seen_to`; None: look again later.
        """

    def end_all(self, error: type[Interrupted], again: bool, /) -> None:
        """End whatever runs; `again`: also what went on after it had been ended."""


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
                    from snakepit.worker import threads

                    threads.clear(threading.get_ident())
                    self._raised.discard(number)
                return
            except Interrupted:
                pass  # it came too late to end anything

    def end_exchange(self, number: int, error: type[Interrupted], again: bool = False) -> tuple[str, bool] | None:
        """Raise in the thread that is at an exchange, if it runs the app's code; once, unless `again`."""
        from snakepit.worker import threads

        self._at = number
        try:
            ident = self._running.pop(number, None)
            if ident is None:
                return _NOTHING
            try:
                if number in self._raised and not again:
                    return _NOTHING
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

    def end_all(self, error: type[Interrupted], again: bool) -> None:
        """Raise in every thread that runs the app's code."""
        for number in list(self._running):
            self.end_exchange(number, error, again)


class Tasks:
    """The event loop of an ASGI app, and the threads that its exchanges have started."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callers: Collection[CodeType]) -> None:
        self._loop = loop
        self._ident = threading.get_ident()
        self._callers = {*callers, events.Handle._run.__code__}
        self.stopping = False  # the loop has turned since it was told to stop, and cancelled what it had

    def end_exchange(self, number: int, error: type[Interrupted]) -> tuple[str, bool] | None:
        """Raise in the loop's thread if it is at this exchange, or else in those that work for it."""
        from snakepit.worker import threads

        task = asyncio.current_task(self._loop)
        if task is not None and task.get_context().get(EXCHANGE) == number:
            frame = threads.frame_of(self._ident)
            where = threads.stack(frame)
            if not threads.is_in_app(frame, self._callers):
                return None
            threads.raise_in(self._ident, error)
            return threads.text(where), False
        found = []
        for ident, frame in threads.frames():
            if ident != self._ident and number in _exchanges(frame):
                found.append(threads.stack(frame))
                threads.raise_in(ident, error)
        return "\n".join(map(threads.text, found)), bool(found)

    def end_all(self, error: type[Interrupted], again: bool) -> None:
        """Raise in the loop's thread, unless it has cancelled all itself, and in those that work for exchanges."""
        from snakepit.worker import threads

        turn = vars(asyncio.BaseEventLoop)["_run_once"].__code__  # where it waits, or looks for what is next
        for ident, frame in threads.frames():
            if ident == self._ident:
                hangs = (again or not self.stopping) and threads.is_in_app(frame, self._callers, (turn,))
            else:
                hangs = bool(_exchanges(frame))
            if hangs:
                threads.raise_in(ident, error)


def _exchanges(frame: FrameType | None) -> set[int]:
    """The exchanges that a thread works for: somewhere in it, something runs in a copy of their context.

    That is how asyncio, anyio and asgiref have functions called in threads.
    """
    found: set[int] = set()
    while frame is not None:
        for value in frame.f_locals.values():
            found.update(context[EXCHANGE] for context in _contexts(value) if EXCHANGE in context)
        frame = frame.f_back
    return found


def _contexts(value: Any) -> Iterable[Context]:
    kind = type(value)  # not isinstance(), and no attributes of whatever it is: there are objects that stand for others
    if kind is Context:
        yield value
    elif kind is functools.partial:
        for part in (value.func, *value.args):
            yield from _contexts(part)
    elif kind is BuiltinMethodType and type(value.__self__) is Context:  # its run()
        yield value.__self__

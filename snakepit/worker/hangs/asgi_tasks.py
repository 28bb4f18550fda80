"""Ends hanging code in the worker of an ASGI app; see `snakepit.worker.hangs.contract`.

The context in which a thread's code runs (PEP 567) shows the exchange that it works for: tasks inherit it from the
exchange's own task, and so do functions that they call in threads.
"""

import asyncio
import functools
import sys
import threading
from asyncio import events
from collections.abc import Callable, Collection, Iterable, Iterator
from contextvars import Context, ContextVar
from types import BuiltinMethodType, CodeType, FrameType
from typing import Any

from snakepit.errors import Interrupted
from snakepit.wire.envelopes import Envelope
from snakepit.worker.hangs.contract import NOTHING

if sys.version_info < (3, 14):
    from concurrent.futures.thread import _WorkItem

CURRENT_EXCHANGE: ContextVar[int] = ContextVar("snakepit_exchange")
"""The number of the exchange for which code runs; set only if requests may time out."""


class RunningTasks:
    """The event loop of an ASGI app, and the threads that its exchanges use.

    `start_up`: gives the task of the app's lifespan, once there is one.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        held_up: Callable[[], list[Envelope]],
        callers: Collection[CodeType],
        start_up: Callable[[], "asyncio.Task[None] | None"] = lambda: None,
    ) -> None:
        self._loop = loop
        self._start_up = start_up
        self._held_up = held_up
        self._ident = threading.get_ident()
        self._callers = {*callers, events.Handle._run.__code__}
        self.cancelled: set[int] = set()  # exchanges that the loop has cancelled because they timed out
        self.stopping = False  # the loop has turned since it was told to stop, and cancelled what it had

    def release(self, upto: int) -> list[Envelope]:
        """Return what was answered in this turn and what was not begun."""
        return self._held_up()

    def current(self) -> int:
        """Return the exchange that the loop runs now, from any thread; 0 if that is not known."""
        task = asyncio.current_task(self._loop)
        return 0 if task is None else task.get_context().get(CURRENT_EXCHANGE, 0)

    def end_exchange(self, number: int, error: type[Interrupted]) -> tuple[str, bool] | None:
        """Raise an exception in the threads that work for this exchange, or else in the loop's, if it runs the
        exchange.

        A task that the loop has cancelled may be ending just now, so it is spared once. A thread that is about to call
        the app's function, or has called it, is left alone: it belongs to a pool, which would not notice its end.
        """
        from snakepit.stacks import thread_frames
        from snakepit.worker.hangs import threads

        found, is_near = [], False
        for ident, frame in thread_frames.frames():
            if ident == self._ident:
                continue
            contexts = [context for context in _contexts_in(frame) if context[CURRENT_EXCHANGE] == number]
            where = thread_frames.stack(frame) if contexts else []
            if any(threads.raise_within(context, ident, error) for context in contexts):
                found.append(where)
            elif contexts:
                is_near = True
        if found:
            return "\n".join(map(threads.text, found)), True
        if self.current() != number:
            return None if is_near else NOTHING
        at = thread_frames.frame_of(self._ident)
        where = thread_frames.stack(at)
        if number in self.cancelled or not threads.is_in_app(at, self._callers) or self.current() != number:
            self.cancelled.discard(number)
            return None
        threads.raise_in(self._ident, error)
        return threads.text(where), False

    def end_all(self, error: type[Interrupted], again: bool) -> None:
        """Raise in threads that work for exchanges, and in the loop's, unless the loop itself has cancelled all."""
        from snakepit.stacks import thread_frames
        from snakepit.worker.hangs import threads

        turn = vars(asyncio.BaseEventLoop)["_run_once"].__code__  # where it waits, or selects the next event
        for ident, frame in thread_frames.frames():
            if ident != self._ident:
                any(threads.raise_within(context, ident, error) for context in _contexts_in(frame))
            elif (again or not self.stopping) and threads.is_in_app(frame, self._callers, (turn,)):
                threads.raise_in(ident, error)

    def start_stack(self) -> str:
        """Return the stack of the lifespan start-up: of the code that the loop runs, or of what the task waits for."""
        from snakepit.stacks import awaiting, thread_frames
        from snakepit.worker.hangs import threads

        at = thread_frames.stack(thread_frames.frame_of(self._ident))
        if any(summary.name == "_run" and summary.filename == events.__file__ for summary in at):
            return threads.text(at)
        task = self._start_up()
        return "" if task is None else threads.text(awaiting.stack_of(task))


def _contexts_in(frame: FrameType | None) -> Iterator[Context]:
    """Find the copies of exchanges' contexts in which a thread runs functions, or is about to, or did so just now.

    asyncio, anyio and asgiref call functions in threads like this.
    """
    while frame is not None:
        for value in frame.f_locals.values():
            for context in _contexts(value):
                if CURRENT_EXCHANGE in context:
                    yield context
        frame = frame.f_back


def _contexts(value: Any) -> Iterable[Context]:
    kind = type(value)  # not isinstance(), and no attribute access: some objects are proxies for others
    if kind is Context:
        yield value
    elif kind is functools.partial:
        for part in (value.func, *value.args):
            yield from _contexts(part)
    elif sys.version_info < (3, 14) and kind is _WorkItem:  # later versions have the context in a frame of its own
        for part in (value.fn, *value.args):
            yield from _contexts(part)
    elif kind is BuiltinMethodType and type(value.__self__) is Context:  # its run()
        yield value.__self__

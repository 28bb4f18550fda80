"""One stack of a snapshot, as it crosses to the main interpreter."""

from collections.abc import Iterable, Sequence
from types import FrameType
from typing import Any, NamedTuple

from snakepit.stacks.machinery import PACKAGE, Call, ours

MOST_CALLS = 120
"""The most calls of a stack: the outermost third and the innermost two."""

type Sample = tuple[str, list[int], float]
"""A thread's name, the positions of its calls in the list of all, the outermost first, and seconds."""

type Sampled = tuple[list[Call], list[Sample]]
"""All calls, and what was sampled."""

_RUNS_EXCHANGE = "AsgiExchange.run", "WsgiExchange.run"


class Stack(NamedTuple):
    """Where a thread or a task is. As a plain tuple it may cross to another interpreter.

    `kind` is "thread" or "task", `exchange` the number of the one that it works for, or 0; `tasks` how many tasks are
    there; `waits_for` what a task waits for besides its own calls; `calls` the outermost first, `ours` which of them
    are not the app's.
    """

    kind: str
    name: str
    ident: int
    exchange: int
    tasks: int
    waits_for: str
    calls: list[Call]
    ours: list[bool]

    @property
    def is_idle(self) -> bool:
        """Whether nothing of the app is on it."""
        return all(self.ours)


def packed(stacks: Iterable[Stack]) -> list[tuple[Any, ...]]:
    """Return stacks as plain tuples."""
    return [tuple(stack) for stack in stacks]


def unpacked(stacks: Iterable[tuple[Any, ...]]) -> list[Stack]:
    """Return stacks that crossed as plain tuples."""
    return [Stack(*stack) for stack in stacks]


def stack_of(
    kind: str, name: str, ident: int, frames: Sequence[FrameType], is_thread: bool = True, waits_for: str = ""
) -> Stack:
    """Make a stack of these frames, the outermost first; `is_thread` as for `machinery.ours`."""
    calls = [(frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_qualname) for frame in frames]
    exchange, led = exchange_in(frames)
    shown = ours(calls, is_thread, led)
    return Stack(kind, name, ident, exchange, 1, waits_for, _shortened(calls), _shortened(shown))


def exchange_in(frames: Sequence[FrameType]) -> tuple[int, int]:
    """Return the exchange for which these frames, the outermost first, call the app, and how many of them lead to it.

    Zeros: they do not.
    """
    for at, frame in enumerate(frames, start=1):
        code = frame.f_code
        if code.co_qualname in _RUNS_EXCHANGE and code.co_filename.startswith(PACKAGE):
            number = getattr(frame.f_locals.get("self"), "number", 0)
            if isinstance(number, int):
                return number, at
    return 0, 0


def _shortened[T](calls: list[T]) -> list[T]:
    if len(calls) <= MOST_CALLS:
        return calls
    return calls[: MOST_CALLS // 3] + calls[-(MOST_CALLS - MOST_CALLS // 3) :]

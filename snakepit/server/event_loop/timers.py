"""Timers for workers, one for each number."""

import asyncio
from collections.abc import Callable


class Timers:
    """One timer for each number."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handles: dict[int, asyncio.TimerHandle] = {}

    @property
    def numbers(self) -> set[int]:
        """The numbers that have a timer."""
        return set(self._handles)

    def start[*Ts](self, number: int, seconds: float, call: Callable[[*Ts], None], *args: *Ts) -> None:
        """Call back after so many seconds, instead of an earlier timer of this number."""
        self.forget(number)
        self._handles[number] = self._loop.call_later(seconds, self._run, number, call, args)

    def forget(self, number: int) -> None:
        """Cancel the timer of this number."""
        handle = self._handles.pop(number, None)
        if handle is not None:
            handle.cancel()

    def close(self) -> None:
        """Cancel all timers."""
        for number in list(self._handles):
            self.forget(number)

    def _run[*Ts](self, number: int, call: Callable[[*Ts], None], args: tuple[*Ts]) -> None:
        del self._handles[number]
        call(*args)

"""Measures how late an event loop is: whatever it does in one turn, all else in it waits."""

import asyncio
from collections.abc import Callable

PERIOD = 0.25
"""Seconds between two looks."""


class LateTimer:
    """A timer that tells again and again by how much it was late.

    Args:
        note: gets that, in seconds; returns whether to go on.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, note: Callable[[float], bool]) -> None:
        self._loop = loop
        self._note = note
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to measure, unless that has begun."""
        if self._timer is None:
            due = self._loop.time() + PERIOD
            self._timer = self._loop.call_at(due, self._look, due)

    def close(self) -> None:
        """Stop measuring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, due: float) -> None:
        self._timer = None
        if self._note(max(0.0, self._loop.time() - due)):
            self.start()

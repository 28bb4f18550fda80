"""Measures how late the main interpreter's event loop is: with what it does in one turn, all requests wait."""

import asyncio

from snakepit.server.exchanges.tally import Histogram

PERIOD = 0.25
"""Seconds between two looks."""


class LoopLag:
    """A timer that notes by how much it was late."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.histogram = Histogram()
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to measure."""
        due = self._loop.time() + PERIOD
        self._timer = self._loop.call_at(due, self._look, due)

    def close(self) -> None:
        """Stop measuring."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, due: float) -> None:
        self.histogram.add(max(0.0, self._loop.time() - due))
        self.start()

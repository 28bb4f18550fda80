"""Measures how late this worker's event loop is, while the server's metrics are asked for."""

import asyncio
from bisect import bisect_left

from snakepit.system.buckets import BOUNDS
from snakepit.system.late_timer import LateTimer

UNASKED = 300.0
"""Seconds after which nothing is measured any more, since nobody has asked: scrapes are a minute apart, or less."""


class TurnLag(LateTimer):
    """A timer that notes by how much it was late.

    `counts` has a number for each of BOUNDS and one for what is more, `total` is the sum in seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0
        self._until = 0.0
        super().__init__(loop, self._add)

    def wanted(self) -> None:
        """Measure for a while from now on."""
        self._until = self._loop.time() + UNASKED
        self.start()

    def _add(self, late: float) -> bool:
        self.counts[bisect_left(BOUNDS, late)] += 1
        self.total += late
        return self._loop.time() < self._until

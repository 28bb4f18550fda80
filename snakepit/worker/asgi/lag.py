"""Measures how late this worker's event loop is, while the server's metrics are asked for."""

import asyncio
from bisect import bisect_left

from snakepit.wire.envelopes import LAG_BOUNDS

PERIOD = 0.25
"""Seconds between two looks, as in the main interpreter."""

UNASKED = 300.0
"""Seconds after which nothing is measured any more, since nobody has asked: scrapes are a minute apart, or less."""


class TurnLag:
    """A timer that notes by how much it was late.

    `counts` has a number for each of LAG_BOUNDS and one for what is more, `total` is the sum in seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.counts = [0] * (len(LAG_BOUNDS) + 1)
        self.total = 0.0
        self._loop = loop
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def wanted(self) -> None:
        """Measure for a while from now on."""
        self._until = self._loop.time() + UNASKED
        if self._timer is None:
            self._start()

    def close(self) -> None:
        """Stop measuring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        due = self._loop.time() + PERIOD
        self._timer = self._loop.call_at(due, self._look, due)

    def _look(self, due: float) -> None:
        now = self._loop.time()
        late = max(0.0, now - due)
        self.counts[bisect_left(LAG_BOUNDS, late)] += 1
        self.total += late
        self._timer = None
        if now < self._until:
            self._start()

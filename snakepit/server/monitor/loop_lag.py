"""Measures how late the main interpreter's event loop is: with what it does in one turn, all requests wait."""

import asyncio

from snakepit.server.exchanges.tally import Histogram
from snakepit.system.late_timer import LateTimer


class LoopLag(LateTimer):
    """A timer that notes by how much it was late."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.histogram = Histogram()
        super().__init__(loop, self._add)

    def _add(self, late: float) -> bool:
        self.histogram.add(late)
        return True

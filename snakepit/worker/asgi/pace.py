"""Measures how much CPU time an exchange takes in a worker's event loop."""

import time
from collections import deque

OVER = 64
"""Exchanges over which their CPU time is averaged."""

WAKE_UPS_KEPT = 8
"""Wake-ups that are remembered; the least of them is taken for what one costs."""


class Pace:
    """The CPU time of exchanges, without what the loop itself takes to be woken: exchanges of one turn share that.

    Otherwise an app would look slow whose exchanges come one by one, and since each came alone they would go on to. The
    cost of waking is measured once for each average, from the end of a turn to the beginning of the next. Tasks that
    have waited go on in between, so if there were any, nothing is subtracted.

    The loop counts here, without calls: `turns`, `begun` exchanges, and whether `any_waited` for something.
    """

    def __init__(self) -> None:
        self.turns = self.begun = 0
        self.any_waited = False
        self.asleep = False  # from the end of the turn in which an average was made to the beginning of the next
        self._since = 0.0  # seconds of this thread, when the last average was made
        self._wake_ups: deque[float] = deque(maxlen=WAKE_UPS_KEPT)  # seconds

    def woke(self) -> None:
        """Note that the first turn after an average begins."""
        self.asleep = False
        self._wake_ups.append(time.thread_time() - self._since)

    def average(self) -> float:
        """Return the seconds that an exchange took since the last average; a turn ends now."""
        now = time.thread_time()
        seconds = now - self._since
        if self._wake_ups and not self.any_waited:
            seconds = max(seconds - self.turns * min(self._wake_ups), 0.0)
        average = seconds / self.begun
        self.turns = self.begun = 0
        self.any_waited, self.asleep, self._since = False, True, now
        return average

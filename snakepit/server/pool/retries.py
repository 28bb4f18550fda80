"""Decides how often, and after how many seconds, a worker that failed or died is started again. Pure."""

from collections import Counter

QUICK_DEATH = 10.0
"""Seconds; if a worker dies sooner after it became ready, the next ones may, too, so the next start is delayed."""

BACKOFF = 0.2, 30.0
"""Seconds before the first and before the latest replacement of workers that die quickly; doubled each time."""

ATTEMPTS = 3
"""The most attempts of a worker that failed although another one could start: it may only have lost a race."""

PAUSE_BEFORE_ATTEMPT = 0.5
"""Seconds before another attempt: by then another worker has created what is needed, and released its lock."""


class Retries:
    """Counters of failed starts in each place, and of quick deaths in a row in all places."""

    def __init__(self) -> None:
        self._attempts: Counter[int] = Counter()
        self._quick_deaths = 0

    def allow(self, number: int) -> bool:
        """Count a failed start; returns whether to try again."""
        self._attempts[number] += 1
        return self._attempts[number] < ATTEMPTS

    def delay_after(self, lived: float) -> float:
        """Count the death of a worker that served for so many seconds; returns the delay of the next, in seconds."""
        first, most = BACKOFF
        self._quick_deaths = self._quick_deaths + 1 if lived < QUICK_DEATH else 0
        return 0.0 if self._quick_deaths < 2 else min(first * 2.0 ** (self._quick_deaths - 2), most)

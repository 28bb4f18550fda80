"""How often, and after how many seconds, a worker is started again that could not start or that died. Pure."""

from collections import Counter

QUICK_DEATH = 10.0
"""Seconds; a worker that dies sooner after it became ready may do so for ever, so the next one waits."""

BACKOFF = 0.2, 30.0
"""Seconds before the first and before the latest replacement of workers that die quickly; doubled each time."""

ATTEMPTS = 3
"""How often a worker may start that could not though another one could. Whoever lost a race wins the next."""

PAUSE_BEFORE_ATTEMPT = 0.5
"""Seconds before another attempt: what another one makes is made by then, and a lock is given back."""


class Retries:
    """Counts failed starts by place, and deaths that follow each other quickly in all places."""

    def __init__(self) -> None:
        self._attempts: Counter[int] = Counter()
        self._quick_deaths = 0

    def allow(self, number: int) -> bool:
        """Count a start that failed; returns whether there is to be another attempt."""
        self._attempts[number] += 1
        return self._attempts[number] < ATTEMPTS

    def delay_after(self, lived: float) -> float:
        """Count the death of a worker that served for so many seconds; returns the seconds until the next starts."""
        first, most = BACKOFF
        self._quick_deaths = self._quick_deaths + 1 if lived < QUICK_DEATH else 0
        return 0.0 if self._quick_deaths < 2 else min(first * 2.0 ** (self._quick_deaths - 2), most)

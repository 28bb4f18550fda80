"""Whether an app that runs in threads is quick, by the time of exchanges that follow each other on one thread.

Threads share a GIL. Where several run at once, the time of an exchange tells how many they are, and not how quick the
app is. So an app that was found slow, and gets a thread for each exchange, is tried again now and then: exchanges
follow each other for a moment. The first trial comes soon, the next ones ever later.
"""

QUICK = 0.001
"""Seconds. An app whose exchanges take longer on average is slow: each gets a thread at once."""

MOST_COUNTED = 0.02
"""Seconds. An exchange that takes longer counts as so long: what followed it was given to other threads, and perhaps it
only waited for a CPU."""

TRIAL = 32
"""Exchanges over which the average is taken. An app is found slow when they take TRIAL times QUICK, and sooner if fewer
of them do."""

FIRST_PAUSE, GROWTH, LONGEST_PAUSE = 0.1, 4, 60.0
"""Seconds until an app that was found slow is tried again, and the factor by which the pause grows until the app is
found quick. It grows fast: in a trial of an app some of whose exchanges are slow, others wait behind these."""


class Speed:
    """Whether the app is quick. It is taken to be so at first. All times are seconds of one clock."""

    def __init__(self) -> None:
        self.quick = True
        self._since = 0.0  # when the trial began, or when the next one is due
        self._pause = FIRST_PAUSE
        self._spent, self._count = 0.0, 0  # seconds, and the exchanges that took them

    def look(self, now: float) -> bool:
        """Tell whether the app is quick, or is to be tried."""
        if not self.quick and now >= self._since:
            self.quick, self._since = True, now
            self._spent, self._count = QUICK * TRIAL - MOST_COUNTED, 0  # a single slow one ends the trial
        return self.quick

    def note(self, began: float, now: float) -> None:
        """Count an exchange that took from `began` until now, and before which its thread was at another."""
        if not self.quick or began < self._since:
            return
        self._count += 1
        self._spent += min(now - began, MOST_COUNTED)
        if self._spent >= QUICK * max(self._count, TRIAL):
            self.quick, self._since = False, now + self._pause
            self._pause = min(self._pause * GROWTH, LONGEST_PAUSE)
        elif self._count >= 2 * TRIAL:
            self._pause = FIRST_PAUSE
            self._spent, self._count = self._spent / 2, self._count // 2

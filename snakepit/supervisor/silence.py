"""For how long a server process has not said that its event loop turns. Pure: it takes times, and says when to look.

Only time counts in which the supervisor itself was running, and the process was not stopped: after a machine was
suspended, or both processes were, nothing can be concluded from what a clock says.
"""

LOOKS = 8
"""Times that a process is looked at within the time that it has: so it is found to hang an eighth of that late."""


class Silence:
    """Of one process. It is watched from the first time on that it said by when it would be heard of again."""

    def __init__(self) -> None:
        self.limit = 0.0
        """Seconds; 0: no limit."""
        self._silent = 0.0
        self._looked = 0.0

    def heard(self, now: float, limit: float) -> None:
        """It said that its loop turns, and that it will say so again within `limit` seconds."""
        self.limit = limit
        self._silent = 0.0
        self._looked = now

    def look(self, now: float, stopped: bool) -> bool:
        """Whether it has been silent for too long; `stopped`: it can't run now, because somebody has stopped it."""
        if not self.limit or now < self.next_look:
            return False
        step = self.limit / LOOKS
        if not stopped:
            self._silent += min(now - self._looked, 2 * step)  # a longer pause is one that this process had itself
        self._looked = now
        return self._silent >= self.limit

    @property
    def next_look(self) -> float:
        """When to look."""
        return self._looked + self.limit / LOOKS

"""Measures how long a server process has sent no heartbeat. Pure: it takes times, and says when to check again.

Only time in which the supervisor itself ran, and the process was not stopped, counts: if the machine or both processes
were suspended, a clock does not tell how long the process was silent.
"""

LOOKS = 8
"""Checks of a process within its time limit: so a hang is found at most an eighth of the limit too late."""


class Silence:
    """The silence of one process. Watching starts with its first heartbeat that names a limit for the next."""

    def __init__(self) -> None:
        self.limit = 0.0
        """Seconds; 0: no limit."""
        self._silent = 0.0
        self._looked = 0.0

    def heard(self, now: float, limit: float) -> None:
        """Note a heartbeat; the next one will come within `limit` seconds."""
        self.limit = limit
        self._silent = 0.0
        self._looked = now

    def look(self, now: float, stopped: bool) -> bool:
        """Tell whether it has been silent for too long; `stopped`: a signal or a debugger has stopped it."""
        if not self.limit or now < self.next_look:
            return False
        step = self.limit / LOOKS
        if not stopped:
            self._silent += min(now - self._looked, 2 * step)  # after a longer pause, the supervisor itself did not run
        self._looked = now
        return self._silent >= self.limit

    @property
    def next_look(self) -> float:
        """The time of the next check."""
        return self._looked + self.limit / LOOKS

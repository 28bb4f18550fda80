"""Decides when the server process is restarted. Pure: it takes times and returns delays."""

QUICK_END = 10.0
"""Seconds; if a process ends sooner after it began to listen, each further one may too. A reload does not reset this.
"""

MOST_QUICK_ENDS = 10
"""Quick ends in a row after which the supervisor gives up: with the delays between them, about a minute."""

FIRST_DELAY = 0.2
"""Seconds before the second attempt in a row; doubled for each further one. The first is made at once."""


class Restarts:
    """A counter of unexpected ends."""

    def __init__(self) -> None:
        self.total = 0
        self.quick = 0

    def ended(self, now: float, listening_since: float | None) -> float | None:
        """A process ended unexpectedly; returns the seconds until the next one is started. None: give up."""
        self.total += 1
        if listening_since is not None and now - listening_since >= QUICK_END:
            self.quick = 0
        self.quick += 1
        if self.quick >= MOST_QUICK_ENDS:
            return None
        return 0.0 if self.quick == 1 else FIRST_DELAY * 2 ** (self.quick - 2)

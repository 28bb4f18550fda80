"""When the server process is started again. Pure: it takes times and returns delays."""

QUICK_END = 10.0
"""Seconds; a process that ends sooner after it began to listen may do so for ever. Reloading in between makes none."""

MOST_QUICK_ENDS = 10
"""Quick ends in a row after which nothing more is tried: with the delays between them, about a minute."""

FIRST_DELAY = 0.2
"""Seconds before the second attempt in a row; doubled for each further one. The first is made at once."""


class Restarts:
    """Counts the ends that nobody asked for."""

    def __init__(self) -> None:
        self.total = 0
        self.quick = 0

    def ended(self, now: float, listening_since: float | None) -> float | None:
        """A process ended unexpectedly; returns seconds until the next is to be started. None: it makes no sense."""
        self.total += 1
        if listening_since is not None and now - listening_since >= QUICK_END:
            self.quick = 0
        self.quick += 1
        if self.quick >= MOST_QUICK_ENDS:
            return None
        return 0.0 if self.quick == 1 else FIRST_DELAY * 2 ** (self.quick - 2)

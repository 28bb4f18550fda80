"""Counts of requests, in plain numbers: they cost each request little, and are put into words only when asked for."""

from bisect import bisect_left
from typing import Final, NamedTuple

from snakepit.system.buckets import BOUNDS

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
"""The methods that are counted by name (RFC 9110 section 9.3, RFC 5789): clients can make up any number of others."""

OTHER = "other"
"""What the other methods are counted as."""

CLASSES: Final = ("none", "1xx", "2xx", "3xx", "4xx", "5xx", "other")
"""The classes of a status, by its hundreds. none: the client had left before there was an answer."""


class Exemplar(NamedTuple):
    """A request of a bucket whose trace can be looked at: its trace, its time, and when it was over, since 1970."""

    trace_id: str
    seconds: float
    moment: float


class Histogram:
    """How many times were how long; `counts` has a number for each bucket, `total` is the sum in seconds.

    `exemplars` has, by bucket, one of the latest requests whose trace is kept, if there is one.
    """

    __slots__ = ("counts", "exemplars", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0
        self.exemplars: dict[int, Exemplar] = {}

    def add(self, seconds: float) -> int:
        """Count a time; returns its bucket."""
        bucket = bisect_left(BOUNDS, seconds)
        self.counts[bucket] += 1
        self.total += seconds
        return bucket

    def set_exemplar(self, exemplar: Exemplar) -> None:
        """Show this request as an example of its bucket."""
        self.exemplars[bisect_left(BOUNDS, exemplar.seconds)] = exemplar


class Tally:
    """The counts of one app's requests.

    `answered` has, by method, the number of requests for each of CLASSES. `before` is the time with proxies, of those
    requests of which they say it. `waited` is the time until a worker had the request, `worked` the time from then
    until the response began, and `took` the whole time. `exemplar_due` has, for each bucket of `took`, when to look for
    another exemplar, as of `time.monotonic`.
    """

    __slots__ = (
        "answered",
        "before",
        "exemplar_due",
        "left",
        "others",
        "received",
        "refused",
        "sent",
        "took",
        "waited",
        "worked",
    )

    def __init__(self) -> None:
        self.answered = {method: [0] * len(CLASSES) for method in METHODS}
        self.others = [0] * len(CLASSES)
        self.before, self.waited, self.worked, self.took = Histogram(), Histogram(), Histogram(), Histogram()
        self.exemplar_due = [0.0] * (len(BOUNDS) + 1)
        self.refused = 0  # got 503 in place of a worker
        self.left = 0  # whose client went before the answer was complete
        self.received = 0  # bytes of requests' bodies
        self.sent = 0  # bytes of responses' bodies

    def count(self, method: str, status: int) -> None:
        """Count a request by its method and the status of its answer; 0: there is none."""
        self.answered.get(method, self.others)[min(status // 100, 6)] += 1


class Busyness:
    """For how long a worker has had something to do: `seconds`, and since `since` (monotonic), if it has now."""

    __slots__ = ("seconds", "since")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.since: float | None = None

    def end(self, now: float) -> None:
        """Note that it has nothing more to do."""
        if self.since is not None:
            self.seconds += now - self.since
            self.since = None

    def until(self, now: float) -> float:
        """Return the seconds up to a moment."""
        return self.seconds if self.since is None else self.seconds + now - self.since

"""What happened between two looks at the counts of requests, and how it went in the last minutes."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from snakepit.server.exchanges.tally import CLASSES, Histogram, Tally
from snakepit.system.buckets import BOUNDS

if TYPE_CHECKING:
    from collections.abc import Iterable

KEPT = 300
"""Seconds of the past that are kept, which are as many points: five minutes."""

LAST_BOUND = 120.0
"""Seconds; what the last bucket of a histogram, which has no bound, is taken to end at."""

SHARES = (0.5, 0.95, 0.99)
"""The percentiles that are shown, as shares."""

_SERVER_ERRORS = CLASSES.index("5xx")


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts since the start: requests by class of status, and how long they took, in the buckets of a histogram."""

    classes: tuple[int, ...]
    queue: tuple[int, ...]
    app: tuple[int, ...]
    total: tuple[int, ...]

    @property
    def requests(self) -> int:
        """How many requests are over."""
        return sum(self.classes)

    @property
    def errors(self) -> int:
        """How many had a status of 500 or above."""
        return self.classes[_SERVER_ERRORS]


def counts_of(tallies: "Iterable[Tally]") -> Counts:
    """Add up tallies."""
    tallies = list(tallies)
    classes = [row for tally in tallies for row in (*tally.answered.values(), tally.others)]
    return Counts(
        _sum(classes, len(CLASSES)),
        _buckets(tally.waited for tally in tallies),
        _buckets(tally.worked for tally in tallies),
        _buckets(tally.took for tally in tallies),
    )


def _buckets(histograms: "Iterable[Histogram]") -> tuple[int, ...]:
    return _sum([histogram.counts for histogram in histograms], len(BOUNDS) + 1)


def _sum(rows: Sequence[Sequence[int]], length: int) -> tuple[int, ...]:
    return tuple(sum(column) for column in zip(*rows, strict=True)) or (0,) * length


def percentile(counts: Sequence[int], share: float) -> float | None:
    """Return the seconds below which this share of the times is, or None if there are none.

    Within a bucket times are taken to be spread evenly.
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    below = 0
    for (lower, upper), count in zip(pairwise((0.0, *BOUNDS, LAST_BOUND)), counts, strict=True):
        if count and below + count >= wanted:
            return lower + (upper - lower) * (wanted - below) / count
        below += count
    return LAST_BOUND


@dataclass(frozen=True, slots=True)
class Point:
    """A second of the past, up to `time` (Unix time); `latency`: SHARES of it in seconds, if anything was answered."""

    time: float
    requests: float
    errors: float
    latency: tuple[float | None, ...]
    waiting: int
    in_progress: int
    memory: int | None


class History:
    """The last minutes, as far as anybody looked at the server."""

    def __init__(self) -> None:
        self.points: deque[Point] = deque(maxlen=KEPT)
        self._before: tuple[float, Mapping[str, Counts]] | None = None

    def look(
        self, now: float, time: float, counts: Mapping[str, Counts], waiting: int, in_progress: int, memory: int | None
    ) -> dict[str, float | None]:
        """Add what happened since the look before, unless this is the first, or the first for long.

        Returns the requests of each name in a second, None where that is not known yet.

        Args:
            now: seconds, by a clock that never goes back.
            time: the same moment, in Unix time.
            counts: by the name of the app.
        """
        before, self._before = self._before, (now, counts)
        if before is None or not 0.0 < (seconds := now - before[0]) < GAP:
            return dict.fromkeys(counts)
        rates: dict[str, float | None] = {}
        errors = 0.0
        took = [0] * (len(BOUNDS) + 1)
        for name, each in counts.items():
            earlier = before[1].get(name, _NOTHING)
            if each.requests < earlier.requests:
                earlier = _NOTHING  # another app of that name, which began anew
            rates[name] = (each.requests - earlier.requests) / seconds
            errors += (each.errors - earlier.errors) / seconds
            took = [sum_ + new - old for sum_, new, old in zip(took, each.total, earlier.total, strict=True)]
        requests = sum(rate for rate in rates.values() if rate)
        latency = tuple(percentile(took, share) for share in SHARES)
        self.points.append(Point(time, requests, errors, latency, waiting, in_progress, memory))
        return rates


GAP = 5.0
"""Seconds between two looks after which nothing is said of the time between them: nobody watched, or the event loop was
held up, and an average would hide what happened."""

_NOTHING = Counts((0,) * len(CLASSES), *((0,) * (len(BOUNDS) + 1),) * 3)

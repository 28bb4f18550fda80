"""What one comparison is: an app, the answer that proves it is served, and what is measured of each server."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import ClassVar, NamedTuple

from benchmarks.peers.running import Exchange, Running


@dataclass(frozen=True, slots=True)
class Column:
    """A figure in the report: its heading with the unit, its key, its format, and how the rounds become one value.

    The column is not there where no contender has the figure and it is `optional`.
    """

    heading: str
    key: str
    format: str = ".2f"
    over_rounds: Callable[[Sequence[float]], float] = median
    optional: bool = False


class Criterion(NamedTuple):
    """A figure by which Snakepit is held against the best peer: the key of a column, and which way is better."""

    key: str
    more_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done to measure one contender once. `seed`: of what is random, the same for all contenders."""

    workers: int
    connections: int
    seconds: float
    seed: int


@dataclass(frozen=True)
class Case(ABC):
    """An app, its interface, and a request with the answer that must come back."""

    app: str
    interface: str
    exchange: Exchange

    kind: ClassVar[str] = "http"  # "idle", "websocket" or "files": some contenders take part in one kind only
    columns: ClassVar[tuple[Column, ...]]
    criteria: ClassVar[tuple[Criterion, ...]]
    charted: ClassVar[str]  # the key of the figure that the chart shows
    workers: ClassVar[int] = 2  # where the command line does not say
    seconds: ClassVar[float] = 3.0  # likewise
    around: ClassVar[float] = 3.0  # seconds that a round takes beside, about: start, warm-up, end

    @abstractmethod
    def measure(self, server: Running, effort: Effort) -> dict[str, float]:
        """Run one round; returns figures by the keys of the columns."""

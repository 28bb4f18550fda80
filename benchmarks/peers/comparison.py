"""What was measured of a case."""

from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from benchmarks.peers.case import Case
from benchmarks.peers.contenders import RIVALS, Contender
from benchmarks.peers.pythons import Python

ERRORS = 0.001  # for each request; a contender with more is not held up as an example


class Entry(NamedTuple):
    """A contender on one of the Pythons."""

    contender: Contender
    python: Python

    @property
    def label(self) -> str:
        """What it is called in tables."""
        return self.python.label(self.contender.name)


@dataclass(slots=True)
class Outcome:
    """The rounds of an entry, each with its figures by key; where there is none, or one is missing, why."""

    entry: Entry
    rounds: dict[int, dict[str, float]] = field(default_factory=dict)
    failure: str = ""

    def figure(self, key: str) -> dict[int, float]:
        """A figure in each round that has it."""
        return {number: found[key] for number, found in self.rounds.items() if key in found}

    @property
    def is_sound(self) -> bool:
        """Whether all rounds had next to no errors."""
        return all(found.get("errors", 0.0) <= ERRORS * found.get("requests", 0.0) for found in self.rounds.values())


@dataclass(slots=True)
class Comparison:
    """All entries of a case, by label.

    `about`: what tells it from others of the same case, if there are any. `bare_us`: the CPU time of the app's call by
    itself, in each round, by name of the Python, where known. `notes`: what has to be said of the case, a line each.
    """

    case_name: str
    case: Case
    workers: int
    connections: int
    about: str = ""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    bare_us: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What it is called in tables and data."""
        return f"{self.case_name}, {self.about}" if self.about else self.case_name

    def figures(self, label: str) -> dict[str, float]:
        """One value for each column, from all rounds; those that no round has are missing."""
        outcome = self.outcomes[label]
        found = {}
        for column in self.case.columns:
            values = list(outcome.figure(column.key).values())
            if values:
                found[column.key] = column.over_rounds(values)
        bare = self.bare_us.get(outcome.entry.python.name)
        if "cpu_us" in found and bare:
            found["own_us"] = found["cpu_us"] - median(bare)
        return found

    def most_per_second(self) -> list[float]:
        """Requests a second of each entry that has any, the median of its rounds."""
        found = [outcome.figure("per_second").values() for outcome in self.outcomes.values()]
        return [median(values) for values in found if values]


class Ratio(NamedTuple):
    """How Snakepit does by one figure against the best peer on the same Python; above 1 it is better.

    `ours` and `theirs` are medians of the rounds; `median`, `least` and `most` are of the ratios of those rounds that
    both have.
    """

    snakepit: str
    key: str
    ours: float
    peer: str
    theirs: float
    rounds: int
    median: float
    least: float
    most: float

    @property
    def verdict(self) -> str:
        """What it says in a word; where rounds disagree, it says nothing else."""
        if self.rounds > 1 and self.least > 1:
            return "better"
        return "worse" if self.rounds > 1 and self.most < 1 else "even"


def ratios(comparison: Comparison) -> list[Ratio]:
    """Snakepit's ratios to the best peer, for each criterion of the case and each Python."""
    found = []
    for label, outcome in comparison.outcomes.items():
        entry = outcome.entry
        if entry.contender.name != "snakepit":
            continue
        peers = {
            name: other
            for name, other in comparison.outcomes.items()
            if other.entry.contender.family in RIVALS and other.entry.python == entry.python and other.is_sound
        }
        for key, more_is_better in comparison.case.criteria:
            best = _best(peers, key, more_is_better)
            if best is not None:
                found += _ratio(label, outcome, best, peers[best], key, more_is_better)
    return found


def _best(peers: dict[str, Outcome], key: str, more_is_better: bool) -> str | None:
    """The one whose median is best, so that all rounds are compared with the same."""
    medians = {name: median(values) for name, other in peers.items() if (values := other.figure(key).values())}
    return (max if more_is_better else min)(medians, key=medians.__getitem__, default=None)


def _ratio(label: str, outcome: Outcome, best: str, peer: Outcome, key: str, more_is_better: bool) -> list[Ratio]:
    ours, theirs = outcome.figure(key), peer.figure(key)
    pairs = [(ours[number], theirs[number]) for number in sorted(ours.keys() & theirs.keys())]
    each = [a / b if more_is_better else b / a for a, b in pairs if (b if more_is_better else a) > 0]
    if not each:
        return []
    middle = median(ours.values()), best, median(theirs.values())
    return [Ratio(label, key, *middle, len(each), median(each), min(each), max(each))]

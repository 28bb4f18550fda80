"""What was measured of a case."""

from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

from benchmarks.peers.case import Case, Criterion
from benchmarks.peers.contenders import RIVALS, SNAKEPIT, Contender
from benchmarks.peers.pythons import Python

ERRORS = 0.001  # for each request; a contender with more is not held up as an example


class Entry(NamedTuple):
    """A contender on one of the Pythons."""

    contender: Contender
    python: Python

    @property
    def label(self) -> str:
        """Name of the row in tables."""
        return self.python.label(self.contender.name)


@dataclass(slots=True)
class Outcome:
    """The rounds of an entry, each with its figures by key; where there is none, or one is missing, why."""

    entry: Entry
    rounds: dict[int, dict[str, float]] = field(default_factory=dict)
    failure: str = ""

    def figure(self, key: str) -> dict[int, float]:
        """Return a figure by number of the round, without rounds that lack it."""
        return {number: found[key] for number, found in self.rounds.items() if key in found}

    @property
    def is_sound(self) -> bool:
        """Whether no round had more than ERRORS."""
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
        """Name of the comparison in tables and data."""
        return f"{self.case_name}, {self.about}" if self.about else self.case_name

    def figures(self, label: str) -> dict[str, float]:
        """Compute one value of all rounds for each column, except for columns that no round has."""
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

    def most_per_second(self) -> dict[str, float]:
        """Return requests a second by label: medians of the rounds."""
        found = {label: outcome.figure("per_second").values() for label, outcome in self.outcomes.items()}
        return {label: median(values) for label, values in found.items() if values}


class Ratio(NamedTuple):
    """How Snakepit does by one figure against the best peer on the same Python; above 1 it is better.

    `ours` and `theirs` are medians of the rounds; `median`, `least` and `most` are of the ratios of those rounds that
    both have.
    """

    python: str
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
        """The ratio in a word: `even` if the rounds disagree, and none if there is only one."""
        if self.rounds < 2:
            return "one round"
        return "better" if self.least > 1 else "worse" if self.most < 1 else "even"


def snakepits(comparison: Comparison) -> list[Outcome]:
    """Return the outcomes of Snakepit with its defaults, one for each Python."""
    return [outcome for outcome in comparison.outcomes.values() if outcome.entry.contender.name == SNAKEPIT]


def ratios(comparison: Comparison, outcome: Outcome) -> list[Ratio]:
    """Compute the ratios of an outcome to the best peer's, one for each criterion of the case."""
    peers = [
        other
        for other in comparison.outcomes.values()
        if other.entry.contender.family in RIVALS and other.entry.python == outcome.entry.python and other.is_sound
    ]
    found = []
    for criterion in comparison.case.criteria:
        measured = [peer for peer in peers if peer.figure(criterion.key)]
        if measured:
            found += _ratio(outcome, _best(measured, criterion), criterion)
    return found


def _best(peers: list[Outcome], criterion: Criterion) -> Outcome:
    """Choose the peer with the best median, so that all rounds are compared with the same one."""
    best = max if criterion.more_is_better else min
    return best(peers, key=lambda peer: median(peer.figure(criterion.key).values()))


def _ratio(outcome: Outcome, peer: Outcome, criterion: Criterion) -> list[Ratio]:
    ours, theirs = outcome.figure(criterion.key), peer.figure(criterion.key)
    pairs = [(ours[number], theirs[number]) for number in sorted(ours.keys() & theirs.keys())]
    if not criterion.more_is_better:
        pairs = [(b, a) for a, b in pairs]
    each = [above / below for above, below in pairs if below > 0]
    if not each:
        return []
    return [
        Ratio(
            outcome.entry.python.name,
            criterion.key,
            median(ours.values()),
            peer.entry.contender.name,
            median(theirs.values()),
            len(each),
            median(each),
            min(each),
            max(each),
        )
    ]

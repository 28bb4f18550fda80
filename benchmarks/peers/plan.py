"""What a run measures, and how long that takes, about."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from benchmarks.peers.cases import CASES, GLANCE, GLANCE_LATENCY, named
from benchmarks.peers.comparison import Entry
from benchmarks.peers.contenders import CONTENDERS
from benchmarks.peers.fixed_rate import FixedRate
from benchmarks.peers.load import Load
from benchmarks.peers.pythons import Python

BARE_SECONDS = 3.0  # that the app by itself takes in each round, about


@dataclass(frozen=True, slots=True)
class Plan:
    """Cases in order, and all that is the same for them.

    `only`: names of contenders, or none, which means those that are not `extra`. `latency`: the cases that are measured
    at a fixed rate, too. `workers` and `seconds` are those of the case where they are None.
    """

    cases: tuple[str, ...]
    only: tuple[str, ...]
    pythons: tuple[Python, ...]
    connections: tuple[int, ...]
    latency: frozenset[str]
    rounds: int
    workers: int | None = None
    seconds: float | None = None

    def entries(self, name: str) -> list[Entry]:
        """Return the entries of a case, by Python, without those that are not installed."""
        return [entry for entry in self._asked_for(name) if entry.contender.is_in(entry.python.bin)]

    def missing(self) -> list[str]:
        """Return a line for each package that could not be installed for a Python, a contender's or another."""
        return [
            f"{python.name or 'This Python'} does without {package}: {why}."
            for python in self.pythons
            for package, why in python.missing.items()
        ]

    def left_out(self, name: str) -> list[str]:
        """Return a line for each Python that lacks contenders of a case."""
        lines = []
        for python in self.pythons:
            contenders = [entry.contender for entry in self._asked_for(name) if entry.python is python]
            missing = {each.family for each in contenders if not each.is_in(python.bin)}
            if missing:
                on = f" on {python.name}" if python.name else ""
                lines.append(f"Not installed{on}, and left out: {', '.join(sorted(missing))}.")
        return lines

    def minutes(self) -> float:
        """Estimate the minutes that the run takes."""
        seconds = 0.0
        for name in self.cases:
            case = CASES[name]
            entries = len(self.entries(name))
            is_load = isinstance(case, Load)
            each = entries * (case.around + (self.seconds or case.seconds)) + is_load * BARE_SECONDS * len(self.pythons)
            seconds += each * len(self.loads(name))
            if is_load and name in self.latency:
                seconds += entries * (FixedRate.around + (self.seconds or FixedRate.seconds))
        return seconds * self.rounds / 60

    def loads(self, name: str) -> tuple[int, ...]:
        """Return the numbers of connections to measure a case with: several only for a Load."""
        return self.connections if isinstance(CASES[name], Load) else self.connections[-1:]

    def _asked_for(self, name: str) -> Iterator[Entry]:
        case = CASES[name]
        for python in self.pythons:
            for contender in CONTENDERS:
                if contender.takes_part(case.interface, case.kind, list(self.only)):
                    yield Entry(contender, python)


def choose_cases(given: Iterable[str]) -> tuple[str, ...]:
    """Return the cases that the command line names, each once, or those of GLANCE."""
    found: dict[str, None] = {}
    for name in list(given) or GLANCE:
        cases = named(name)
        if not cases:
            raise ValueError(f"there is no case {name}; there are {', '.join(CASES)}")
        found.update(dict.fromkeys(cases))
    return tuple(found)


def choose_latency(given: str | None, cases: Iterable[str], are_named: bool, connections: int) -> frozenset[str]:
    """Return the cases to measure at a fixed rate, from `all`, `none`, or names.

    Where the command line does not say, all that it names; a few in a glance; and none where it is about numbers of
    connections, of which there are so many.
    """
    if given is None:
        given = "none" if connections > 1 else "all" if are_named else ",".join(GLANCE_LATENCY)
    if given == "none":
        return frozenset()
    loads = {name for name in cases if isinstance(CASES[name], Load)}
    if given == "all":
        return frozenset(loads)
    wanted = set(choose_cases(given.split(",")))
    if strange := sorted(wanted - loads):
        raise ValueError(f"there is no latency at a fixed rate of {', '.join(strange)} here: it needs requests/s first")
    return frozenset(wanted)


def choose_connections(text: str) -> tuple[int, ...]:
    """Parse numbers of connections, as in 1,4,16,64."""
    numbers = [int(each) for each in text.split(",")]
    if min(numbers) < 1:
        raise ValueError("there must be a connection at least")
    return tuple(dict.fromkeys(numbers))


def choose_contenders(text: str | None) -> tuple[str, ...]:
    """Parse names of contenders, in which a comma with a space after it is part of a name."""
    if not text:
        return ()
    given = tuple(re.split(r",(?! )", text))
    for name in given:
        if not any(contender.is_called([name]) for contender in CONTENDERS):
            raise ValueError(f"there is no {name}; there are {'; '.join(each.name for each in CONTENDERS)}")
    return given

"""What a target is: code that takes any bytes and raises where Snakepit does what it must not do."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from fuzz import targets

LONGEST = 2048
"""Bytes of an input, where a target does not say more: long inputs find little that short ones don't, and slowly."""


class Found(AssertionError):
    """Snakepit does with an input what it must not do."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A change of the package that a target must find, so that it is known to be able to find something.

    Args:
        file: its path below `snakepit/`.
        old: stands there exactly once.
        new: the faulty text in its place.
    """

    file: str
    old: str
    new: str

    def __str__(self) -> str:
        line = next(text for text in (*self.new.strip().splitlines(), "(nothing)") if text)
        return f"{self.file}: {line.strip()}"


@dataclass(frozen=True, slots=True)
class Target:
    """A target, as its module describes it.

    Args:
        check: takes any bytes, and raises for a fault of Snakepit.
        seeds: inputs to begin with.
        words: what the fuzzer puts into inputs.
        faults: changes that must be found.
    """

    name: str
    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    words: Sequence[bytes]
    faults: Sequence[Fault]
    longest: int


def names() -> list[str]:
    """Return the names of all targets."""
    return sorted(module.name for module in pkgutil.iter_modules(targets.__path__))


def load(name: str) -> Target:
    """Import a target."""
    module = importlib.import_module(f"fuzz.targets.{name}")
    longest = getattr(module, "LONGEST", LONGEST)
    return Target(name, module.check, module.SEEDS, module.WORDS, module.FAULTS, longest)


def expect(holds: object, what: str, *about: object) -> None:
    """Raise Found unless something holds."""
    if not holds:
        raise Found(" ".join([what, *(f"{each!r}"[:2000] for each in about)]))


MOST_PIECES = 1000
"""Of one input: more would only take time."""


def splits(data: bytes, salt: int) -> Iterator[list[bytes]]:
    """Yield two of the ways in which bytes may come: whole, and in pieces of some size or cut once, as `salt` says."""
    yield [data]
    if len(data) < 2:
        return
    kind, salt = salt % 4, salt // 4
    if kind == 3:
        cut = 1 + salt * 97 % (len(data) - 1)
        yield [data[:cut], data[cut:]]
    else:
        size = max((1, 2 + salt % 13, 16 + salt)[kind], len(data) // MOST_PIECES)
        yield [data[at : at + size] for at in range(0, len(data), size)]


class Choices:
    """Decisions that are read from the beginning of an input, and are all 0 when it is at its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes that have not been read."""
        return max(0, len(self._data) - self._at)

    def number(self, below: int) -> int:
        """Return a number from 0 on, up to 256 of them."""
        found = self._data[self._at] % below if self.left else 0
        self._at += 1
        return found

    def of[T](self, things: Sequence[T]) -> T:
        """Return one of these."""
        return things[self.number(len(things))]

    def flag(self) -> bool:
        """Return yes or no."""
        return bool(self.number(2))

    def bytes(self, most: int = 255) -> bytes:
        """Return some bytes, their length first."""
        size = self.number(256) % (most + 1)
        found = self._data[self._at : self._at + size]
        self._at += size
        return found

    def rest(self) -> bytes:
        """Return all that is left."""
        found = self._data[self._at :]
        self._at = len(self._data)
        return found

"""What a server answers to `snakepit profile`, as the threads that were sampled."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Frame(NamedTuple):
    """A call: the line of it that ran, or that called on; `kind` is "app", "library" or "machinery"."""

    file: str
    line: int
    function: str
    kind: str


class SampledThread(NamedTuple):
    """A thread, and for how many seconds it stood in each stack, the outermost call first."""

    name: str
    samples: list[tuple[list[Frame], float]]

    @property
    def seconds(self) -> float:
        """The time of all samples."""
        return sum(seconds for _, seconds in self.samples)


def threads_of(answer: Mapping[str, Any]) -> list[SampledThread]:
    """Return the threads of each worker, and of the main interpreter. Raises KeyError if it lacks any."""
    found = [(f"worker {worker['number']} of {worker['app']}", worker) for worker in answer["workers"]]
    if answer["main"] is not None:
        found.append(("main", answer["main"]))
    return [thread for name, place in found for thread in _threads_in(name, place)]


def _threads_in(where: str, place: Mapping[str, Any]) -> list[SampledThread]:
    called = zip(place["calls"], place["kinds"], strict=True)
    frames = [Frame(file, line, function, kind) for (file, line, function), kind in called]
    threads: dict[str, list[tuple[list[Frame], float]]] = {}
    for thread, calls, seconds in place["samples"]:
        threads.setdefault(thread, []).append(([frames[at] for at in calls], seconds))
    return [SampledThread(f"{where}, {thread}", samples) for thread, samples in sorted(threads.items())]

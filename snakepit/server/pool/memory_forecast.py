"""Whether all workers will fit into the memory that a container grants, judged when the first one is ready.

In a process of its own the first worker says what each takes. Interpreters share one process, which has grown by what
the first one took, and by a part for each other that is on its way: as much of it as it has had of the time.
"""

from collections.abc import Sequence
from typing import Protocol

from snakepit.system import cgroups
from snakepit.system.memory import private_memory

FULL = 0.8
"""The part of the limit that workers may fill by being there: requests take memory, too."""


class Started(Protocol):
    """What is needed of a worker's thread."""

    began: float
    """When it was made (monotonic seconds)."""

    @property
    def process(self) -> int | None:
        """The process that is its alone, while there is one."""


class MemoryForecast:
    """Made before the workers are. `supervisor`: another process that the limit is for, too."""

    def __init__(self, supervisor: int | None = None) -> None:
        self._limit = cgroups.memory_limit()
        self._before = private_memory() or 0
        self._supervisor = (private_memory(supervisor) or 0) if supervisor is not None else 0

    def warning(self, first: Started, started: Sequence[Started], wanted: int, now: float) -> str:
        """What to tell of so many workers as are wanted, in the moment in which the first is ready; "": nothing.

        `started`: all that are ready or on their way; `now`: monotonic seconds.
        """
        if self._limit is None or wanted < 2:
            return ""
        each = private_memory(first.process) if first.process is not None else self._grown(first, started, now)
        if not each:
            return ""
        rest = self._before + self._supervisor
        if rest + wanted * each <= FULL * self._limit:
            return ""
        fitting = max(1, int((FULL * self._limit - rest) // each))
        return (
            f"{wanted} workers will hardly fit into the memory limit of {_mib(self._limit)} MiB: the first took "
            f"{_mib(each)} MiB, so all take {_mib(rest + wanted * each)} MiB before they have anything to do. "
            f"Use --workers {fitting}, or raise the limit"
        )

    def _grown(self, first: Started, started: Sequence[Started], now: float) -> int:
        took = max(now - first.began, 1e-6)
        parts = sum(min(1.0, (now - worker.began) / took) for worker in started)
        return int(((private_memory() or 0) - self._before) / max(1.0, parts))


def _mib(size: float) -> int:
    return round(size / 2**20)

"""Estimates whether all workers will fit into a container's memory limit, when the first one is ready.

With a process for each worker, the first one shows how much each takes. Interpreters share one process, which has grown
by the memory of the first one and by a part of each starting one, in proportion to the time since its start.
"""

from collections.abc import Sequence
from typing import Protocol

from snakepit.system import cgroups
from snakepit.system.memory import private_memory
from snakepit.system.words import mebibytes

FULL = 0.8
"""The part of the limit that idle workers may fill: requests take memory, too."""


class Started(Protocol):
    """The attributes of a worker's thread that the forecast needs."""

    began: float
    """The time of its creation (monotonic seconds)."""

    @property
    def process(self) -> int | None:
        """Its own process, while there is one."""


class MemoryForecast:
    """The forecast, created before the workers. `supervisor`: another process to which the limit applies, too."""

    def __init__(self, supervisor: int | None = None) -> None:
        self._limit = cgroups.memory_limit()
        self._before = private_memory() or 0
        self._supervisor = (private_memory(supervisor) or 0) if supervisor is not None else 0

    def warning(self, first: Started, started: Sequence[Started], wanted: int, now: float) -> str:
        """Return a warning about the wanted number of workers, at the moment when the first is ready; "": none.

        `started`: all that are ready or starting; `now`: monotonic seconds.
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
            f"{wanted} workers will hardly fit into the memory limit of {mebibytes(self._limit)} MiB: the first took "
            f"{mebibytes(each)} MiB, so all take {mebibytes(rest + wanted * each)} MiB before they have anything to "
            f"do. Use --workers {fitting}, or raise the limit"
        )

    def _grown(self, first: Started, started: Sequence[Started], now: float) -> int:
        took = max(now - first.began, 1e-6)
        parts = sum(min(1.0, (now - worker.began) / took) for worker in started)
        return int(((private_memory() or 0) - self._before) / max(1.0, parts))

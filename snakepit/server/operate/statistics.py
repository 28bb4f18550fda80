"""Statistics of a server: `Server.statistics()`, and `snakepit status`.

The names of the fields are the keys of `snakepit status --json`; docs/reference/control.md explains each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from snakepit.server.apps.statistics import AppStatistics, WorkerStatistics


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of the server. Counters run from its start."""

    name: str | None
    state: str
    pid: int
    supervisor: int | None
    app: str
    address: str | None
    version: str
    python: str
    runtime: str
    since: float
    uptime: float
    connections: int
    open_connections: int
    requests: int
    in_progress: int
    waiting: int
    memory: int | None
    restarts: int
    abandoned: int
    lost_wakeups: int
    workers: tuple[WorkerStatistics, ...]
    apps: tuple[AppStatistics, ...]


@dataclass(frozen=True, slots=True)
class Total:
    """Statistics of all apps together."""

    in_progress: int
    waiting: int
    abandoned: int
    lost_wakeups: int
    workers: tuple[WorkerStatistics, ...]


def total(apps: Sequence[AppStatistics]) -> Total:
    """Add up the statistics of several apps."""
    return Total(
        in_progress=sum(app.in_progress for app in apps),
        waiting=sum(app.waiting for app in apps),
        abandoned=sum(app.abandoned for app in apps),
        lost_wakeups=sum(app.lost_wakeups for app in apps),
        workers=tuple(chain.from_iterable(app.workers for app in apps)),
    )

"""What a server knows of itself: `Server.statistics()`, and `snakepit status`.

The names of the fields are the keys of `snakepit status --json`; docs/reference/control.md explains each.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakepit.server.pool.pool import Pool


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """One worker. One that retires has the number of the one in its place."""

    number: int
    state: str
    interface: str
    exchanges: int
    served: int
    age: float
    import_seconds: float
    startup_seconds: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """The server. Counters run from its start."""

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


def of_workers(pool: "Pool", now: float) -> tuple[WorkerStatistics, ...]:
    """Those that serve or start, then those that retire; `now` is the monotonic clock's."""
    return tuple(
        WorkerStatistics(
            number=worker.number,
            state=worker.state.name.lower(),
            interface=worker.interface,
            exchanges=pool.load(worker),
            served=worker.served,
            age=now - worker.began,
            import_seconds=worker.import_seconds,
            startup_seconds=worker.startup_seconds,
        )
        for worker in pool.workers + pool.retiring
    )

"""Statistics of one app: its workers, and the requests for them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """Statistics of one worker. A retiring one has the same number as the one that replaces it."""

    number: int
    state: str
    interface: str
    exchanges: int
    served: int
    age: float
    import_seconds: float
    startup_seconds: float


@dataclass(frozen=True, slots=True)
class AppStatistics:
    """Statistics of one app. Counters run from its start; workers that serve or start come before those that retire."""

    name: str
    route: str
    state: str
    in_progress: int
    waiting: int
    abandoned: int
    lost_wakeups: int
    workers: tuple[WorkerStatistics, ...]

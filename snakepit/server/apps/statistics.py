"""What is going on in one app: its workers, and the requests for them."""

from dataclasses import dataclass


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
class AppStatistics:
    """One app. Counters run from its start; the workers that serve or start come before those that retire."""

    in_progress: int
    waiting: int
    abandoned: int
    lost_wakeups: int
    workers: tuple[WorkerStatistics, ...]

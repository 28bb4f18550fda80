"""What comes of changes to the workers, and why some can't start."""

from dataclasses import dataclass

from snakepit.errors import AppError, AppImportError, ConfigError, LifespanError, StartTimeout, WorkerLost
from snakepit.server.workers.worker import Worker
from snakepit.system import limits

STOPPING = "the server is stopping"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of replacing workers, or of having more or fewer; true if it is what was asked for."""

    count: int
    """The workers that were replaced, or started, or retired."""
    trouble: str = ""
    """Why it went no further."""

    def __bool__(self) -> bool:
        return not self.trouble

    @staticmethod
    def total(outcomes: "list[Outcome]") -> "Outcome":
        """Add up what came of several changes; the first trouble is the trouble of all."""
        count = sum(outcome.count for outcome in outcomes)
        return Outcome(count, next((outcome.trouble for outcome in outcomes if not outcome), ""))


def as_error(worker: Worker) -> AppError | ConfigError | WorkerLost:
    """What kept a worker from serving."""
    kind, fault = worker.failure
    if kind == "config":
        return ConfigError(fault)
    limit = limits.explain(fault)
    if limit is not None:
        return ConfigError(f"{worker} can't start: {limit}\n{fault}")
    if kind == "import":
        return AppImportError(fault)
    if kind == "lifespan":
        return LifespanError(fault)
    if kind == "timeout":
        return StartTimeout(fault)
    return WorkerLost(f"{worker} ended before it was ready\n{fault}".rstrip())

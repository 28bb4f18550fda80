"""Failures of workers, as errors and in words."""

from snakepit.errors import AppError, AppImportError, ConfigError, LifespanError, StartTimeout, WorkerLost
from snakepit.server.workers.worker import WorkerHandle
from snakepit.system import limits
from snakepit.system.words import capitalized


def as_error(worker: WorkerHandle) -> AppError | ConfigError | WorkerLost:
    """Return the error that kept a worker from serving."""
    kind, fault = worker.failure
    if kind == "config":
        return ConfigError(fault)
    limit = limits.explain(fault)
    if limit is not None:
        return ConfigError(f"{worker} can't start: {limit}\n{fault}")
    if kind == "import":
        return AppImportError(fault, worker.report.error_page)
    if kind == "lifespan":
        return LifespanError(fault, worker.report.error_page)
    if kind == "timeout":
        return StartTimeout(fault)
    return WorkerLost(f"{worker} ended before it was ready\n{fault}".rstrip())


def cause_of_end(worker: WorkerHandle) -> str:
    """Return what ended a worker, as far as it is known."""
    kind, fault = worker.failure
    if kind == "lost" and "\n" not in fault:
        return fault
    return f"{kind}\n{fault}" if fault else "without a word"


def of_daemon_threads(worker: WorkerHandle) -> str:
    """Describe the threads that a worker leaves behind, in a sentence."""
    names = worker.report.daemon_threads
    threads = "a daemon thread" if len(names) == 1 else "daemon threads"
    return (
        f"{capitalized(worker)} leaves {threads} running ({', '.join(names)}), so its interpreter "
        f"stays open until {'it ends' if len(names) == 1 else 'they end'}"
    )

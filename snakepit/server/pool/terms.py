"""What a pool is told, what it tells, and what it keeps of a worker that is to take another's place."""

import asyncio
from dataclasses import dataclass

from snakepit.errors import AppError, AppImportError, ConfigError, LifespanError, StartTimeout, WorkerLost
from snakepit.server.workers.runtimes import RuntimeName
from snakepit.server.workers.worker import Worker
from snakepit.system import limits
from snakepit.system.working_directory import WorkingDirectory
from snakepit.wire.settings import AppSettings

STOPPING = "the server is stopping"


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """What the pool must know.

    Args:
        workers: how many.
        threads: WSGI: exchanges at once in one worker.
        worker_concurrency: ASGI: exchanges at once in one worker.
        concurrency: exchanges in all, in workers and waiting; None: as many as workers and line take.
        waiting: how many exchanges may wait in the line.
        waiting_seconds: how long one may wait there.
        interface: "auto", "asgi" or "wsgi".
        runtime: what workers run in.
        retiring_seconds: how long a retired worker may take to finish what it has begun.
        max_requests: exchanges after which a worker is replaced; None: never.
        max_requests_jitter: up to so many more, at random, so that workers are not all replaced at once.
        lifetime: seconds after which a worker is replaced; None: never.
        max_rss: bytes in RAM past which a worker is replaced, or the process that all share; None: never.
        startup_seconds: how long a worker may take until it is ready; 0: for ever.
        response_seconds: how long a worker may take to begin a response; None: for ever.
        silent_seconds: how long a worker may be silent when it is asked whether it is alive; 0: for ever.
        patient: an app that can't be started may be mended, so wait for that.
        settings: what each worker is told; see snakepit.wire.settings.
        page_script: the address of a script for pages, but for the number of their version; empty: there is none.
        working_directory: where each worker starts anew; None: wherever the process is.
        closing_seconds: at the end of the pool, how long an interpreter may take to be closed once its app has ended;
            then it is left open. None: as long as it takes.
    """

    workers: int
    threads: int
    worker_concurrency: int
    concurrency: int | None
    waiting: int
    waiting_seconds: float
    interface: str
    runtime: RuntimeName
    settings: AppSettings
    retiring_seconds: float = 30.0
    max_requests: int | None = None
    max_requests_jitter: int = 0
    lifetime: float | None = None
    max_rss: int | None = None
    startup_seconds: float = 0.0
    response_seconds: float | None = None
    silent_seconds: float = 0.0
    patient: bool = False
    page_script: str = ""
    working_directory: WorkingDirectory | None = None
    closing_seconds: float | None = None


class Observer:
    """Whoever wants to follow the workers' lives; does nothing by itself."""

    def worker_ready(self, worker: Worker) -> None:
        """A worker takes exchanges now."""

    def worker_replaced(self, worker: Worker, delay: float) -> None:
        """A worker ended by itself; another is started after `delay` seconds."""

    def successor_failed(self, worker: Worker, fault: str) -> None:
        """A worker that was to replace another could not start; the other goes on."""

    def memory_kept(self, predecessor: Worker, size: int | None) -> None:
        """A worker that held private copies of C extensions has been replaced, and what these keep stays in memory.

        `size`: by how many bytes the process has grown, if that can be told. A process in which this happens often
        should be replaced itself.
        """

    def worn_out(self, reason: str) -> bool:
        """Something has piled up that goes only with the process: have it replaced.

        Returns whether that is being seen to. It is told once; again when there is clearly more of it.
        """
        return False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of replacing workers, or of having more or fewer; true if it is what was asked for."""

    count: int
    """The workers that were replaced, or started, or retired."""
    trouble: str = ""
    """Why it went no further."""

    def __bool__(self) -> bool:
        return not self.trouble


@dataclass(slots=True)
class Succession:
    """A worker that is to take another's place."""

    worker: Worker
    trouble: asyncio.Future[str]  # what keeps the place from being taken; empty: this worker or a newer one took it
    memory_before: int | None
    """Bytes resident in the process when it began; None where others are coming and going, too."""
    siblings: frozenset[int] = frozenset()
    """The workers that are being replaced together with this one, by number."""

    def settle(self, trouble: str) -> None:
        """The place was taken, or will not be."""
        if not self.trouble.done():
            self.trouble.set_result(trouble)


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

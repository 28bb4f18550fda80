"""The options of a pool."""

from dataclasses import dataclass

from snakepit.server.workers.runtimes import RuntimeName
from snakepit.system.working_directory import WorkingDirectory
from snakepit.wire.settings import AppSettings


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """The options of a pool, derived from `Config`.

    Args:
        workers: how many.
        threads: WSGI: exchanges at once in one worker.
        worker_concurrency: ASGI: exchanges at once in one worker.
        concurrency: exchanges in all, in workers and waiting; None: as many as workers and queue take.
        waiting: how many exchanges may wait in the queue.
        waiting_seconds: how long one may wait in the queue.
        interface: "auto", "asgi" or "wsgi".
        runtime: what workers run in.
        retiring_seconds: how long a retired worker may take to finish what it has begun.
        max_requests: exchanges after which a worker is replaced; None: never.
        max_requests_jitter: up to so many more, at random, so that workers are not all replaced at once.
        lifetime: seconds after which a worker is replaced; None: never.
        max_rss: bytes in RAM past which a worker is replaced, or the process that all share; None: never.
        startup_seconds: how long a worker may take until it is ready; 0: no limit.
        response_seconds: how long a worker may take to begin a response; None: no limit.
        silent_seconds: how long a worker may be silent when it is asked whether it is alive; 0: no limit.
        patient: an app that can't be started may be corrected, so wait for that.
        settings: for each worker, see snakepit.wire.settings; without the version in the address of the script for
            pages.
        working_directory: entered again at each worker's start; None: the process's current one.
        closing_seconds: at the end of the pool, how long an interpreter may take to be closed once its app has ended;
            then it is left open. None: no limit.
        app: what the log calls the app, if there are several.
        kept_body: WSGI: bytes of a request's body that are kept until all of it is here; 0: none.
        kept_body_on_disk: WSGI: whether what is more is kept in files.
        kept_answer: WSGI: bytes of an answer that are kept in memory while its client does not take them; 0: none.
        kept_answer_on_disk: WSGI: whether what is more is kept in files.
        max_workers: up to how many are started while exchanges wait; below `workers`: there are always so many.
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
    working_directory: WorkingDirectory | None = None
    closing_seconds: float | None = None
    app: str = ""
    kept_body: int = 0
    kept_body_on_disk: bool = False
    kept_answer: int = 0
    kept_answer_on_disk: bool = False
    max_workers: int = 0

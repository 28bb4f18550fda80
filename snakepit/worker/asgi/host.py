"""The worker, as one of its exchanges needs it."""

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio

    from snakepit.wire.loop_ends import WorkerLoopEnd
    from snakepit.worker.asgi.lifespan import AsgiApp
    from snakepit.worker.error_page.answers import ErrorPages
    from snakepit.worker.hangs.asgi_tasks import RunningTasks


class ExchangeHost[X](Protocol):
    """The worker, as an exchange needs it."""

    app: "AsgiApp"
    app_sends_files: bool
    end: "WorkerLoopEnd"
    error_pages: "ErrorPages | None"
    loop: "asyncio.AbstractEventLoop"
    may_time_out: bool
    mount: str
    root_path: str
    state: dict[str, Any]
    stopping: bool
    tasks: "RunningTasks"
    ws_max_queue: int

    def finished(self, exchange: X) -> None:
        """Note that the app has ended for an exchange in which it had waited for something."""

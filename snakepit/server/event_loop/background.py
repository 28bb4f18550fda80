"""Background tasks: tasks whose end no code waits for.

asyncio reports an exception in such a task when the garbage collector finds the task: too late, and never while a
reference to it is kept. Here the exception is logged as soon as the task ends.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger("snakepit.server")


class BackgroundTasks(set[asyncio.Task[Any]]):
    """The background tasks of one owner that have not ended."""

    def begin[T](self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Run `work` as a task, and log the exception that it ends with, if any.

        Code that awaits the task nevertheless gets the exception, too.
        """
        task = asyncio.get_running_loop().create_task(work)

        def ended(task: asyncio.Task[T]) -> None:
            self.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                _log.error("Error in the background task %s, which has ended", name, exc_info=error)

        name = getattr(work, "__qualname__", "")
        self.add(task)
        task.add_done_callback(ended)
        return task

    def cancel(self) -> None:
        """Cancel all."""
        for task in self:
            task.cancel()

    async def wait_cancelled(self) -> None:
        """Cancel all, and wait until they have ended."""
        self.cancel()
        await asyncio.gather(*self, return_exceptions=True)  # an exception has been logged


async def wait_first_of(*conditions: Coroutine[Any, Any, object]) -> None:
    """Wait for any of the conditions."""
    tasks = [asyncio.ensure_future(condition) for condition in conditions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()

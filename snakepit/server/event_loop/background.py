"""Background tasks: work for whose end nobody waits.

asyncio tells of an exception in such a task when the garbage collector finds it: too late, and never while somebody
keeps the task to cancel it one day. Here it is logged as soon as the task ends.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger("snakepit.server")


def spawn[T](work: Coroutine[object, object, T], among: set[asyncio.Task[Any]]) -> asyncio.Task[T]:
    """Run `work` as a task, keep that in `among` until it ends, and log the exception that it ends with, if any.

    Who waits for the task all the same gets the exception, too.
    """
    task = asyncio.get_running_loop().create_task(work)

    def ended(task: asyncio.Task[T]) -> None:
        among.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("Error in the background task %s, which has ended", name, exc_info=error)

    name = getattr(work, "__qualname__", "")
    among.add(task)
    task.add_done_callback(ended)
    return task

"""Work in threads of its own, for what an event loop has to wait for without blocking."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any


def in_thread[T](loop: asyncio.AbstractEventLoop, work: Callable[[], T]) -> asyncio.Future[T]:
    """Run `work` in a thread, and return the future of its result or exception.

    The thread is a daemon, unlike an executor's: the process may end while it waits for a server that does not answer.
    """
    done: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = work()
        except BaseException as raised:
            error = raised
        try:
            loop.call_soon_threadsafe(_settle, done, result, error)
        except RuntimeError:  # the loop is closed
            return

    threading.Thread(target=run, name="snakepit-acme", daemon=True).start()
    return done


def _settle(done: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)
        done.exception()  # so that asyncio does not complain where the loop ends before anybody has looked

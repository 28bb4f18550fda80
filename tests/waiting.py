"""How tests wait: for conditions, never for time to pass."""

import asyncio
import os
import time
from collections.abc import Callable
from time import monotonic

FACTOR = float(os.environ.get("SNAKEPIT_TEST_PATIENCE", "1"))
"""Stretches every limit of the tests, on slow machines. Read here and nowhere else."""

PATIENCE = 60.0 * FACTOR
"""Seconds until a test gives a condition up. Only what has failed waits so long, so it is far more than enough: beside
two processes that keep both cores busy, the slowest conditions have taken 20."""

_MOST_TURNS = 100_000
"""Turns of an event loop after which its callbacks are taken to go on for ever."""


async def turn() -> None:
    """Let everything run that can run without time passing, and all that comes of it. For asyncio's own loops."""
    ready = asyncio.get_running_loop()._ready
    for _ in range(_MOST_TURNS):
        await asyncio.sleep(0)
        if not ready:  # nothing ran before this in the same turn that is to be followed by something
            return
    raise AssertionError("the loop does not come to rest")


async def until[T](condition: Callable[[], T], patience: float = PATIENCE, pause: float = 0.001) -> T:
    """Return what a condition says as soon as that is true.

    It is looked at every `pause` seconds; on a loop whose clock stands still that has to be 0.
    """
    end = monotonic() + patience
    while not (found := condition()):
        if monotonic() > end:
            raise TimeoutError(f"waited for {patience:g} seconds")
        await asyncio.sleep(pause)
    return found


def wait_until[T](condition: Callable[[], T], what: str = "a condition holds", patience: float = PATIENCE) -> T:
    """Return what a condition says as soon as that is true.

    It is looked at every 5 milliseconds, and it is another thread or process that makes it so.
    """
    end = monotonic() + patience
    while not (found := condition()):
        if monotonic() > end:
            raise AssertionError(f"gave up waiting until {what}")
        time.sleep(0.005)
    return found

"""How tests wait: for conditions, never for time to pass."""

import asyncio
import os

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

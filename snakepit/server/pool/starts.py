"""Starts of workers, and their time limits.

A start that takes long is logged once, with its stack; one that exceeds the limit is given up.
"""

import asyncio
import logging
from collections.abc import Callable

from snakepit.server.event_loop.background import BackgroundTasks
from snakepit.server.lifecycle import WorkerState
from snakepit.server.workers.worker import WorkerHandle
from snakepit.system.words import capitalized

LONG_START = 30.0
"""Seconds after which a start is logged as long: machine-learning models and large apps have needed less."""


class Starts:
    """The starting workers, and the time that they take.

    Args:
        seconds: how long a start may take; 0: no limit.
        timed_out: called with a worker whose start took longer, and a text about it.
    """

    def __init__(self, seconds: float, timed_out: Callable[[WorkerHandle, str], None]) -> None:
        self._seconds = seconds
        self._timed_out = timed_out
        self._log = logging.getLogger("snakepit.server")
        self._tasks = BackgroundTasks()
        self._watching = BackgroundTasks()

    async def start_first(self, worker: WorkerHandle) -> None:
        """Start a worker, and wait until its thread runs."""
        self._watch(worker)
        await worker.start()

    def start(self, worker: WorkerHandle) -> None:
        """Start a worker now."""
        self._watch(worker)
        self._tasks.begin(worker.start())

    def close(self) -> None:
        """Stop watching starts."""
        self._seconds = 0.0
        self._watching.cancel()

    def _watch(self, worker: WorkerHandle) -> None:
        self._watching.begin(self._wait_for(worker))

    async def _wait_for(self, worker: WorkerHandle) -> None:
        limit = self._seconds
        if not limit or limit > LONG_START:
            if not await _takes_longer(worker, LONG_START):
                return
            then = f" (--timeout-startup gives it up after {limit:g})" if limit else ""
            told = await _told(worker, f"has been starting for {LONG_START:g} s{then}")
            if worker.state is WorkerState.STARTING:  # otherwise it has just ended
                self._log.warning("%s", told)
        if limit and await _takes_longer(worker, limit - LONG_START if limit > LONG_START else limit):
            told = await _told(worker, f"was not ready within {limit:g} s (--timeout-startup)")
            if worker.state is WorkerState.STARTING:
                self._timed_out(worker, told)


async def _takes_longer(worker: WorkerHandle, seconds: float) -> bool:
    """Wait so long; returns whether a worker is still starting then."""
    await asyncio.sleep(seconds)
    return worker.state is WorkerState.STARTING


async def _told(worker: WorkerHandle, what: str) -> str:
    """Describe a worker's long start, with its stack."""
    where = await worker.watchdog.wait_stack()
    doing = "runs the app's lifespan start-up" if worker.report.interface else "imports the app"
    at = f", and is at\n{where}" if where else "; where in that it is can't be told: C code may keep its GIL"
    return f"{capitalized(worker)} {what}: it {doing}{at}"

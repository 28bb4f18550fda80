"""How long workers take to start.

A start that takes long is told once, with where it is; one that takes longer than it may is given up.
"""

import asyncio
import logging
from collections.abc import Callable

from snakepit.server.event_loop.background import spawn
from snakepit.server.lifecycle import WorkerState
from snakepit.server.workers.worker import WorkerHandle

LONG_START = 30.0
"""Seconds after which a start is taken to be long: machine-learning models and large apps have needed less."""


class Starts:
    """Starts workers, and watches how long that takes.

    Args:
        seconds: how long a start may take; 0: no limit.
        timed_out: called with a worker whose start took longer, and what there is to say about it.
    """

    def __init__(self, seconds: float, timed_out: Callable[[WorkerHandle, str], None]) -> None:
        self._seconds = seconds
        self._timed_out = timed_out
        self._log = logging.getLogger("snakepit.server")
        self._tasks: set[asyncio.Task[object]] = set()
        self._watching: set[asyncio.Task[object]] = set()

    async def start_first(self, worker: WorkerHandle) -> None:
        """Start a worker; returns when its thread runs."""
        self._watch(worker)
        await worker.start()

    def start(self, worker: WorkerHandle) -> None:
        """Start a worker now."""
        self._watch(worker)
        spawn(worker.start(), self._tasks)

    def close(self) -> None:
        """Watch nothing any more."""
        self._seconds = 0.0
        for task in self._watching:
            task.cancel()

    def _watch(self, worker: WorkerHandle) -> None:
        spawn(self._wait_for(worker), self._watching)

    async def _wait_for(self, worker: WorkerHandle) -> None:
        limit = self._seconds
        if not limit or limit > LONG_START:
            if not await _takes_longer(worker, LONG_START):
                return
            then = f" (--timeout-startup gives it up after {limit:g})" if limit else ""
            told = await _told(worker, f"has been starting for {LONG_START:g} s{then}")
            if worker.state is WorkerState.STARTING:  # or it came to an end just now
                self._log.warning("%s", told)
        if limit and await _takes_longer(worker, limit - LONG_START if limit > LONG_START else limit):
            told = await _told(worker, f"was not ready within {limit:g} s (--timeout-startup)")
            if worker.state is WorkerState.STARTING:
                self._timed_out(worker, told)


async def _takes_longer(worker: WorkerHandle, seconds: float) -> bool:
    """Whether a worker is still starting after so long."""
    await asyncio.sleep(seconds)
    return worker.state is WorkerState.STARTING


async def _told(worker: WorkerHandle, what: str) -> str:
    """What is to be said of a worker's start, and where it is."""
    where = await worker.watchdog.wait_stack()
    doing = "runs the app's lifespan start-up" if worker.report.interface else "imports the app"
    at = f", and is at\n{where}" if where else "; where in that it is can't be told: C code may keep its GIL"
    return f"{str(worker).capitalize()} {what}: it {doing}{at}"

"""How workers start: in which order, for how long, and how often.

The first worker of a server starts alone, and the others when it is ready. Workers that import an app at the same
moment, or run its lifespan start-up, race where it says "if it does not exist, make it": a table, a folder, the journal
mode of an SQLite file. What the first one has made, the others find. Whoever still loses such a race, to another
server process perhaps, gets another attempt: see `pause_before_next_attempt`.

A start that takes long is told once, with where it is; one that takes longer than it may is given up.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable

from snakepit.server.event_loop.background import spawn
from snakepit.server.lifecycle import WorkerState
from snakepit.server.workers.worker import Worker

ATTEMPTS = 3
"""How often a worker may start that could not though another one could. Whoever lost a race wins the next."""

PAUSE = 0.5
"""Seconds before another attempt: what another one makes is made by then, and a lock is given back."""

LONG = 30.0
"""Seconds after which a start is taken to be long: machine-learning models and large apps have needed less."""


class Starts:
    """See the module.

    Args:
        seconds: how long a start may take; 0: for ever.
        timed_out: called with a worker whose start took longer, and what there is to say about it.
    """

    def __init__(self, seconds: float, timed_out: Callable[[Worker, str], None]) -> None:
        self._seconds = seconds
        self._timed_out = timed_out
        self._log = logging.getLogger("snakepit.server")
        self._waiting: list[Worker] = []  # for the first one
        self._attempts: Counter[int] = Counter()  # by a worker's number
        self._tasks: set[asyncio.Task[object]] = set()
        self._watching: set[asyncio.Task[object]] = set()

    async def begin(self, workers: list[Worker]) -> None:
        """Start the first of a new server's workers; the others start at the next `go_on`."""
        first, *self._waiting = workers
        self._watch(first)
        await first.start()

    def go_on(self) -> None:
        """Start those that wait, if some do."""
        waiting, self._waiting = self._waiting, []
        for worker in waiting:
            self.start(worker)

    def start(self, worker: Worker) -> None:
        """Start a worker now."""
        self._watch(worker)
        spawn(worker.start(), self._tasks)

    def drop(self, worker: Worker) -> bool:
        """Do not start a worker that waits; returns whether it did."""
        if worker not in self._waiting:
            return False
        self._waiting.remove(worker)
        worker.drop()
        return True

    def pause_before_next_attempt(self, number: int) -> float | None:
        """Count an attempt that failed; returns the seconds until the next one, None if there is to be none."""
        self._attempts[number] += 1
        return PAUSE if self._attempts[number] < ATTEMPTS else None

    def close(self) -> None:
        """Start nothing more, and watch nothing."""
        self._seconds = 0.0
        for worker in list(self._waiting):
            self.drop(worker)
        for task in self._watching:
            task.cancel()

    def _watch(self, worker: Worker) -> None:
        spawn(self._mind(worker), self._watching)

    async def _mind(self, worker: Worker) -> None:
        limit = self._seconds
        if not limit or limit > LONG:
            if not await _takes_longer(worker, LONG):
                return
            then = f" (--timeout-startup gives it up after {limit:g})" if limit else ""
            told = await _told(worker, f"has been starting for {LONG:g} s{then}")
            if worker.state is WorkerState.STARTING:  # or it came to an end just now
                self._log.warning("%s", told)
        if limit and await _takes_longer(worker, limit - LONG if limit > LONG else limit):
            told = await _told(worker, f"was not ready within {limit:g} s (--timeout-startup)")
            if worker.state is WorkerState.STARTING:
                self._timed_out(worker, told)


async def _takes_longer(worker: Worker, seconds: float) -> bool:
    """Whether a worker is still starting after so long."""
    await asyncio.sleep(seconds)
    return worker.state is WorkerState.STARTING


async def _told(worker: Worker, what: str) -> str:
    """What is to be said of a worker's start, and where it is."""
    where = await worker.watchdog.wait_stack()
    doing = "runs the app's lifespan start-up" if worker.interface else "imports the app"
    at = f", and is at\n{where}" if where else "; where in that it is can't be told: C code may keep its GIL"
    return f"{str(worker).capitalize()} {what}: it {doing}{at}"

"""Recycling: replaces workers for their age, or because an exchange hangs in them.

It replaces one at a time, since starting takes CPU time from the workers that serve.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from snakepit.server.event_loop.background import BackgroundTasks
from snakepit.server.event_loop.timers import Timers
from snakepit.server.events.kinds import Kind
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.lifecycle import WorkerState
from snakepit.server.pool.observer import Observer
from snakepit.server.pool.options import PoolOptions
from snakepit.server.pool.outcome import Outcome
from snakepit.server.pool.roster import Roster
from snakepit.server.workers.worker import WorkerHandle
from snakepit.system.words import capitalized

_log = logging.getLogger("snakepit.server")


class Recycling:
    """The age of workers, in exchanges and seconds; replaces old ones, one after the other.

    Args:
        roster: the workers.
        replace: replaces the worker with this number, for this reason; returns whether that succeeded.
        observer: hears of exchanges that hang.
    """

    def __init__(
        self,
        options: PoolOptions,
        roster: Roster,
        replace: Callable[[int, str], Awaitable[Outcome]],
        observer: Observer,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._observer = observer
        self._options = options
        self._roster = roster
        self._replace = replace
        self._turn = asyncio.Lock()
        self._limits: dict[WorkerHandle, int] = {}  # how many exchanges each may serve, if that is limited
        self._ages = Timers(loop)  # if lifetimes are
        self._outworn: set[WorkerHandle] = set()  # that are replaced because an exchange hangs in them
        self._tasks = BackgroundTasks()

    def count_age(self, worker: WorkerHandle) -> None:
        """Count a worker's age from now on, and replace it when it reaches a limit."""
        options = self._options
        if options.max_requests is not None:
            most = options.max_requests + random.randint(0, options.max_requests_jitter)
            self._limits[worker] = worker.served + most
        if options.lifetime is not None:
            self._ages.start(worker.number, options.lifetime, self._recycle_soon, worker, "lifetime")

    def forget_age(self, number: int) -> None:
        """Cancel the timer of a place."""
        self._ages.forget(number)

    def served(self, worker: WorkerHandle) -> None:
        """Count exchanges that a worker has finished."""
        limit = self._limits.get(worker)
        if limit is not None and worker.served >= limit:
            del self._limits[worker]
            self._recycle_soon(worker, "requests")

    def ended(self, worker: WorkerHandle) -> None:
        """Forget a worker that has ended."""
        self._limits.pop(worker, None)

    def exchange_hangs(self, worker: WorkerHandle, exchange: Exchange) -> None:
        """Replace, once, the worker of an exchange that timed out and can't be ended."""
        if self._roster.closing or worker in self._outworn or not self._roster.is_current(worker):
            return
        if worker.state is WorkerState.READY and self._options.runtime != "thread":
            self._outworn.add(worker)
            name, what = capitalized(worker), "which timed out there, can't be ended"
            where = f"\n{exchange.where}" if exchange.where else ""
            _log.error("%s is replaced: %s, %s%s", name, exchange.asked_for, what, where)
            request = f"{exchange.head.method} {exchange.head.path}"
            self._observer.happened(Kind.WORKER_HUNG, f"{name} is replaced: {request}, {what}", worker.number, "hang")
            self._tasks.begin(self._replace_outworn(worker))

    async def recycle(self, worker: WorkerHandle, reason: str) -> bool:
        """Replace a worker when its turn comes, unless it is being replaced; False if no new one could start.

        `reason`: one of the roster's REASONS.
        """
        async with self._turn:
            if self._roster.may_be_recycled(worker):
                replaced = await self._replace(worker.number, reason)
                if not replaced and self._roster.is_current(worker):
                    self.count_age(worker)
                return bool(replaced)
        return True

    def close(self) -> None:
        """Cancel all timers."""
        self._ages.close()

    def _recycle_soon(self, worker: WorkerHandle, reason: str) -> None:
        if self._roster.may_be_recycled(worker):
            self._tasks.begin(self.recycle(worker, reason))

    async def _replace_outworn(self, worker: WorkerHandle) -> None:
        await self.recycle(worker, "hang")
        self._outworn.discard(worker)  # if it still serves, the next hang is a reason to try again

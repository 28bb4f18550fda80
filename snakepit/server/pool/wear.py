"""Wear: memory that accumulates while a server runs, and the replacement of workers or the process for it.

A worker in a process of its own is replaced when that process uses too much memory. Interpreters share one process,
which may keep the memory of closed ones: so a new process is requested. Only if no manager can start one, the workers
are replaced, one after the other, since that may help.

Replacing again soon after a replacement would not help. So a worker or process that uses too much soon after its start
needs that much: it is not replaced until it uses clearly more, and the log says so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from snakepit.server.event_loop.background import BackgroundTasks
from snakepit.server.pool.roster import Roster
from snakepit.server.workers.worker import WorkerHandle
from snakepit.system.memory import resident_memory
from snakepit.system.words import capitalized, mebibytes

CHECK_PERIOD = 1.0
"""Seconds between two checks of memory. A check is cheap: 20 microseconds for a process."""

FRESH = 10.0
"""Seconds after its start in which nothing is replaced for its memory."""

TAKEN = 20.0
"""Nor within so many times the duration of its start, so that starts take at most a twentieth of the time."""

CLEARLY = 1.25
"""The factor by which memory must grow until a worker or process that needs more than the limit is replaced."""

RETRY = 30.0
"""Seconds to the next attempt if a new worker could not start."""

KEPT = 512 * 2**20
"""Bytes that copies of C extensions may leave behind: the same for servers of any size, since this memory is lost."""

_log = logging.getLogger("snakepit.server")


class Wear:
    """The monitor of memory, which has workers or the process replaced.

    Args:
        roster: the workers.
        limit: the most bytes; None: no limit.
        apart: each worker has a process of its own.
        recycle: replaces a worker, for this reason; returns False if no new one could start.
        worn_out: requests a new process, with the reason; returns whether a manager will start one.
    """

    def __init__(
        self,
        roster: Roster,
        limit: int | None,
        apart: bool,
        recycle: Callable[[WorkerHandle, str], Awaitable[bool]],
        worn_out: Callable[[str], bool],
    ) -> None:
        self._roster = roster
        self._limit = limit or 0
        self._apart = apart
        self._recycle = recycle
        self._worn_out = worn_out
        self._kept = 0
        self._kept_bar = KEPT
        self._tasks = BackgroundTasks()
        self._took = 0.0  # seconds, the latest start of what replaced something

    def kept(self, size: int) -> None:
        """Count so many bytes that stay in memory after the replacement of a worker."""
        self._kept += size
        if self._kept > self._kept_bar:
            self._kept_bar = self._kept + KEPT
            reason = f"Copies of C extensions that are no longer used keep {mebibytes(self._kept)} MiB"
            if not self._worn_out(reason):
                _log.warning("%s, until the server is restarted", reason)

    def start(self, all_ready: asyncio.Event) -> None:
        """Check memory periodically, once all workers are ready."""
        self._tasks.begin(self._watch(all_ready))

    def close(self) -> None:
        """Stop checking."""
        self._tasks.cancel()

    async def _watch(self, all_ready: asyncio.Event) -> None:
        await all_ready.wait()
        await (self._watch_workers() if self._apart else self._watch_process())

    async def _watch_workers(self) -> None:
        bars: dict[WorkerHandle, _Bar] = {}
        while True:
            await asyncio.sleep(CHECK_PERIOD)
            serving = self._roster.serving
            bars = {worker: bars.get(worker) or self._new_bar(since) for worker, since in serving.items()}
            for worker, bar in bars.items():
                name = capitalized(worker)
                if bar.passed(worker.thread.memory, name):
                    _log.info("%s: it is replaced", bar.reason(name))
                    if not await self._replace([worker]):
                        await asyncio.sleep(RETRY)
                    break  # the replacement took time, so other values are out of date

    async def _watch_process(self) -> None:
        bar = self._new_bar(_now())
        name = "The process"
        while True:
            await asyncio.sleep(CHECK_PERIOD)
            if not bar.passed(resident_memory(), name):
                continue
            if self._worn_out(bar.reason(name)):
                bar.lift()
                continue
            _log.warning("%s: workers are replaced, one after the other", bar.reason(name))
            worn = list(self._roster.serving)
            if not await self._replace(worn):
                await asyncio.sleep(RETRY)
                continue
            while not set(worn).isdisjoint(self._roster.retiring):
                await asyncio.sleep(CHECK_PERIOD)
            bar = self._new_bar(_now())

    async def _replace(self, workers: list[WorkerHandle]) -> bool:
        """Replace these, one after the other; stops at the first one for which no new worker can start."""
        began = _now()
        for worker in workers:
            if not await self._recycle(worker, "memory"):
                return False
        self._took = _now() - began
        return True

    def _new_bar(self, since: float) -> "_Bar":
        return _Bar(self._limit, since + max(FRESH, self._took * TAKEN))


class _Bar:
    """The effective limit for a worker, or for all of them: the given one, or more if they need more from the start.

    Args:
        fresh_until: loop time.
    """

    def __init__(self, limit: int, fresh_until: float) -> None:
        self._limit = limit
        self._height: float = limit
        self._fresh_until = fresh_until
        self._size = 0

    def passed(self, size: int | None, name: str) -> bool:
        """Tell whether to replace something for so many bytes. Raises the limit if a replacement would be useless."""
        if size is None or size <= self._height:
            return False
        self._size = size
        if _now() >= self._fresh_until:
            return True
        self.lift()
        _log.warning("%s, soon after the start: nothing is done about it below %d MiB",
                     self.reason(name), mebibytes(self._height))  # fmt: skip
        return False

    def lift(self) -> None:
        """Raise the limit clearly above the memory in use."""
        self._height = self._size * CLEARLY

    def reason(self, name: str) -> str:
        """The reason for the replacement, in words."""
        return f"{name} has {mebibytes(self._size)} MiB in RAM, more than --workers-max-rss {mebibytes(self._limit)}"


def _now() -> float:
    return asyncio.get_running_loop().time()

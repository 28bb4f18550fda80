"""How workers are brought to their end: told to, waited for, cut, and at last given up.

What a worker has begun it may finish until its deadline. Then it is cut; and one that does not even end then is left to
the pool, which abandons it.
"""

import asyncio
from collections.abc import Callable, Coroutine

from snakepit.server.event_loop.background import spawn
from snakepit.server.lifecycle import WorkerState
from snakepit.server.workers.worker import WorkerHandle

LAST_CALL = 3.0
"""Seconds that workers get to shut down once what they were doing has been cut."""

CUT_START = 0.5
"""Seconds that workers get, when the server stops, to leave an import, or to hear that their start-up is to end."""


class Endings:
    """Waits for workers that are to end.

    Args:
        seconds: how long one may take to finish what it has begun.
        closing_seconds: how long its interpreter may then take to be closed, once its app has ended, until that is left
            to the end of the process; None: as long as it takes.
        did_not_end: called with one that did not end in time, though it was cut.
    """

    def __init__(
        self,
        seconds: float,
        closing_seconds: float | None,
        did_not_end: Callable[[WorkerHandle], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._seconds = seconds
        self._closing_seconds = closing_seconds
        self._closing: set[WorkerHandle] = set()  # for so long that nobody waits for it any more
        self._did_not_end = did_not_end
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()

    def await_end(self, worker: WorkerHandle) -> asyncio.Task[None]:
        """See to it that a worker which was told to end does; the task ends when it has, or was given up."""
        return self._spawn(self._end([worker], self._deadline))

    def cut_start(self, worker: WorkerHandle) -> None:
        """Have a worker that is on its way leave its start, and see to it that it ends."""
        self._spawn(self._cut_start([worker], self._deadline))

    def forget_deadlines(self) -> None:
        """Cancel all waiting: one deadline is to hold for every worker."""
        for task in self._tasks:
            task.cancel()

    async def end_all(self, starting: list[WorkerHandle], others: list[WorkerHandle], deadline: float) -> None:
        """Return when all have ended or were given up: those that still start are cut now, others at `deadline`."""
        await asyncio.gather(self._cut_start(starting, deadline), self._end(others, deadline))

    @property
    def unclosed(self) -> int:
        """Interpreters that are still being closed, though nobody waits for that."""
        return sum(not worker.thread.ended.is_set() for worker in self._closing)

    @property
    def _deadline(self) -> float:
        return self._loop.time() + self._seconds

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        return spawn(work, self._tasks)

    async def _cut_start(self, workers: list[WorkerHandle], deadline: float) -> None:
        """Stop workers that are on their way: nobody waits for them. What a start-up has begun may be ended in time."""
        for worker in workers:
            worker.stop()
        unended = await self._wait_ended(workers, self._loop.time() + CUT_START)
        for worker in unended:
            if not worker.ends_start_up:
                self._did_not_end(worker)
        await self._end([worker for worker in unended if worker.state is not WorkerState.ABANDONED], deadline)

    async def _end(self, workers: list[WorkerHandle], deadline: float) -> None:
        """Wait for retired workers until `deadline`, and cut them then."""
        unended = await self._wait_ended(workers, deadline)
        if unended:
            for worker in unended:
                worker.stop()
            unended = await self._wait_ended(unended, self._loop.time() + LAST_CALL)
        for worker in unended:
            self._did_not_end(worker)

    async def _wait_ended(self, workers: list[WorkerHandle], deadline: float) -> list[WorkerHandle]:
        """Wait for workers to end until `deadline` (loop time); returns those that have not, nor are being closed."""
        try:
            async with asyncio.timeout_at(deadline):
                for worker in workers:
                    await self._wait_closed(worker)
        except TimeoutError:
            pass
        return [worker for worker in workers if not (worker.thread.ended.is_set() or worker in self._closing)]

    async def _wait_closed(self, worker: WorkerHandle) -> None:
        if self._closing_seconds is None:
            await worker.thread.ended.wait()
            return
        await worker.thread.closing.wait()
        try:
            async with asyncio.timeout_at((worker.thread.closing_since or 0.0) + self._closing_seconds):
                await worker.thread.ended.wait()
        except TimeoutError:
            self._closing.add(worker)

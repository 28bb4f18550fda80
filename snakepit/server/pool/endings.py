"""Ends workers: tells them to end, waits, cuts them, and finally gives them up.

A worker may finish what it has begun until its deadline. Then it is cut. If it does not end even then, the pool
abandons it.
"""

import asyncio
from collections.abc import Callable

from snakepit.server.event_loop.background import BackgroundTasks
from snakepit.server.lifecycle import WorkerState
from snakepit.server.workers.worker import WorkerHandle

LAST_CALL = 3.0
"""Seconds for workers to shut down once their work has been cut."""

CUT_START = 0.5
"""Seconds for workers, when the server stops, to leave an import, or to react to the cancellation of their start-up."""


class Endings:
    """The workers that are ending.

    Args:
        seconds: how long one may take to finish what it has begun.
        closing_seconds: how long closing its interpreter may take, once its app has ended, before that is left to the
            end of the process; None: no limit.
        did_not_end: called with one that did not end in time, although it was cut.
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
        self._closing: set[WorkerHandle] = set()  # for so long that the pool waits for it no more
        self._did_not_end = did_not_end
        self._loop = loop
        self._tasks = BackgroundTasks()

    def await_end(self, worker: WorkerHandle) -> asyncio.Task[None]:
        """Make sure that a worker that was told to end does; the task ends when it has ended, or was given up."""
        return self._tasks.begin(self._end([worker], self._deadline))

    def cut_start(self, worker: WorkerHandle) -> None:
        """Make a starting worker give up its start, and make sure that it ends."""
        self._tasks.begin(self._cut_start([worker], self._deadline))

    def forget_deadlines(self) -> None:
        """Cancel all waiting, since one deadline now applies to all workers."""
        self._tasks.cancel()

    async def end_all(self, starting: list[WorkerHandle], others: list[WorkerHandle], deadline: float) -> None:
        """Wait until all have ended or were given up: starting workers are cut now, others at `deadline`."""
        await asyncio.gather(self._cut_start(starting, deadline), self._end(others, deadline))

    @property
    def unclosed(self) -> int:
        """Interpreters that are still being closed, without the pool waiting for that."""
        return sum(not worker.thread.ended.is_set() for worker in self._closing)

    @property
    def _deadline(self) -> float:
        return self._loop.time() + self._seconds

    async def _cut_start(self, workers: list[WorkerHandle], deadline: float) -> None:
        """Stop starting workers, which serve nothing yet. They get time to clean up what their start-up has begun."""
        for worker in workers:
            worker.stop()
        unended = await self._wait_ended(workers, self._loop.time() + CUT_START)
        for worker in unended:
            if not worker.ends_start_up:
                self._did_not_end(worker)
        await self._end([worker for worker in unended if worker.state is not WorkerState.ABANDONED], deadline)

    async def _end(self, workers: list[WorkerHandle], deadline: float) -> None:
        """Wait for retired workers until `deadline`, then cut them."""
        unended = await self._wait_ended(workers, deadline)
        if unended:
            for worker in unended:
                worker.stop()
            unended = await self._wait_ended(unended, self._loop.time() + LAST_CALL)
        for worker in unended:
            self._did_not_end(worker)

    async def _wait_ended(self, workers: list[WorkerHandle], deadline: float) -> list[WorkerHandle]:
        """Wait for workers to end until `deadline` (loop time); returns those that still run."""
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

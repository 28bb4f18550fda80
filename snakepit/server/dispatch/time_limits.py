"""How long a worker may take to begin its answer, and then to end what it does for it."""

import asyncio
from collections.abc import Callable

from snakepit.server.dispatch.observer import QueueObserver
from snakepit.server.event_loop.deadlines import Deadlines
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.workers.worker import WorkerHandle

GRACE_BEHIND_BUSY_LOOP = 0.5
"""Seconds that an exchange gets beyond its time where its worker's loop was busy with another, which is being ended."""

LEAST_SECONDS_TO_END = 3.0
"""Seconds; the least that an app gets to end an exchange that timed out, until its worker is replaced. A worker's first
exception takes an import, of ctypes, beside all that its threads compute."""


class TimeLimits:
    """Answers exchanges in the app's stead that it does not begin to answer in time, and has it end them.

    Args:
        seconds: how long a worker may take to begin an answer.
        stuck: called with a worker, and an exchange that is still going on there long after it timed out.
    """

    def __init__(
        self,
        seconds: float,
        stuck: Callable[[WorkerHandle, Exchange], None],
        loop: asyncio.AbstractEventLoop,
        observer: QueueObserver,
    ) -> None:
        self._observer = observer
        self._seconds = seconds
        self._stuck = stuck
        self._clock: Deadlines[Exchange] = Deadlines(loop, seconds, self._took_too_long)
        self._grace: Deadlines[Exchange] = Deadlines(loop, GRACE_BEHIND_BUSY_LOOP, self._time_out)
        self._ending: Deadlines[tuple[WorkerHandle, Exchange]] = Deadlines(
            loop, max(seconds, LEAST_SECONDS_TO_END), self._did_not_end
        )

    def start(self, exchange: Exchange) -> None:
        """Limit the time of an exchange that a worker has got."""
        exchange.start_timeout(self._clock)

    def close(self) -> None:
        """Cancel all timers."""
        for deadlines in (self._clock, self._grace, self._ending):
            deadlines.close()

    def end(self, exchange: Exchange, by: str, why: str) -> None:
        """Answer an exchange's client now, and give the app a time to end what it does for it."""
        worker: WorkerHandle = exchange.home
        self._observer.request_interrupted(worker, exchange, by, why)
        exchange.time_out(why)
        worker.watchdog.end_exchange(exchange)
        self._ending.add((worker, exchange))

    def _took_too_long(self, exchange: Exchange) -> None:
        if exchange.home.is_blocked_by_another(exchange):
            exchange.start_timeout(self._grace)
        else:
            self._time_out(exchange)

    def _time_out(self, exchange: Exchange) -> None:
        """Answer the client now, and give the app as much time again to end."""
        self.end(exchange, "timeout-request", f"no response after {self._seconds:g} s")

    def _did_not_end(self, which: tuple[WorkerHandle, Exchange]) -> None:
        worker, exchange = which
        if worker.has(exchange):
            self._stuck(worker, exchange)

"""Wake-ups that were lost: workers that get nothing until they are heard of are asked whether they are awake."""

import asyncio
import logging
import math
from collections.abc import Callable, Collection
from time import monotonic

from snakepit.server.workers.worker import WorkerHandle
from snakepit.system.words import capitalized

ASK_AGAIN = 0.05
"""Seconds after which workers that get nothing until they are heard of are asked whether they are awake, again and
again. A wake-up that was lost, which is a bug, then costs so much, and not all that a worker could do."""

TELL_AGAIN = 10.0
"""Seconds between two lines in the log about lost wake-ups."""

_log = logging.getLogger("snakepit.server")


class WakeUps:
    """Asks workers that are asleep whether they are awake, and counts the wake-ups that were `lost`.

    Args:
        asleep: returns the workers that get nothing until they are heard of.
    """

    def __init__(self, asleep: Callable[[], Collection[WorkerHandle]], loop: asyncio.AbstractEventLoop) -> None:
        self.lost = 0
        self._asleep = asleep
        self._loop = loop
        self._asking: asyncio.TimerHandle | None = None  # set while a worker is asleep
        self._told_at = -math.inf  # loop time

    def ask_later(self) -> None:
        """Ask workers that are still asleep then."""
        if self._asking is None:
            self._asking = self._loop.call_later(ASK_AGAIN, self._ask)

    @property
    def asking(self) -> bool:
        """Whether workers will be asked."""
        return self._asking is not None

    def missed(self, worker: WorkerHandle, seconds: float) -> None:
        """Count a wake-up that was lost: a worker has rung so long ago, and was not heard."""
        self.lost += 1
        if self._loop.time() - self._told_at >= TELL_AGAIN:
            self._told_at = self._loop.time()
            _log.warning(
                "%s has rung %.0f ms ago and was not heard (lost wake-ups until now: %d): this is a bug in snakepit; "
                "please report it",
                capitalized(worker),
                seconds * 1000,
                self.lost,
            )

    def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()

    def _ask(self) -> None:
        self._asking = None
        for worker in self._asleep():
            worker.line.ask(monotonic())
            self.ask_later()

"""Whether workers still answer: each is asked now and then, and has so long to say something.

Its watchdog answers, and where there is an event loop, that has to turn, too. A worker that imports is not asked: C
extensions may keep its GIL for long then. One that retires has a deadline of its own.
"""

import asyncio
from collections.abc import Callable
from time import monotonic

from snakepit.server.lifecycle import WorkerState
from snakepit.server.pool.roster import Roster
from snakepit.server.workers.worker import WorkerHandle

ASKED = 4
"""Times that a worker is asked within the time that it has: so it is found to be silent a quarter of that late."""


class Heartbeat:
    """Asks workers whether they are alive, and finds those that do not answer.

    Args:
        roster: who there is.
        seconds: how long one may be silent; 0: no limit.
        silent: called with one that has been.
    """

    def __init__(
        self,
        roster: Roster,
        seconds: float,
        silent: Callable[[WorkerHandle], None],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._roster = roster
        self._seconds = seconds
        self._silent = silent
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to ask."""
        if self._seconds and self._timer is None:
            self._ask_later()

    def close(self) -> None:
        """Stop asking."""
        self._seconds = 0.0
        if self._timer is not None:
            self._timer.cancel()

    def _ask_later(self) -> None:
        pause = self._seconds / ASKED
        self._timer = self._loop.call_later(pause, self._ask, self._loop.time() + pause)

    def _ask(self, due: float) -> None:
        # When this loop was held up, what the workers said meanwhile has perhaps not been read yet.
        late = self._loop.time() - due > self._seconds / ASKED
        now = monotonic()
        for worker in self._roster.workers:
            if worker.state is WorkerState.READY:
                if not late and worker.silent_for(now) >= self._seconds:
                    self._silent(worker)
                else:
                    worker.ask_heartbeat(now)
        if self._seconds:
            self._ask_later()

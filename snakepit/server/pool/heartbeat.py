"""Heartbeats: each worker is asked periodically, and must answer within a time limit.

Its watchdog answers, and its event loop, if it has one, must not be blocked. A worker that imports the app is not
asked, since C extensions may keep its GIL for long then. A retiring worker has a deadline of its own.
"""

import asyncio
from collections.abc import Callable
from time import monotonic

from snakepit.server.lifecycle import WorkerState
from snakepit.server.pool.roster import Roster
from snakepit.server.workers.worker import WorkerHandle

ASKED = 4
"""Heartbeats within the time limit: so silence is noticed at most a quarter of the limit too late."""


class Heartbeat:
    """The heartbeats of a pool's workers: asks for them, and finds workers that do not answer.

    Args:
        roster: the workers.
        seconds: how long one may be silent; 0: no limit.
        silent: called with one that was silent for longer.
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
        # If this loop was blocked, heartbeats that came meanwhile may not have been read yet.
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

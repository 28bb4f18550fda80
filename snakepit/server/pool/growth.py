"""More workers while requests wait, and fewer when they are not needed: `--max-interpreters`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sized
from typing import Protocol

from snakepit.server.event_loop.background import BackgroundTasks
from snakepit.server.pool.outcome import Outcome

LOOK_PERIOD = 0.25
"""Seconds between two looks at the queue. Requests that wait at two of them in a row are no short peak."""

QUIET_SECONDS = 60.0
"""Seconds in which fewer workers would have been enough, until one goes."""

_log = logging.getLogger("snakepit.server")


class Queue(Protocol):
    """The numbers of requests that decide."""

    @property
    def in_progress(self) -> int:
        """Requests in workers and waiting."""

    @property
    def waiting(self) -> int:
        """Requests that no worker can begin yet."""


class Places(Protocol):
    """The workers that decide."""

    wanted: int

    @property
    def serving(self) -> Sized:
        """Those that get requests."""


class Growth:
    """The number of workers, between two bounds.

    One worker is added at a time, and the next when that one serves: a start takes CPU time from those that serve. One
    goes when for a minute so few requests were in progress that half of what the others can begin would have been
    enough.

    Args:
        least, most: the bounds.
        at_once: requests that one worker begins at once: one thread each, or one for an event loop, which serves more
            only while they wait for something else.
        scale: changes the number of workers.
        name: the app's, for the log; empty: it is the only one.
    """

    def __init__(
        self,
        least: int,
        most: int,
        places: Places,
        queue: Queue,
        at_once: Callable[[], int],
        scale: Callable[[int], Awaitable[Outcome]],
        name: str,
    ) -> None:
        self.least = least
        self._most = most
        self._places = places
        self._queue = queue
        self._at_once = at_once
        self._scale = scale
        self._of = f" of {name}" if name else ""
        self._waited = False  # at the last look
        self._peak = 0  # requests in progress at once, since it was last quiet
        self._quiet_looks = 0
        self._tasks = BackgroundTasks()

    def start(self, first_ready: asyncio.Event) -> None:
        """Begin to look, once there is a worker."""
        self._tasks.begin(self._watch(first_ready))

    def close(self) -> None:
        """Look no more."""
        self._tasks.cancel()

    async def _watch(self, first_ready: asyncio.Event) -> None:
        await first_ready.wait()
        while True:
            await asyncio.sleep(LOOK_PERIOD)
            wanted = self.look()
            if wanted is not None:
                await self._scale_to(wanted)

    def look(self) -> int | None:
        """Look at the queue; returns how many workers there should be, if that is another number."""
        places, queue = self._places, self._queue
        waits, waited = queue.waiting > 0, self._waited
        self._waited = waits
        if len(places.serving) < places.wanted:
            return None  # one starts, or was lost
        if waits:
            self._begin_anew()
            return places.wanted + 1 if waited and places.wanted < self._most else None
        self._peak = max(self._peak, queue.in_progress)
        if places.wanted <= self.least or self._peak * 2 > (places.wanted - 1) * self._at_once():
            self._begin_anew()
            return None
        self._quiet_looks += 1
        if self._quiet_looks * LOOK_PERIOD < QUIET_SECONDS:
            return None
        self._begin_anew()
        return places.wanted - 1

    def _begin_anew(self) -> None:
        self._peak = self._quiet_looks = 0

    async def _scale_to(self, wanted: int) -> None:
        before = self._places.wanted
        why = "requests wait" if wanted > before else f"fewer were enough for {QUIET_SECONDS:g} s"
        _log.info("Workers%s: %d, were %d, since %s", self._of, wanted, before, why)
        outcome = await self._scale(wanted)
        if outcome.trouble:
            _log.warning("There are not %d workers%s: %s", wanted, self._of, outcome.trouble)

"""How loaded a server is: its requests in a second, and how busy its workers are, over the last seconds.

Requests take no part in this: a timer looks now and then.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from snakepit.server.exchanges.websocket import SWITCHED
from snakepit.server.lifecycle import WorkerState

if TYPE_CHECKING:
    from snakepit.server.apps.app import App
    from snakepit.server.workers.worker import WorkerHandle

PAUSE = 0.5
"""Seconds between looks."""

KEPT = 20
"""Looks back that count, and so ten seconds."""


class _Look(NamedTuple):
    time: float
    requests: int
    busy: int  # workers that had a request
    ready: int  # workers


class Load:
    """Looks at the load of a server.

    Args:
        requests: returns how many have come.
    """

    def __init__(
        self,
        apps: "Iterable[App]",
        requests: Callable[[], int],
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._apps = apps
        self._requests = requests
        self._loop = loop
        self._clock = clock
        self._looks: deque[_Look] = deque(maxlen=KEPT + 1)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look."""
        self.look()
        self._timer = self._loop.call_later(PAUSE, self.start)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def look(self) -> None:
        """Look at the requests and workers."""
        ready = [worker for app in self._apps for worker in app.pool.workers if worker.state is WorkerState.READY]
        self._looks.append(_Look(self._clock(), self._requests(), sum(map(_is_busy, ready)), len(ready)))

    def told(self) -> dict[str, float | None]:
        """Return the requests in a second, and for which share of the time workers had one; None: not known yet."""
        looks = list(self._looks)
        seconds = looks[-1].time - looks[0].time if looks else 0.0
        ready = sum(look.ready for look in looks)
        return {
            "rate": round((looks[-1].requests - looks[0].requests) / seconds, 2) if seconds > 0 else None,
            "busy": round(sum(look.busy for look in looks) / ready, 3) if ready else None,
        }


def _is_busy(worker: "WorkerHandle") -> bool:
    """Tell whether a worker has a request; a session on a WebSocket says nothing of that."""
    return any(exchange.status != SWITCHED for exchange in worker.exchanges.values())

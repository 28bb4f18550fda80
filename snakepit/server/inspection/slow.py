"""The slowest requests of the last minutes: `snakepit slow`.

Requests take no part in this. A timer looks now and then at those in flight and notes which have taken long; the note
is completed when a later look no longer finds the request. WebSockets are sessions, and left out.
"""

import asyncio
import heapq
from collections.abc import Callable, Iterable
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any

from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.exchanges.websocket import WebSocketExchange
from snakepit.server.inspection.requests import path_of
from snakepit.server.lifecycle import EXCHANGE_WORDS, ExchangeState

if TYPE_CHECKING:
    from snakepit.server.apps.app import App

SLOW = 1.0
"""Seconds after which a request is noted."""

PAUSE = 0.5
"""Seconds between looks while nothing is noted. The next one comes sooner if a request is about to have taken long."""

PAUSE_WHILE_SLOW = 0.1
"""Seconds between looks while a noted request is in flight: so exactly is its end known."""

LEAST_PAUSE = 0.05
"""Seconds; the least between looks, however many requests are about to have taken long."""

TIMES = 200
"""The least pause, in times of what the look took: so looks take 0.5 % of the loop's time at most. With 10,000 requests
in flight one takes 0.8 ms."""

MOST_IN_FLIGHT = 1000
"""The most requests in flight that are noted."""

MOST_ENDED = 200
"""The most requests that are kept after their end: the slowest."""

KEPT = 600.0
"""Seconds that a request is kept after its end."""


class Note:
    """What is known of a slow request. `streams`: it had begun to be answered before it was slow."""

    def __init__(self, app: str, exchange: Exchange) -> None:
        self.app = app
        self.exchange: Exchange | None = exchange  # while it is in flight: it holds header fields and a body
        self.method = exchange.head.method
        self.path = path_of(exchange)
        self.streams = exchange.state is ExchangeState.RESPONDING
        self.began = exchange.began
        self.ended = 0.0
        self._heed(exchange)

    def _heed(self, exchange: Exchange) -> None:
        self.worker = exchange.served_by
        self.status = exchange.status
        self.state = EXCHANGE_WORDS[exchange.state]

    def end(self, now: float) -> None:
        """Note that the request is over."""
        if self.exchange is not None:
            self._heed(self.exchange)
            self.exchange, self.state, self.ended = None, EXCHANGE_WORDS[ExchangeState.CLOSED], now

    def described(self, now: float) -> dict[str, Any]:
        """Describe the request as `snakepit slow --json` does."""
        in_flight = self.exchange is not None
        if self.exchange is not None:
            self._heed(self.exchange)
        return {
            "method": self.method,
            "path": self.path,
            "app": self.app,
            "worker": self.worker,
            "seconds": round((now if in_flight else self.ended) - self.began, 3),
            "status": self.status or None,
            "state": self.state,
            "streams": self.streams,
            "ended_ago": None if in_flight else round(now - self.ended, 3),
        }


class SlowRequests:
    """Notes the slow requests of all apps."""

    def __init__(
        self, apps: "Iterable[App]", loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = monotonic
    ) -> None:
        self._apps = apps
        self._loop = loop
        self._clock = clock
        self._in_flight: dict[Exchange, Note] = {}
        self._ended: list[tuple[float, int, Note]] = []  # a heap: the one that took least first
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look."""
        self._timer = self._loop.call_later(self.look(), self.start)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def look(self) -> float:
        """Note what has taken long, and what of that is over; returns the seconds until the next look."""
        now, noted = self._clock(), self._in_flight
        gone = dict(noted)
        soonest = PAUSE
        for app in self._apps:
            for exchange in app.pool.queue.exchanges:
                if gone.pop(exchange, None) is not None:
                    continue
                left = exchange.began + SLOW - now
                if left > 0:
                    soonest = min(soonest, left)
                elif len(noted) < MOST_IN_FLIGHT and not isinstance(exchange, WebSocketExchange):
                    noted[exchange] = Note(app.name, exchange)
        for exchange, note in gone.items():
            del noted[exchange]
            note.end(now)
            self._keep(note, now)
        took = self._clock() - now
        return max(LEAST_PAUSE, took * TIMES, min(soonest, PAUSE_WHILE_SLOW) if noted else soonest)

    def told(self) -> list[dict[str, Any]]:
        """Describe the slow requests in flight, and those that ended in the last minutes; the slowest first."""
        self.look()
        now = self._clock()
        self._forget_old(now)
        notes = [*self._in_flight.values(), *(note for _, _, note in self._ended)]
        return sorted((note.described(now) for note in notes), key=lambda told: -told["seconds"])

    def _keep(self, note: Note, now: float) -> None:
        entry = note.ended - note.began, next(self._numbers), note
        if len(self._ended) >= MOST_ENDED:
            self._forget_old(now)
        if len(self._ended) < MOST_ENDED:
            heapq.heappush(self._ended, entry)
        else:
            heapq.heappushpop(self._ended, entry)

    def _forget_old(self, now: float) -> None:
        fresh = [entry for entry in self._ended if now - entry[2].ended < KEPT]
        if len(fresh) < len(self._ended):
            heapq.heapify(fresh)
            self._ended = fresh

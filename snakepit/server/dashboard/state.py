"""The state of a server as the live page shows it: taken once for all who watch, as values that JSON can hold."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from heapq import nsmallest
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from snakepit.server.dashboard.faults import path_of
from snakepit.server.dashboard.rates import Counts, History, counts_of
from snakepit.server.dashboard.verdict import verdict
from snakepit.server.exchanges.websocket import SWITCHED
from snakepit.server.lifecycle import EXCHANGE_WORDS, ExchangeState, WorkerState
from snakepit.server.monitor.readiness import FRESH, PATIENCE, PAUSE, serving

if TYPE_CHECKING:
    from snakepit.server.apps.app import App
    from snakepit.server.exchanges.exchange import Exchange
    from snakepit.server.monitor.counters import Counters
    from snakepit.server.operate.statistics import Statistics
    from snakepit.server.workers.worker import WorkerHandle

SHOWN = 40
"""The most requests in flight that are shown, the oldest."""

LONG = 1.0
"""Seconds after which a request in flight is shown: the state comes once a second, so others come and go unseen."""

REACTION = 2.0
"""Seconds since a worker was heard of after which it counts as one that does not react. It is asked every second."""

_IN_FLIGHT = frozenset(
    {ExchangeState.WAITING, ExchangeState.ASSIGNED, ExchangeState.RESPONDING, ExchangeState.ABANDONED}
)
"""The states of an exchange that the page shows."""


class ServerState:
    """Looks at a server; remembers what it saw last, since rates are differences.

    Args:
        statistics: the server's own.
        apps: those that there are.
        counters: the counts of their requests; None: nobody counts them, so there are only those of the server.
    """

    def __init__(
        self, statistics: "Callable[[], Statistics]", apps: "Iterable[App]", counters: "Counters | None"
    ) -> None:
        self.history = History()
        self._statistics = statistics
        self._apps = apps
        self._counters = counters
        self._asked_at = -inf  # that workers were asked last
        self._asked_since = monotonic()  # that they are asked again and again: silence counts from then on
        self._busy: WeakKeyDictionary[WorkerHandle, tuple[float, float]] = WeakKeyDictionary()  # when, and until then

    def ask_workers(self) -> None:
        """Have each worker that serves give a sign of life, for the next look."""
        now = monotonic()
        if now - self._asked_at > REACTION:
            self._asked_since = now
        self._asked_at = now
        for worker in self._serving():
            worker.ask_heartbeat(now)

    async def wait_reactions(self) -> None:
        """Ask the workers. Where nobody has of late, wait until each has answered or counts as one that does not react.

        So who looks only once is told of hung workers what a health check tells.
        """
        now = monotonic()
        is_watched = now - self._asked_at <= REACTION
        self.ask_workers()
        if is_watched:
            return
        while not all(worker.has_reacted(now - FRESH) for worker in self._serving()):
            if monotonic() - now >= PATIENCE:
                self._asked_since = now - REACTION
                return
            await asyncio.sleep(PAUSE)

    def _serving(self) -> "list[WorkerHandle]":
        return [worker for app in self._apps for worker in serving(app)]

    def look(self) -> dict[str, Any]:
        """Return the state."""
        now, at, facts, apps = monotonic(), time.time(), self._statistics(), list(self._apps)
        tallies = self._counters.by_app() if self._counters is not None else {}
        counts = {name: counts_of([tally]) for name, tally in tallies.items()}
        rates = self.history.look(now, at, counts, facts.waiting, facts.in_progress, facts.memory)
        shown = [self._app(app, counts.get(app.name), rates.get(app.name), now) for app in apps]
        in_flight = _in_flight(apps, now)
        state = {
            "time": at,
            "server": {
                "name": facts.name,
                "app": facts.app,
                "state": facts.state,
                "pid": facts.pid,
                "address": facts.address,
                "version": facts.version,
                "python": facts.python,
                "uptime": facts.uptime,
                "restarts": facts.restarts,
                "abandoned": facts.abandoned,
                "lost_wakeups": facts.lost_wakeups,
            },
            "requests": sum(each.requests for each in counts.values()) if counts else facts.requests,
            "errors": sum(each.errors for each in counts.values()),
            "rate": sum(rate or 0.0 for rate in rates.values()) if rates and None not in rates.values() else None,
            "counted": bool(counts),
            "in_progress": facts.in_progress,
            "waiting": facts.waiting,
            "memory": facts.memory,
            "connections": facts.open_connections,
            "connections_in_all": facts.connections,
            "several": len(apps) > 1 or not all(app.alone for app in apps),
            "wanted": max((app.pool.wanted for app in apps), default=0),
            "apps": shown,
            "in_flight": in_flight,
            "point": asdict(self.history.points[-1]) if self.history.points else None,
            "histogram": _histogram(counts.values()),
        }
        return {**state, "verdict": asdict(verdict(state))}

    def past(self) -> list[dict[str, Any]]:
        """Return the last minutes, as far as they were looked at."""
        return [asdict(point) for point in self.history.points]

    def _app(self, app: "App", counts: Counts | None, rate: float | None, now: float) -> dict[str, Any]:
        facts = app.statistics()
        workers = app.pool.workers + app.pool.retiring if facts.workers else []
        return {
            "name": app.name,
            "route": facts.route,
            "state": facts.state,
            "trouble": "" if app.failure is None else str(app.failure),
            "wanted": app.pool.wanted,
            "in_progress": facts.in_progress,
            "waiting": facts.waiting,
            "requests": 0 if counts is None else counts.requests,
            "errors": 0 if counts is None else counts.errors,
            "rate": rate,
            "replaced": {reason: count for reason, count in app.pool.replaced.items() if count},
            "workers": [self._worker(worker, now) for worker in workers],
        }

    def _worker(self, worker: "WorkerHandle", now: float) -> dict[str, Any]:
        ready, report = worker.state is WorkerState.READY, worker.report
        at = [exchange for exchange in worker.exchanges.values() if exchange.status != SWITCHED]
        oldest = min(at, key=_began, default=None)
        return {
            "number": worker.number,
            "generation": worker.generation,
            "state": worker.state.name.lower(),
            "reacts": not ready or self._reacts(worker, now),
            "interface": report.interface,
            "exchanges": len(worker.exchanges),
            "sessions": len(worker.exchanges) - len(at),
            "threads": worker.capacity if report.interface == "wsgi" else 0,
            "served": worker.served,
            "age": now - worker.thread.began,
            "busy": self._busy_share(worker, now),
            "at": None if oldest is None else _request(oldest, "", now),
        }

    def _reacts(self, worker: "WorkerHandle", now: float) -> bool:
        """Tell whether a worker was heard of lately, or since it was asked last: unasked it need not speak."""
        if now - max(self._asked_since, worker.thread.began) < REACTION:
            return True
        return worker.has_reacted(min(now - REACTION, self._asked_at))

    def _busy_share(self, worker: "WorkerHandle", now: float) -> float | None:
        """Return for which share of the time since the last look a worker has had a request, if that is known."""
        if self._counters is None:
            return None
        busy = 0.0 if worker.busyness is None else worker.busyness.until(now)
        before = self._busy.get(worker)
        self._busy[worker] = now, busy
        if before is None or now <= before[0]:
            return None
        return min(1.0, max(0.0, (busy - before[1]) / (now - before[0])))


def _in_flight(apps: "Sequence[App]", now: float) -> dict[str, Any]:
    """Return the requests that take long, those first that began first, and how many others there are.

    What the app has begun to answer comes last: a download may well take its time.
    """
    found = [
        (exchange, app)
        for app in apps
        for exchange in app.pool.queue.exchanges
        if exchange.status != SWITCHED and exchange.state in _IN_FLIGHT
    ]
    old = (each for each in found if now - each[0].began >= LONG)
    oldest = nsmallest(SHOWN, old, key=lambda each: (each[0].state is ExchangeState.RESPONDING, each[0].began))
    return {
        "requests": [_request(exchange, app.name, now) for exchange, app in oldest],
        "more": len(found) - len(oldest),
    }


def _began(exchange: "Exchange") -> float:
    return exchange.began


def _request(exchange: "Exchange", app: str, now: float) -> dict[str, Any]:
    return {
        "id": exchange.number,
        "app": app,
        "worker": exchange.home.number if exchange.state is not ExchangeState.WAITING and exchange.home else None,
        "method": exchange.head.method,
        "path": path_of(exchange),
        "state": EXCHANGE_WORDS[exchange.state],
        "seconds": now - exchange.began,
    }


def _histogram(counts: Iterable[Counts]) -> dict[str, list[int]]:
    rows = list(counts)
    return {
        name: [sum(column) for column in zip(*(getattr(each, name) for each in rows), strict=True)]
        for name in ("queue", "app", "total")
    }

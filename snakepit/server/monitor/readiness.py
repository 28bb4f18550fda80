"""Finds out whether each app has a worker that reacts.

Nobody asks the app itself, so a health check costs no worker anything that a heartbeat would not. A worker that was
heard of a moment ago is not asked; the others are, and the first answer from one of an app's workers is enough.
"""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from snakepit.server.lifecycle import WorkerState
from snakepit.server.responders.health import AppHealth, Health, Told

if TYPE_CHECKING:
    from snakepit.server.apps.app import App
    from snakepit.server.apps.table import Apps
    from snakepit.server.workers.worker import WorkerHandle

FRESH = 1.0
"""Seconds for which a worker counts as one that reacts, since it was heard of last."""

PATIENCE = 0.8
"""Seconds to wait for a worker of each app that was asked. With FRESH it is less than 2 s until a hang is told; and who
waits for one second, as Kubernetes' probes do, gets to know the reason."""

PAUSE = 0.01
"""Seconds between two looks for answers."""

_SILENT = "no worker reacts"


class AppReadiness:
    """Finds out whether a server's apps can answer requests.

    Apps of routes with placeholders do not count: they come and go with requests. Nor does one that was stopped by
    command.

    Args:
        stopping: tells whether the server is about to end.
    """

    def __init__(self, apps: "Apps", stopping: Callable[[], bool], loop: asyncio.AbstractEventLoop) -> None:
        self._apps = apps
        self._stopping = stopping
        self._loop = loop
        self._asking: list[Told] = []  # who wait for workers that were asked
        self._since = self._until = 0.0  # by the monotonic clock: what counts as an answer, and until when one may come

    def ask(self, told: Told) -> None:
        """Find out whether the apps can answer requests, and call back, at once or soon."""
        if not self._asking:
            now = monotonic()
            self._since, self._until = now - FRESH, now + PATIENCE
        health = self._look()
        if not _may_change(health):
            told(health)
            return
        self._asking.append(told)
        if len(self._asking) == 1:
            for app in self._apps.lasting:
                for worker in serving(app):
                    worker.ask_heartbeat(monotonic())
            self._loop.call_later(PAUSE, self._look_again)

    def _look_again(self) -> None:
        health = self._look()
        if _may_change(health) and monotonic() < self._until:
            self._loop.call_later(PAUSE, self._look_again)
            return
        asking, self._asking = self._asking, []
        for told in asking:
            told(health)

    def _look(self) -> Health:
        if self._stopping():
            return Health(reason="the server is stopping")
        apps = self._apps.lasting
        counted = [app for app in apps if not app.stopped]
        if apps and not counted:
            return Health(reason="every app is stopped")
        return Health([_health(app, self._since) for app in counted])


def _health(app: "App", since: float) -> AppHealth:
    workers = serving(app)
    if app.failure is not None:
        reason = "it can't be started"
    elif not workers:
        reason = "it has no worker that is ready"
    else:
        reason = "" if any(worker.has_reacted(since) for worker in workers) else _SILENT
    return AppHealth(app.name, not reason, reason)


def serving(app: "App") -> "list[WorkerHandle]":
    """Return an app's workers that are ready."""
    return [worker for worker in app.pool.workers if worker.state is WorkerState.READY]


def _may_change(health: Health) -> bool:
    """Tell whether a worker's answer may change it: also where another app can't be started, what is told of it."""
    return not health.reason and any(app.reason == _SILENT for app in health.apps)

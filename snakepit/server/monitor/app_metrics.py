"""Gathers the metrics that apps keep by prometheus-client in their workers, when they are asked for."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import Metric

from snakepit.server.lifecycle import WorkerState
from snakepit.server.monitor.summing import summed, with_ended, with_label

if TYPE_CHECKING:
    from snakepit.server.apps.app import App
    from snakepit.server.workers.worker import WorkerHandle
    from snakepit.wire.envelopes import AppMetric

PATIENCE = 1.0
"""Seconds to wait for the workers; of those that do not answer, what they told before counts."""

PAUSE = 0.005
"""Seconds between two looks for answers."""

_OVER = (WorkerState.ABANDONED, WorkerState.CLOSED)


class AppMetrics:
    """The metrics that apps keep, summed up over the workers of each, with those of workers that have ended.

    Args:
        several: whether there are several apps, so that the name of its own is added to each metric, as a label.
    """

    def __init__(self, apps: "Iterable[App]", several: bool, loop: asyncio.AbstractEventLoop) -> None:
        self._apps = apps
        self._several = several
        self._loop = loop
        self._workers: dict[WorkerHandle, str] = {}  # with the name of the app
        self._ended: dict[str, list[AppMetric]] = {}  # of workers that have ended, by the name of the app

    def keep(self, worker: "WorkerHandle") -> None:
        """Note a worker that gets requests: what it counts is not to be lost if nobody asks for it before its end."""
        app = next((app for app in self._apps if worker in (*app.pool.workers, *app.pool.retiring)), None)
        if app is not None:
            self._workers.setdefault(worker, app.name)

    def gather(self, told: Callable[[], None]) -> None:
        """Ask all workers, and call back when all have answered, or their time is over."""
        for app in self._apps:
            for worker in app.pool.workers:
                self._workers.setdefault(worker, app.name)
        self._settle()
        asked = {worker: worker.report.metrics_told for worker in self._workers if worker.state is WorkerState.READY}
        for worker in asked:
            worker.ask_metrics()
        self._look(asked, monotonic() + PATIENCE, told)

    def collect(self) -> Iterator[Metric]:
        """Yield what was gathered."""
        self._settle()
        metrics: dict[str, Metric] = {}
        names = dict.fromkeys((*self._workers.values(), *self._ended))
        for app in names:
            told = [(str(worker.number), worker.report.metrics) for worker, of in self._workers.items() if of == app]
            for found in summed([*told, ("", self._ended.get(app, []))]).values():
                metric = metrics.setdefault(found.name, Metric(found.name, found.documentation, found.kind, found.unit))
                if metric.type == found.kind:
                    for (name, labels), value in found.samples.items():
                        metric.add_sample(
                            name, dict(with_label(labels, "app", app) if self._several else labels), value
                        )
        yield from metrics.values()

    def _look(self, asked: "dict[WorkerHandle, int]", until: float, told: Callable[[], None]) -> None:
        missing = any(
            worker.report.metrics_told == before and worker.state is WorkerState.READY
            for worker, before in asked.items()
        )
        if missing and monotonic() < until:
            self._loop.call_later(PAUSE, self._look, asked, until, told)
        else:
            told()

    def _settle(self) -> None:
        """Add what workers leave that have ended; forget apps that have gone."""
        names = {app.name for app in self._apps}
        for worker, name in list(self._workers.items()):
            if name not in names or worker.state in _OVER:
                del self._workers[worker]
                self._ended[name] = with_ended(self._ended.get(name, ()), worker.report.metrics)
        for name in self._ended.keys() - names:
            del self._ended[name]

"""Puts the state of a server into metrics, when they are asked for; needs prometheus-client."""

import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import samples
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector, CollectorRegistry

from snakepit.server.exchanges.tally import CLASSES, OTHER, Histogram, Tally
from snakepit.server.lifecycle import WorkerState
from snakepit.server.monitor import insides
from snakepit.system.buckets import BOUNDS
from snakepit.system.memory import resident_memory
from snakepit.system.version import __version__

if TYPE_CHECKING:
    from snakepit.server.apps.app import App
    from snakepit.server.monitor.app_metrics import AppMetrics
    from snakepit.server.monitor.counters import Counters
    from snakepit.server.monitor.loop_lag import LoopLag
    from snakepit.server.net.connections import Connections
    from snakepit.server.workers.worker import WorkerHandle
    from snakepit.tls.certificates import Certificates

_STATES = (WorkerState.STARTING, WorkerState.READY, WorkerState.RETIRING)

_LABELS = (*map(str, BOUNDS), "+Inf")
"""The buckets' names."""

_PHASES = ("proxy_header", "handshake", "idle", "reading_head", "serving", "discarding", "lingering", "websocket")
"""What a connection may be at; always there, so that a graph has no gaps."""


class ServerCollector(Collector):
    """The metrics of a server.

    Args:
        restarts: how often the supervisor had to start another process.
        certificates: those that are shown now; None: TLS is not spoken.
        app_metrics: those that the apps keep.
    """

    def __init__(
        self,
        apps: "Iterable[App]",
        counters: "Counters",
        connections: "Connections",
        lag: "LoopLag",
        restarts: int,
        certificates: "Certificates | None",
        app_metrics: "AppMetrics",
    ) -> None:
        self._apps = apps
        self._app_metrics = app_metrics
        self._counters = counters
        self._connections = connections
        self._lag = lag
        self._restarts = restarts
        self._certificates = certificates
        self._began = time.time()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, as they are now."""
        yield from self._of_process()
        yield from _of_requests(self._counters.by_app())
        apps = list(self._apps)
        yield from _of_queues(apps)
        yield from _of_pools(apps)
        yield from self._of_workers(apps)
        yield from self._of_connections()
        if self._certificates is not None:
            yield _of_certificates(self._certificates)
        yield from self._app_metrics.collect()

    def _of_process(self) -> Iterator[Metric]:
        info = {"version": __version__, "python": platform.python_version()}
        yield InfoMetricFamily("snakepit", "The server.", value=info)
        yield GaugeMetricFamily(
            "process_start_time_seconds", "When the server's process began to serve, in Unix time.", self._began
        )
        yield CounterMetricFamily(
            "process_cpu_seconds", "CPU time of the server's process, workers included.", time.process_time()
        )
        memory = resident_memory()
        if memory is not None:
            yield GaugeMetricFamily(
                "process_resident_memory_bytes",
                "Memory in RAM of the server's process, workers included.",
                memory,
            )
        yield CounterMetricFamily(
            "snakepit_process_restarts", "Times that the supervisor had to start the process again.", self._restarts
        )
        lag = HistogramMetricFamily(
            "snakepit_main_loop_lag_seconds", "By how much a timer in the main interpreter's event loop was late."
        )
        _add(lag, (), self._lag.histogram)
        yield lag
        yield from insides.of_main()

    def _of_workers(self, apps: "Sequence[App]") -> Iterator[Metric]:
        now = time.monotonic()
        workers = [(app.name, worker) for app in apps for worker in app.pool.workers]
        yield from _by_worker(
            workers,
            _counter("snakepit_worker_busy_seconds", "Time in which a worker had a request.", "app", "worker"),
            lambda worker: 0.0 if worker.busyness is None else worker.busyness.until(now),
        )
        yield from _by_worker(
            workers,
            _counter("snakepit_worker_requests", "Requests that a worker is through with.", "app", "worker"),
            lambda worker: worker.served,
        )
        yield from _by_worker(
            workers,
            _gauge("snakepit_worker_requests_in_flight", "Requests that a worker has.", "app", "worker"),
            lambda worker: len(worker.exchanges),
        )
        yield from _by_worker(
            workers,
            _gauge("snakepit_worker_age_seconds", "Time since a worker's start.", "app", "worker"),
            lambda worker: now - worker.thread.began,
        )
        yield from _by_worker(
            workers,
            _gauge("snakepit_worker_generation", "The how manyth with its number a worker is.", "app", "worker"),
            lambda worker: worker.generation,
        )
        memory = _gauge("snakepit_worker_resident_memory_bytes", "Memory of a worker's process.", "app", "worker")
        for name, worker in workers:
            size = worker.thread.memory
            if size is not None:
                memory.add_metric((name, str(worker.number)), size)
        if memory.samples:
            yield memory
        yield from insides.of_workers(workers)

    def _of_connections(self) -> Iterator[Metric]:
        phases = Counter(dict.fromkeys(_PHASES, 0))
        phases.update(connection.phase for connection in self._connections.open)
        opened = _gauge("snakepit_connections", "Open connections, by what they are at.", "state")
        for phase, count in phases.items():
            opened.add_metric((phase,), count)
        yield opened
        yield CounterMetricFamily(
            "snakepit_connections_accepted", "Connections that clients have opened.", self._connections.accepted
        )


def writer(collector: Collector) -> Callable[[str], tuple[str, bytes]]:
    """Return what writes a collector's metrics: as OpenMetrics, or in Prometheus' own form, as an Accept field asks."""
    registry = CollectorRegistry()
    registry.register(collector)

    def write(accept: str) -> tuple[str, bytes]:
        encode, kind = choose_encoder(accept)
        return kind, encode(registry)

    return write


def _counter(name: str, help: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(name, help, labels=labels)


def _gauge(name: str, help: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help, labels=labels)


def _add(family: HistogramMetricFamily, labels: Sequence[str], histogram: Histogram) -> None:
    buckets: list[tuple[str, float] | tuple[str, float, samples.Exemplar]] = []
    for bucket, (bound, count) in enumerate(zip(_LABELS, accumulate(histogram.counts), strict=True)):
        shown = histogram.exemplars.get(bucket)
        if shown is None:
            buckets.append((bound, count))
        else:
            example = samples.Exemplar({"trace_id": shown.trace_id}, shown.seconds, shown.moment)
            buckets.append((bound, count, example))
    family.add_metric(labels, buckets, histogram.total)


def _of_requests(tallies: dict[str, Tally]) -> Iterator[Metric]:
    requests = _counter(
        "snakepit_requests", "Requests that are over, by the class of their status.", "app", "method", "status"
    )
    for name, tally in tallies.items():
        for method, counts in (*tally.answered.items(), (OTHER, tally.others)):
            for status, count in zip(CLASSES, counts, strict=True):
                if count:
                    requests.add_metric((name, method, status), count)
    yield requests
    histograms: tuple[tuple[str, str, Callable[[Tally], Histogram]], ...] = (
        ("snakepit_request_before_seconds", "Time that the request was with proxies.", lambda tally: tally.before),
        ("snakepit_request_queue_seconds", "Time until a worker had the request.", lambda tally: tally.waited),
        ("snakepit_request_app_seconds", "Time from then until the response began.", lambda tally: tally.worked),
        ("snakepit_request_seconds", "Time until the response was complete.", lambda tally: tally.took),
    )
    for title, help, of in histograms:
        histogram = HistogramMetricFamily(title, help, labels=("app",))
        for name, tally in tallies.items():
            _add(histogram, (name,), of(tally))
        yield histogram
    counters: tuple[tuple[str, str, Callable[[Tally], int]], ...] = (
        ("snakepit_requests_refused", "Requests that got 503 in place of a worker.", lambda tally: tally.refused),
        ("snakepit_requests_left", "Requests whose client went before the end.", lambda tally: tally.left),
        ("snakepit_request_body_bytes", "Bytes of requests' bodies.", lambda tally: tally.received),
        ("snakepit_response_body_bytes", "Bytes of responses' bodies.", lambda tally: tally.sent),
    )
    for title, help, count_of in counters:
        counter = _counter(title, help, "app")
        for name, tally in tallies.items():
            counter.add_metric((name,), count_of(tally))
        yield counter


def _of_queues(apps: "Sequence[App]") -> Iterator[Metric]:
    in_flight = _gauge("snakepit_requests_in_flight", "Requests in workers and in the line.", "app")
    waiting = _gauge("snakepit_requests_waiting", "Of these, the ones that no worker has begun.", "app")
    lost = _counter("snakepit_lost_wake_ups", "Times that a worker had to be woken again: a bug.", "app")
    for app in apps:
        queue = app.pool.queue
        in_flight.add_metric((app.name,), queue.in_progress)
        waiting.add_metric((app.name,), queue.waiting)
        lost.add_metric((app.name,), queue.wake_ups.lost)
    yield from (in_flight, waiting, lost)


def _of_pools(apps: "Sequence[App]") -> Iterator[Metric]:
    workers = _gauge("snakepit_workers", "Workers, by their state.", "app", "state")
    wanted = _gauge("snakepit_workers_wanted", "Workers that an app is to have.", "app")
    replaced = _counter("snakepit_workers_replaced", "Workers in whose place others came.", "app", "reason")
    abandoned = _gauge("snakepit_workers_abandoned", "Workers left to themselves that have not ended.", "app")
    for app in apps:
        pool = app.pool
        states = Counter(worker.state for worker in dict.fromkeys((*pool.workers, *pool.retiring)))
        for state in _STATES:
            workers.add_metric((app.name, state.name.lower()), states[state])
        wanted.add_metric((app.name,), pool.wanted)
        for reason, count in pool.replaced.items():
            replaced.add_metric((app.name, reason), count)
        abandoned.add_metric((app.name,), pool.abandoned)
    yield from (workers, wanted, replaced, abandoned)


def _by_worker(
    workers: "Sequence[tuple[str, WorkerHandle]]",
    family: CounterMetricFamily | GaugeMetricFamily,
    value: "Callable[[WorkerHandle], float]",
) -> Iterator[Metric]:
    for name, worker in workers:
        family.add_metric((name, str(worker.number)), value(worker))
    yield family


def _of_certificates(certificates: "Certificates") -> Metric:
    expiry = _gauge("snakepit_certificate_expiry_timestamp_seconds", "When a certificate ends, in Unix time.", "names")
    ends = {",".join(each.names): each.facts.not_after.timestamp() for each in certificates.all}
    for names, end in ends.items():
        expiry.add_metric((names,), end)
    return expiry

"""Metrics of what goes on inside: the CPU time of the main interpreter's loop, workers' loops, channels and copies.

All of it is read when it is asked for. Only the lag of a worker's event loop is measured meanwhile, in that worker,
from when it was first asked for.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from snakepit.system.buckets import BOUNDS

if TYPE_CHECKING:
    from snakepit.server.workers.worker import ChannelLoad, WorkerHandle

type Named = Sequence[tuple[str, WorkerHandle]]
"""Workers with the names of their apps."""

_LABELS = ("app", "worker")


def of_main() -> Iterator[Metric]:
    """Yield how much the main interpreter's event loop computes; called in its thread."""
    yield CounterMetricFamily(
        "snakepit_main_cpu_seconds", "CPU time of the thread of the main interpreter's event loop.", time.thread_time()
    )


def of_workers(workers: "Named") -> Iterator[Metric]:
    """Yield what is known of each worker's inside."""
    yield from _of_copies(workers)
    yield from _of_channels(workers)
    yield _of_loops(workers)


def _of_copies(workers: "Named") -> Iterator[Metric]:
    copies = GaugeMetricFamily(
        "snakepit_worker_private_copies", "C extensions that a worker has private copies of.", labels=_LABELS
    )
    sizes = GaugeMetricFamily("snakepit_worker_private_copies_bytes", "Bytes of these copies' files.", labels=_LABELS)
    for app, worker in workers:
        found = worker.report.copies
        copies.add_metric((app, str(worker.number)), len(found))
        sizes.add_metric((app, str(worker.number)), sum(size for _, size in found))
    yield from (copies, sizes)


def _of_channels(workers: "Named") -> Iterator[Metric]:
    items = GaugeMetricFamily(
        "snakepit_worker_channel_items",
        "Items in a worker's channels that the other side has not taken.",
        labels=(*_LABELS, "direction"),
    )
    held = GaugeMetricFamily(
        "snakepit_worker_channel_held_envelopes",
        "What is held back for a worker until it takes what was sent before.",
        labels=_LABELS,
    )
    sizes = GaugeMetricFamily(
        "snakepit_worker_channel_held_bytes", "Bytes of bodies in what is held back for a worker.", labels=_LABELS
    )
    loads = [(app, str(worker.number), worker.channel_load()) for app, worker in workers]
    directions: tuple[tuple[str, Callable[[ChannelLoad], int]], ...] = (
        ("to_worker", lambda load: load.to_worker),
        ("from_worker", lambda load: load.from_worker),
    )
    for app, number, load in loads:
        for direction, count_of in directions:
            items.add_metric((app, number, direction), count_of(load))
        held.add_metric((app, number), load.held)
        sizes.add_metric((app, number), load.held_bytes)
    yield from (items, held, sizes)


def _of_loops(workers: "Named") -> Metric:
    lag = HistogramMetricFamily(
        "snakepit_worker_loop_lag_seconds",
        "By how much a timer in a worker's event loop was late.",
        labels=_LABELS,
    )
    bounds = (*map(str, BOUNDS), "+Inf")
    for app, worker in workers:
        if (told := worker.report.loop_lag) is not None:
            counts, total = told
            lag.add_metric((app, str(worker.number)), list(zip(bounds, accumulate(counts), strict=True)), total)
    return lag

"""Sums up the metrics that an app keeps in each of its workers, as if it had one. Pure.

Counters, histograms and summaries are added. What becomes of gauges says their `multiprocess_mode`, as with
prometheus-client's own way for several processes: the sum, the least or the most of the workers that live, or one for
each, with a label for the worker. Those of the latest moment can't be found, since nothing says when a gauge was set;
they are there for each worker, too.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakepit.wire.envelopes import AppMetric

type Labels = tuple[tuple[str, str], ...]
type Samples = dict[tuple[str, Labels], float]
"""Values by the name of the sample and its labels."""

ADDED = frozenset({"counter", "histogram", "summary"})
"""The types whose values only grow, so that those of workers that have ended count on."""

WORKER = "worker"
"""The label of what there is for each worker."""

_CREATED = "_created"
"""The end of the name of a sample that says since when a counter counts."""

_OVER_ALL: "dict[str, Callable[[list[float]], float]]" = {
    "sum": sum,
    "livesum": sum,
    "min": min,
    "livemin": min,
    "max": max,
    "livemax": max,
}


class Sum:
    """A metric, and the values that came together for it; `kind` is its type."""

    def __init__(self, metric: "AppMetric") -> None:
        self.name, self.documentation, self.kind, self.unit, self.mode, _ = metric
        self._values: dict[tuple[str, Labels], list[float]] = {}

    def add(self, samples: "Iterable[tuple[str, Iterable[tuple[str, str]], float]]", worker: str) -> None:
        """Add the samples of a worker."""
        apart = self.kind not in ADDED and self.kind != "info" and self.mode not in _OVER_ALL
        for name, labels, value in samples:
            own = with_label(labels, WORKER, worker) if apart else tuple(labels)
            self._values.setdefault((name, own), []).append(value)

    @property
    def samples(self) -> Samples:
        """The values, put together."""
        return {key: self._together(key[0], values) for key, values in self._values.items()}

    def _together(self, name: str, values: list[float]) -> float:
        if self.kind in ADDED:
            return min(values) if name.endswith(_CREATED) else sum(values)
        return float(_OVER_ALL.get(self.mode, max)(values))


def summed(told: "Iterable[tuple[str, Iterable[AppMetric]]]") -> dict[str, Sum]:
    """Sum up the metrics that workers, by these names, have told; returns them by their names.

    A metric of another type than that of the first worker that has one of this name is left out.
    """
    sums: dict[str, Sum] = {}
    for worker, metrics in told:
        for metric in metrics:
            name, _, kind, _, _, samples = metric
            found = sums.setdefault(name, Sum(metric))
            if found.kind == kind:
                found.add(samples, worker)
    return sums


def with_ended(before: "Iterable[AppMetric]", metrics: "Iterable[AppMetric]") -> "list[AppMetric]":
    """Add to what remains of workers that have ended what another one has left: what only grows."""
    counted = [metric for metric in metrics if metric[2] in ADDED]
    return [
        (found.name, found.documentation, found.kind, found.unit, found.mode,
         [(name, list(labels), value) for (name, labels), value in found.samples.items()])
        for found in summed([("", before), ("", counted)]).values()
    ]  # fmt: skip


def with_label(labels: Iterable[tuple[str, str]], name: str, value: str) -> Labels:
    """Add a label; one of the same name that is there already is called exported_…, as Prometheus calls it."""
    return *((f"exported_{label}" if label == name else label, of) for label, of in labels), (name, value)

"""Reads the metrics that the app keeps in this worker by prometheus-client, in its default registry."""

import sys
from typing import TYPE_CHECKING, Any

from snakepit.wire import envelopes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from snakepit.wire.envelopes import AppMetric, Envelope

_NOT_THE_APPS = ("process_", "python_info")
"""What the default registry says of the process, and of Python, which are the server's."""


def wait_told() -> "list[Envelope]":
    """Return what to tell the main interpreter; nothing if the app's metrics can't be read, which the log says.

    Waits for the app's own collectors.
    """
    try:
        return [envelopes.metrics(wait_collected())]
    except Exception:
        import logging

        logging.getLogger("snakepit.worker").exception("The app's metrics can't be read")
        return []


def wait_collected() -> "list[AppMetric]":
    """Return what the app keeps; nothing if it has not imported prometheus-client.

    Raises whatever the app's own collectors raise, and takes as long as they do.
    """
    library = sys.modules.get("prometheus_client")
    registry = getattr(library, "REGISTRY", None)
    if registry is None:
        return []
    return list(_metrics(registry))


def _metrics(registry: Any) -> "Iterator[AppMetric]":
    collectors = dict(getattr(registry, "_names_to_collectors", {}))  # they know what becomes of gauges of several
    for metric in registry.collect():
        if not metric.name.startswith(_NOT_THE_APPS):
            mode = getattr(collectors.get(metric.name), "_multiprocess_mode", "all") if metric.type == "gauge" else ""
            samples = [
                (
                    str(sample.name),
                    [(str(name), str(value)) for name, value in sample.labels.items()],
                    float(sample.value),
                )
                for sample in metric.samples
            ]
            yield str(metric.name), str(metric.documentation), str(metric.type), str(metric.unit), str(mode), samples

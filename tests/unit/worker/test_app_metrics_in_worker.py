"""snakepit.worker.app_metrics: what is read of a registry of prometheus-client."""

import sys
from types import SimpleNamespace

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.registry import Collector

from snakepit.wire import envelopes
from snakepit.wire.codec import decode, encode
from snakepit.worker import app_metrics


@pytest.fixture
def registry(monkeypatch):
    registry = CollectorRegistry()
    monkeypatch.setattr(prometheus_client, "REGISTRY", registry)
    return registry


def test_an_app_without_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "prometheus_client")
    assert app_metrics.wait_told() == [envelopes.metrics([])]


def test_a_module_of_this_name_that_is_something_else(monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", SimpleNamespace())
    assert app_metrics.wait_collected() == []


def test_what_an_app_keeps(registry):
    Counter("hits", "Hits.", ["kind"], registry=registry).labels("a").inc(2)
    Gauge("level", "Level.", registry=registry).set(1)
    Gauge("total", "Total.", registry=registry, multiprocess_mode="livesum").set(3)
    Histogram("took", "Took.", unit="seconds", buckets=(1.0,), registry=registry).observe(0.5)
    ProcessCollector(registry=registry)
    [envelope] = app_metrics.wait_told()
    [(_, _, metrics)] = decode(encode([envelope]))
    found = {name: (kind, unit, mode) for name, _, kind, unit, mode, _ in metrics}
    assert found == {
        "hits": ("counter", "", ""),
        "level": ("gauge", "", "all"),
        "total": ("gauge", "", "livesum"),
        "took_seconds": ("histogram", "seconds", ""),
    }
    samples = {name: samples for name, *_, samples in metrics}
    assert samples["hits"][0] == ("hits_total", [("kind", "a")], 2.0)
    assert samples["took_seconds"][:2] == [
        ("took_seconds_bucket", [("le", "1.0")], 1.0),
        ("took_seconds_bucket", [("le", "+Inf")], 1.0),
    ]


def test_collectors_that_fail_are_told_in_the_log(registry, caplog):
    class Failing(Collector):
        def collect(self):
            raise ValueError("out of cheese")

        def describe(self):
            return []

    registry.register(Failing())
    assert app_metrics.wait_told() == []
    assert "The app's metrics can't be read" in caplog.text
    assert "out of cheese" in caplog.text

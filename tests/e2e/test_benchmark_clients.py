"""The clients of the benchmark beside peers fit its apps, and what it starts servers with fits Snakepit."""

import sys

import pytest

if sys.platform != "linux":
    pytest.skip("the load generators are for Linux", allow_module_level=True)

from benchmarks.peers import fixed_rate, sse
from benchmarks.peers.case import Effort
from benchmarks.peers.cases import CASES
from benchmarks.peers.contenders import CONTENDERS, SNAKEPIT
from benchmarks.peers.fixed_rate import FixedRate
from benchmarks.peers.pythons import running as running_python
from benchmarks.peers.running import FailedError, running

EFFORT = Effort(workers=1, connections=4, seconds=0.3, seed=0)


def serving(case):
    contender = next(each for each in CONTENDERS if each.name == SNAKEPIT)
    return running(contender, running_python(), case.app, case.interface, case.exchange, EFFORT.workers)


@pytest.mark.parametrize("name", ["browser", "fastapi", "echo-64k", "cpu-0.5ms", "browser-flask"])
def test_a_fixed_rate(monkeypatch, name):
    monkeypatch.setattr(fixed_rate, "ENOUGH", 1)
    monkeypatch.setattr(fixed_rate, "WARM_UP", 0.1)
    case = CASES[name]
    with serving(case) as server:
        found = FixedRate(case.app, case.interface, case.exchange, 100.0).measure(server, EFFORT)
    assert (found["requests"], found["errors"]) == (30, 0)
    assert 0 < found["p50_ms"] <= found["p90_ms"] <= found["p99_ms"] <= found["max_ms"]


def test_event_streams(monkeypatch):
    monkeypatch.setattr(sse, "STREAMS", 20)
    monkeypatch.setattr(sse, "WARM_UP", 0.1)
    case = CASES["sse"]
    with serving(case) as server:
        found = case.measure(server, EFFORT)
        assert found["events"] >= 20
        assert 0 < found["p50_ms"] <= found["p99_ms"]
        assert found["pss_mib"] > 0


def test_a_path_without_events_is_no_case_for_them(monkeypatch):
    monkeypatch.setattr(sse, "PATH", "/nothing")
    case = CASES["sse"]
    with serving(case) as server, pytest.raises(FailedError, match="no event streams") as caught:
        case.measure(server, EFFORT)
    assert "404" in caught.value.detail

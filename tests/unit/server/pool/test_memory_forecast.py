"""snakepit.server.pool.memory_forecast: whether so many workers fit, by what the first one took."""

from dataclasses import dataclass

import pytest
from fakes import fake_of

from snakepit.server.pool import memory_forecast
from snakepit.server.pool.memory_forecast import MemoryForecast, Started

MIB = 2**20


@fake_of(Started)
@dataclass
class FakeWorker:
    began: float = 0.0
    process: int | None = None


@pytest.fixture
def memory(monkeypatch):
    """Bytes of this process (None) and others, and the limit ("limit"), as the test sets them."""
    sizes = {None: 20 * MIB, "limit": 200 * MIB}
    monkeypatch.setattr(memory_forecast, "private_memory", lambda process=None: sizes.get(process))
    monkeypatch.setattr(memory_forecast.cgroups, "memory_limit", lambda: sizes["limit"])
    return sizes


def test_workers_that_fit(memory):
    forecast = MemoryForecast()
    memory[None] = 40 * MIB
    first = FakeWorker()
    assert forecast.warning(first, [first], 7, now=1.0) == ""  # 20 + 7 * 20 = 160 = 0.8 * 200


def test_workers_that_hardly_do(memory):
    forecast = MemoryForecast()
    memory[None] = 40 * MIB
    first = FakeWorker()
    assert forecast.warning(first, [first], 10, now=1.0) == (
        "10 workers will hardly fit into the memory limit of 200 MiB: the first took 20 MiB, so all take 220 MiB "
        "before they have anything to do. Use --workers 7, or raise the limit"
    )


def test_others_are_on_their_way(memory):
    forecast = MemoryForecast()
    memory[None] = 60 * MIB  # 40 more: 20 for the first, 20 for the two that have had half of the time each
    workers = [FakeWorker(0.0), FakeWorker(1.0), FakeWorker(1.0), FakeWorker(2.0)]
    assert forecast.warning(workers[0], workers, 7, now=2.0) == ""
    assert "the first took 20 MiB" in forecast.warning(workers[0], workers, 8, now=2.0)


def test_processes(memory):
    memory |= {7: 30 * MIB, 5: 15 * MIB}
    forecast = MemoryForecast(supervisor=5)
    memory[None] = 50 * MIB  # what the server has needed since is none of the workers' doing
    first = FakeWorker(process=7)
    assert forecast.warning(first, [first], 4, now=1.0) == ""  # 20 + 15 + 4 * 30 = 155
    assert "so all take 185 MiB" in forecast.warning(first, [first], 5, now=1.0)


def test_one_is_recommended_at_least(memory):
    forecast = MemoryForecast()
    memory[None] = 400 * MIB
    first = FakeWorker()
    assert "Use --workers 1, or raise" in forecast.warning(first, [first], 2, now=1.0)


@pytest.mark.parametrize("limit", [None, 200 * MIB])
def test_nothing_to_tell(memory, limit):
    memory["limit"] = limit
    forecast = MemoryForecast()
    first = FakeWorker(process=9)
    if limit is None:
        memory[9] = 10_000 * MIB
        assert forecast.warning(first, [first], 5, now=1.0) == ""
    else:
        assert forecast.warning(first, [first], 5, now=1.0) == "", "its process has ended"
        memory[9] = 10_000 * MIB
        assert forecast.warning(first, [first], 1, now=1.0) == "", "there can't be fewer than one"

"""snakepit.server.inspection.load: requests in a second, and how busy workers are."""

import types

import pytest

from snakepit.server.exchanges.websocket import SWITCHED
from snakepit.server.inspection.load import KEPT, PAUSE, Load
from snakepit.server.lifecycle import WorkerState


def worker(state=WorkerState.READY, *statuses):
    exchanges = {number: types.SimpleNamespace(status=status) for number, status in enumerate(statuses)}
    return types.SimpleNamespace(state=state, exchanges=exchanges)


class World:
    def __init__(self, *workers):
        self.now = 50.0
        self.requests = 1000
        pool = types.SimpleNamespace(workers=list(workers))
        self.load = Load([types.SimpleNamespace(pool=pool)], lambda: self.requests, None, lambda: self.now)

    def look(self, requests=0):
        self.now += PAUSE
        self.requests += requests
        self.load.look()


def test_nothing_is_known_at_first():
    world = World()
    assert world.load.told() == {"rate": None, "busy": None}
    world.look()
    assert world.load.told() == {"rate": None, "busy": None}


def test_the_last_seconds_count():
    world = World(worker())
    world.look()
    world.look(requests=10_000)
    for _ in range(KEPT):
        world.look(requests=5)
    assert world.load.told()["rate"] == pytest.approx(5 / PAUSE)


def test_how_busy_workers_are():
    one, other = worker(), worker(WorkerState.READY, 0, 200)
    world = World(one, other, worker(WorkerState.STARTING), worker(WorkerState.READY, SWITCHED, SWITCHED))
    world.look()
    assert world.load.told()["busy"] == pytest.approx(1 / 3, abs=0.001)
    one.exchanges[1] = types.SimpleNamespace(status=0)
    world.look()
    assert world.load.told()["busy"] == pytest.approx(0.5, abs=0.001)

"""server.monitor.app_metrics: who is asked, how long is waited, and what counts of whom."""

from types import SimpleNamespace

import pytest
from fakes import fake_of
from playing import TimerLoop

from snakepit.server.lifecycle import WorkerState
from snakepit.server.monitor import app_metrics as app_metrics_module
from snakepit.server.monitor.app_metrics import PATIENCE, PAUSE, AppMetrics
from snakepit.server.workers.report import WorkerReport
from snakepit.server.workers.worker import WorkerHandle
from snakepit.wire import envelopes


@fake_of(WorkerHandle)
class FakeWorker:
    def __init__(self, number, state=WorkerState.READY):
        self.number = number
        self.state = state
        self.report = WorkerReport()
        self.asked = 0

    def ask_metrics(self):
        self.asked += 1

    def tells(self, value):
        samples = [("hits_total", [("kind", "a")], value)]
        self.report.told_metrics(envelopes.metrics([("hits", "Hits.", "counter", "", "", samples)]))


class App:
    def __init__(self, name, *workers):
        self.name = name
        self.pool = SimpleNamespace(workers=list(workers), retiring=[])


class World:
    def __init__(self, *apps, several=False):
        self.apps = list(apps)
        self.loop = TimerLoop()
        self.told = 0
        self.metrics = AppMetrics(self.apps, several, self.loop)

    def ask(self):
        self.metrics.gather(self.hear)

    def hear(self):
        self.told += 1

    def values(self):
        return {
            tuple(sample.labels.items()): sample.value for metric in self.metrics.collect() for sample in metric.samples
        }


@pytest.fixture
def make(monkeypatch):
    def make(*apps, **more):
        world = World(*apps, **more)
        monkeypatch.setattr(app_metrics_module, "monotonic", world.loop.time)
        return world

    return make


A = ("kind", "a")


def test_all_workers_answer(make):
    first, second = FakeWorker(1), FakeWorker(2)
    world = make(App("/", first, second))
    world.ask()
    first.tells(2.0)
    world.loop.jump(PAUSE)
    assert (world.told, first.asked, second.asked) == (0, 1, 1)
    second.tells(3.0)
    world.loop.jump(PAUSE)
    assert (world.told, world.values()) == (1, {(A,): 5.0})


def test_one_that_hangs_counts_as_it_told_before(make):
    first, second = FakeWorker(1), FakeWorker(2)
    world = make(App("/", first, second))
    second.tells(3.0)
    world.ask()
    first.tells(2.0)
    for _ in range(round(PATIENCE / PAUSE) + 2):
        world.loop.jump(PAUSE)
    assert (world.told, world.values()) == (1, {(A,): 5.0})


def test_nobody_waits_for_one_that_ends(make):
    worker = FakeWorker(1)
    world = make(App("/", worker))
    world.ask()
    worker.state = WorkerState.LOST
    world.loop.jump(PAUSE)
    assert world.told == 1


@pytest.mark.parametrize("state", [WorkerState.CLOSED, WorkerState.ABANDONED])
def test_what_a_worker_has_counted_stays_when_it_is_replaced(make, state):
    old, new = FakeWorker(1), FakeWorker(1)
    app = App("/", old)
    world = make(app)
    world.metrics.keep(old)  # nobody asks before its end
    app.pool.workers, app.pool.retiring = [new], [old]
    old.tells(2.0)
    new.tells(10.0)
    world.ask()
    assert world.values() == {(A,): 12.0}, "it is not over yet, and has the same number"
    old.tells(3.0)
    old.state = state
    app.pool.retiring = []
    for _ in range(2):
        assert world.values() == {(A,): 13.0}
    assert old not in world.metrics._workers


def test_several_apps(make):
    one, two = FakeWorker(1), FakeWorker(1)
    apps = App("/one", one), App("/two", two)
    world = make(*apps, several=True)
    world.ask()
    one.tells(2.0)
    two.tells(3.0)
    assert world.values() == {(A, ("app", "/one")): 2.0, (A, ("app", "/two")): 3.0}
    world.apps.remove(apps[0])
    assert world.values() == {(A, ("app", "/two")): 3.0}
    assert "/one" not in world.metrics._ended


def test_a_worker_of_no_app_is_not_kept(make):
    world = make(App("/"))
    world.metrics.keep(FakeWorker(1))
    assert world.values() == {}


def test_no_workers(make):
    world = make()
    world.ask()
    assert (world.told, world.values()) == (1, {})

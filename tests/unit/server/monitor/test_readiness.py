"""server.monitor.readiness: which workers are asked, and what is made of their answers."""

from time import monotonic
from types import SimpleNamespace

import pytest
from fakes import fake_of
from playing import TimerLoop

from snakepit.server.apps.table import Apps
from snakepit.server.lifecycle import WorkerState
from snakepit.server.monitor import readiness as readiness_module
from snakepit.server.monitor.readiness import FRESH, PATIENCE, PAUSE, AppReadiness
from snakepit.server.responders.health import AppHealth, Health
from snakepit.server.workers.worker import WorkerHandle


@fake_of(WorkerHandle)
class FakeWorker:
    def __init__(self, state=WorkerState.READY, heard_at=-1000.0):
        self.state = state
        self.heard_at = heard_at
        self.asked = 0

    def ask_heartbeat(self, now):
        self.asked += 1

    def has_reacted(self, since):
        return self.heard_at >= since


class FakeApp:
    def __init__(self, *workers, name="/", failure=None, stopped=False):
        self.name = name
        self.failure = failure
        self.stopped = stopped
        self.pool = SimpleNamespace(workers=list(workers))


@fake_of(Apps)
class FakeApps:
    def __init__(self, lasting):
        self.lasting = lasting


class World:
    """Apps, a clock, and what was told."""

    def __init__(self, *apps, stopping=False):
        self.loop = TimerLoop()
        self.stops = stopping
        self.told = []
        self.readiness = AppReadiness(FakeApps(list(apps)), lambda: self.stops, self.loop)

    def ask(self):
        self.readiness.ask(self.told.append)

    @property
    def now(self):
        return self.loop.time()

    def wait(self, seconds):
        for _ in range(round(seconds / PAUSE)):
            self.loop.jump(PAUSE)


@pytest.fixture
def make(monkeypatch):
    def make(*apps, **more):
        world = World(*apps, **more)
        monkeypatch.setattr(readiness_module, "monotonic", world.loop.time)
        return world

    assert readiness_module.monotonic is monotonic
    return make


SILENT = Health([AppHealth("/", False, "no worker reacts")])
READY = Health([AppHealth("/", True)])


def test_a_worker_that_was_just_heard_of_is_not_asked(make):
    worker = FakeWorker()
    world = make(FakeApp(worker))
    worker.heard_at = world.now - FRESH / 2
    world.ask()
    assert (world.told, worker.asked) == ([READY], 0)


def test_the_first_answer_counts(make):
    first, second = FakeWorker(), FakeWorker()
    world = make(FakeApp(first, second))
    world.ask()
    assert (world.told, first.asked, second.asked) == ([], 1, 1)
    world.wait(3 * PAUSE)
    assert world.told == []
    second.heard_at = world.now
    world.wait(PAUSE)
    assert world.told == [READY]
    world.wait(PATIENCE)
    assert len(world.told) == 1


def test_nobody_answers(make):
    worker = FakeWorker()
    world = make(FakeApp(worker))
    world.ask()
    world.wait(PATIENCE - 2 * PAUSE)
    assert world.told == []
    world.wait(3 * PAUSE)
    assert (world.told, worker.asked) == ([SILENT], 1)
    world.ask()
    world.wait(PATIENCE + PAUSE)
    assert (world.told, worker.asked) == ([SILENT, SILENT], 2)


def test_who_asks_meanwhile_gets_the_same_answer(make):
    worker = FakeWorker()
    world = make(FakeApp(worker))
    world.ask()
    world.wait(PATIENCE / 2)
    world.ask()
    world.wait(PATIENCE / 2 + PAUSE)
    assert (world.told, worker.asked) == ([SILENT, SILENT], 1)


@pytest.mark.parametrize("state", [state for state in WorkerState if state is not WorkerState.READY])
def test_an_app_without_a_worker_that_is_ready(make, state):
    worker = FakeWorker(state, heard_at=1e9)
    world = make(FakeApp(worker))
    world.ask()
    assert (world.told, worker.asked) == ([Health([AppHealth("/", False, "it has no worker that is ready")])], 0)


def test_an_app_that_can_not_be_started_is_not_waited_for(make):
    failed = AppHealth("/shop", False, "it can't be started")
    world = make(FakeApp(FakeWorker(heard_at=1e9)), FakeApp(name="/shop", failure=ValueError()))
    world.ask()
    assert world.told == [Health([AppHealth("/", True), failed])]


def test_beside_an_app_that_can_not_be_started_the_others_are_asked(make):
    worker = FakeWorker()
    world = make(FakeApp(worker), FakeApp(name="/shop", failure=ValueError()))
    world.ask()
    assert (world.told, worker.asked) == ([], 1)
    worker.heard_at = world.now
    world.wait(PAUSE)
    assert world.told == [Health([AppHealth("/", True), AppHealth("/shop", False, "it can't be started")])]


def test_an_app_that_fails_while_workers_are_asked(make):
    app = FakeApp(FakeWorker())
    world = make(app)
    world.ask()
    app.failure = ValueError()
    world.wait(PAUSE)
    assert world.told == [Health([AppHealth("/", False, "it can't be started")])]


def test_apps_that_were_stopped(make):
    stopped = FakeApp(name="/shop", stopped=True)
    world = make(FakeApp(FakeWorker(heard_at=1e9)), stopped)
    world.ask()
    assert world.told == [READY]
    world = make(stopped)
    world.ask()
    assert world.told == [Health(reason="every app is stopped")]


def test_no_apps_but_those_that_requests_make(make):
    world = make()
    world.ask()
    assert world.told == [Health([])]
    assert world.told[0].ready


def test_a_server_that_stops(make):
    world = make(FakeApp(FakeWorker()))
    world.ask()
    world.stops = True
    world.wait(PAUSE)
    assert world.told == [Health(reason="the server is stopping")]

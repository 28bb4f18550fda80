"""server.dashboard.state, server.dashboard.stacks, and command: what is seen of a server that the test plays."""

import asyncio
import json
from types import SimpleNamespace

import pytest
from clients import FakeClient
from sinks import FakeEnd

from snakepit.errors import SnakepitError
from snakepit.http.events import RequestHead
from snakepit.http.fields import NONE
from snakepit.server.dashboard import state as state_module
from snakepit.server.dashboard.command import state_commands
from snakepit.server.dashboard.state import LONG, REACTION, SHOWN, ServerState
from snakepit.server.events.events import Events
from snakepit.server.events.kinds import Kind
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.inspection.load import Load
from snakepit.server.lifecycle import WorkerState
from snakepit.server.monitor.counters import Counters

NOW = 1000.0


class Worker:
    """A worker as the page sees it."""

    generation, served, capacity = 1, 7, 4

    def __init__(self, number, interface="wsgi", state=WorkerState.READY):
        self.number, self.state, self.exchanges = number, state, {}
        self.report = SimpleNamespace(interface=interface)
        self.thread = SimpleNamespace(began=NOW - 60.0)
        self.heard_at, self.asked = NOW, 0
        self.busyness = None

    def has_reacted(self, since):
        return self.heard_at >= since

    def ask_heartbeat(self, now):
        self.asked += 1


class Queue:
    """Has exchanges."""

    exchanges = ()


class App:
    """An app as the page sees it."""

    failure, alone = None, True

    def __init__(self, name, *workers):
        self.name, self.state = name, "serving"
        self.line = []
        self.destination = queue = Queue()
        self.pool = SimpleNamespace(
            queue=queue, workers=list(workers), retiring=[], wanted=len(workers), replaced={"hang": 1, "reload": 0}
        )
        self.count()

    def has_led_to(self, destination):
        return destination is self.destination

    def count(self):
        self.pool.queue.exchanges = [
            *(each for worker in self.pool.workers for each in worker.exchanges.values()),
            *self.line,
        ]

    def statistics(self):
        return SimpleNamespace(
            route="/", state=self.state, in_progress=len(self.pool.queue.exchanges), waiting=len(self.line), workers=[1]
        )


class World:
    def __init__(self, monkeypatch, *apps, counted=True):
        self.now, self.apps = NOW, apps
        self.counters = Counters(apps) if counted else None
        self.numbers = iter(range(1, 1000))
        monkeypatch.setattr(state_module, "monotonic", lambda: self.now)
        self.state = ServerState(self.statistics, apps, self.counters)

    def statistics(self):
        return SimpleNamespace(
            name=None, app="main:app", state="serving", pid=1, address="http://x", version="0", python="3", uptime=5.0,
            restarts=0, abandoned=0, lost_wakeups=0, waiting=0, in_progress=0, memory=2**20, open_connections=3,
            connections=9, requests=77,
        )  # fmt: skip

    def begin(self, app, worker, seconds, path="/a?secret", status=0, responding=False):
        exchange = Exchange(
            next(self.numbers), FakeClient(), app.destination, RequestHead("GET", path.encode(), "1.1", [], False)
        )
        exchange.began = self.now - seconds
        if worker is None:
            exchange.mark_waiting()
            app.line.append(exchange)
        else:
            exchange.assigned_to(FakeEnd(), f"worker {worker.number}", worker)
            worker.exchanges[exchange.number] = exchange
            if responding:
                exchange.respond(200, NONE, b"", True)
        if status:
            exchange.status = status
        app.count()
        return exchange

    def look(self):
        found = self.state.look()
        json.dumps(found)
        return found


@pytest.fixture
def make(monkeypatch):
    return lambda *apps, **more: World(monkeypatch, *apps, **more)


def test_a_server_at_rest(make):
    found = make(App("main:app", Worker(1), Worker(2, "asgi"))).look()
    assert found["verdict"] == {"level": "well", "reasons": []}
    assert (found["requests"], found["rate"], found["several"], found["wanted"]) == (0, None, False, 2)
    [app] = found["apps"]
    assert app["replaced"] == {"hang": 1}
    assert [(worker["number"], worker["threads"], worker["at"]) for worker in app["workers"]] == [
        (1, 4, None),
        (2, 0, None),
    ]


def test_requests_in_flight_the_oldest_first(make):
    worker = Worker(1)
    app = App("main:app", worker)
    world = make(app)
    world.begin(app, worker, LONG / 2)
    world.begin(app, worker, 50.0, "/download", responding=True)
    world.begin(app, worker, 9.0, "/slow")
    world.begin(app, None, 4.0, "/waits")
    world.begin(app, worker, 5000.0, "/socket", status=101)
    found = world.look()
    assert [(each["path"], each["state"], each["worker"]) for each in found["in_flight"]["requests"]] == [
        ("/slow", "running", 1),
        ("/waits", "waiting", None),
        ("/download", "responding", 1),
    ]
    assert found["in_flight"]["more"] == 1
    [shown] = found["apps"][0]["workers"]
    assert (shown["exchanges"], shown["sessions"]) == (4, 1)
    assert shown["at"]["path"] == "/download"
    assert found["verdict"]["level"] == "look"
    assert "secret" not in json.dumps(found)


def test_so_many_are_shown(make):
    worker = Worker(1)
    app = App("main:app", worker)
    world = make(app)
    for _ in range(SHOWN + 5):
        world.begin(app, worker, 3.0)
    found = world.look()["in_flight"]
    assert (len(found["requests"]), found["more"]) == (SHOWN, 5)


def test_rates_are_of_the_time_between_two_looks(make):
    app = App("main:app", Worker(1))
    world = make(app)
    world.look()
    tally, [worker] = world.counters.tally_of(app.destination), app.pool.workers
    busyness = worker.busyness = world.counters.new_busyness(worker)
    for _ in range(20):
        tally.count("GET", 200)
        tally.took.add(0.003)
    tally.count("GET", 500)
    busyness.seconds = 0.5
    world.now += 2.0
    found = world.look()
    assert (found["requests"], found["errors"], found["rate"]) == (21, 1, 10.5)
    assert found["apps"][0]["rate"] == 10.5
    assert found["apps"][0]["workers"][0]["busy"] == 0.25
    assert found["point"]["errors"] == 0.5
    assert sum(found["histogram"]["total"]) == 20
    assert world.state.past() == [found["point"]]


def test_workers_that_do_not_react(make):
    dumb, well = Worker(1), Worker(2)
    dumb.heard_at = NOW - 0.1
    world = make(App("main:app", dumb, well))
    world.state.ask_workers()
    assert (dumb.asked, well.asked) == (1, 1)
    world.now += REACTION + 0.1
    well.heard_at = world.now
    found = world.look()
    assert [worker["reacts"] for worker in found["apps"][0]["workers"]] == [False, True]
    assert found["verdict"]["reasons"] == ["Worker 1 does not react"]


def test_nobody_is_blamed_who_was_not_asked(make):
    worker = Worker(1)
    starting = Worker(2, state=WorkerState.STARTING)
    world = make(App("main:app", worker, starting))
    world.now += 500.0
    world.state.ask_workers()
    assert starting.asked == 0
    assert world.look()["verdict"]["level"] == "well"
    for _ in range(3):
        world.now += 1.0
        world.state.ask_workers()
    assert world.look()["verdict"]["level"] == "bad"


def test_several_apps_and_one_that_failed(make):
    shop, blog = App("/shop", Worker(1)), App("/blog")
    blog.state, blog.failure = "failed", RuntimeError("no module blog")
    found = make(shop, blog).look()
    assert found["several"]
    assert found["verdict"]["reasons"] == ["/blog: the app can't be started: no module blog"]
    assert [app["trouble"] for app in found["apps"]] == ["", "no module blog"]


def test_where_nobody_counts(make):
    found = make(App("main:app", Worker(1)), counted=False).look()
    assert (found["requests"], found["rate"], found["counted"]) == (77, None, False)
    assert found["apps"][0]["workers"][0]["busy"] is None


def of_state(world, counters=None):
    events = Events(clock=lambda: 1e9)
    events.add(Kind.SCALED, "Workers: 2, were 1", reason="load")
    return state_commands(world.statistics, world.apps, counters, events, Load(world.apps, lambda: 7, None))


def test_the_command(make):
    worker = Worker(1)
    world = make(App("main:app", worker))
    command = of_state(world, world.counters)["state"]
    answer = asyncio.run(command({}))
    assert answer["state"]["server"]["pid"] == 1
    assert worker.asked == 1
    assert answer["state"]["load"] == {"rate": None, "busy": None}
    assert [event["text"] for event in answer["state"]["events"]] == ["Workers: 2, were 1"]


@pytest.fixture
def hurried(monkeypatch):
    monkeypatch.setattr(state_module, "PATIENCE", 0.02)
    monkeypatch.setattr(state_module, "PAUSE", 0.001)


def reacting(answer):
    return [worker["reacts"] for app in answer["state"]["apps"] for worker in app["workers"]]


def test_the_command_says_of_hung_workers_at_once_that_they_do_not_react(hurried, make, monkeypatch):
    lives, hangs = Worker(1), Worker(2)
    lives.heard_at = hangs.heard_at = NOW - 14.0
    world = make(App("main:app", lives, hangs))
    command = of_state(world, world.counters)["state"]

    def answer_late(now):
        world.now += 0.005
        lives.heard_at = world.now

    monkeypatch.setattr(lives, "ask_heartbeat", answer_late)
    monkeypatch.setattr(type(hangs), "has_reacted", later(world, Worker.has_reacted))
    answer = asyncio.run(command({}))
    assert reacting(answer) == [True, False]
    assert answer["state"]["verdict"]["reasons"] == ["Worker 2 does not react"]
    world.now += 1.0
    asked = hangs.asked
    assert reacting(asyncio.run(command({}))) == [True, False], "and once more, without waiting"
    assert hangs.asked == asked + 1


def later(world, method):
    """Have the clock go on with each look at a worker."""

    def look(self, since):
        world.now += 0.005
        return method(self, since)

    return look


def test_workers_may_be_silent_while_nobody_asks(make):
    worker = Worker(1)
    world = make(App("main:app", worker))
    for pause in (0.0, 30.0, REACTION + 1.0):
        world.now += pause
        assert world.look()["apps"][0]["workers"][0]["reacts"]
        world.state.ask_workers()
        worker.heard_at = world.now


def test_the_command_waits_for_workers_no_longer_than_they_take(hurried, make, monkeypatch):
    worker = Worker(1)
    worker.heard_at = NOW - 14.0
    world = make(App("main:app", worker))
    looks = []

    def answer_at_the_third_look(since):
        looks.append(since)
        return len(looks) > 2

    monkeypatch.setattr(worker, "has_reacted", answer_at_the_third_look)
    assert reacting(asyncio.run(of_state(world, world.counters)["state"]({}))) == [True]
    assert world.now == NOW


@pytest.mark.parametrize("number", [None, "1", 1.0, True])
def test_where_takes_a_number(make, number):
    world = make(App("main:app", Worker(1)))
    with pytest.raises(SnakepitError, match="id must be the number of a request"):
        asyncio.run(of_state(world)["where"]({"id": number}))


def test_where_a_request_is_that_waits(make):
    app = App("main:app", Worker(1))
    world = make(app)
    number = world.begin(app, None, 4.0).number
    where = of_state(world)["where"]
    with pytest.raises(SnakepitError, match="No worker has this request"):
        asyncio.run(where({"id": number}))
    with pytest.raises(SnakepitError, match="This request is over"):
        asyncio.run(where({"id": number + 1}))

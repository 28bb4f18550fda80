"""snakepit.server.operate.commands: what the commands ask of the server, and what they answer."""

import asyncio
from dataclasses import fields

import pytest
from fakes import fake_of

from snakepit.errors import SnakepitError
from snakepit.server.apps.statistics import WorkerStatistics
from snakepit.server.operate.commands import Commanded, commands
from snakepit.server.operate.statistics import Statistics
from snakepit.server.pool.outcome import Outcome

WORKER = WorkerStatistics(1, "ready", "asgi", exchanges=2, served=3, age=4.0, import_seconds=0.5, startup_seconds=0.25)
FIELDS = {field.name: field.name for field in fields(Statistics)} | {"workers": (WORKER,)}
STATISTICS = Statistics(**FIELDS)  # each field is its own name


@fake_of(Commanded)
class Server:
    """Does what it is told to, or what the test wants."""

    wanted = 2

    def __init__(self, outcome=None):
        self.outcome = outcome
        self.stopped = 0
        self.scaled = []
        self.apps = []
        self.reloaded = None

    def statistics(self):
        return STATISTICS

    def stop(self, by=None):
        self.stopped += 1

    async def reload(self, app=None, by=None):
        self.reloaded = app
        return self.outcome

    async def reread(self, by=None):
        return self.outcome

    async def stop_app(self, name):
        self.apps.append(("stop", name))

    async def start_app(self, name):
        self.apps.append(("start", name))
        return self.outcome

    async def scale(self, workers, by=None):
        self.scaled.append(workers)
        return self.outcome

    async def upgrade(self):
        return 13


def ask(server, command, **request):
    return asyncio.run(commands(server)[command](request))


def test_status():
    worker = {"number": 1, "state": "ready", "interface": "asgi", "exchanges": 2, "served": 3, "age": 4.0}
    worker |= {"import_seconds": 0.5, "startup_seconds": 0.25}
    assert ask(Server(), "status") == {"status": FIELDS | {"workers": (worker,)}}


def test_reload():
    answer = ask(Server(Outcome(3)), "reload")
    assert (set(answer), answer["replaced"]) == ({"replaced", "seconds"}, 3)


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (Outcome(0, "too bad"), "not reloaded: too bad"),
        (Outcome(1, "No such module\nTraceback"), "only 1 reloaded: No such module\nTraceback"),
    ],
)
def test_not_reloaded(outcome, text):
    with pytest.raises(SnakepitError) as caught:
        ask(Server(outcome), "reload")
    assert str(caught.value) == text


def test_scale():
    server = Server(Outcome(1))
    assert ask(server, "scale", workers=3) == {"workers": 3, "before": 2}
    assert server.scaled == [3]
    with pytest.raises(SnakepitError, match="there are not 4 workers: too bad"):
        ask(Server(Outcome(1, "too bad")), "scale", workers=4)


@pytest.mark.parametrize("workers", [None, "3", 3.0, True, [3]])
def test_no_number_of_workers(workers):
    server = Server()
    with pytest.raises(SnakepitError, match="workers must be a whole number, not "):
        ask(server, "scale", workers=workers)
    assert server.scaled == []


def test_stop():
    server = Server()
    assert ask(server, "stop") == {}
    assert server.stopped == 1


def test_upgrade():
    assert ask(Server(), "upgrade")["pid"] == 13


def test_a_reload_of_one_app():
    server = Server(Outcome(1))
    assert asyncio.run(commands(server)["reload"]({"app": "/api"}))["replaced"] == 1
    assert server.reloaded == "/api"
    with pytest.raises(SnakepitError, match="app must be the name of an app, not 5"):
        asyncio.run(commands(server)["reload"]({"app": 5}))


def test_apps_are_stopped_and_started():
    server = Server(Outcome(1))
    ask = commands(server)
    assert asyncio.run(ask["stop-app"]({"app": "/a"})) == asyncio.run(ask["start-app"]({"app": "/b"})) == {}
    assert server.apps == [("stop", "/a"), ("start", "/b")]
    server.outcome = Outcome(0, "broken")
    with pytest.raises(SnakepitError, match="not started: broken"):
        asyncio.run(ask["start-app"]({"app": "/b"}))
    with pytest.raises(SnakepitError, match="app must be the name of an app, not None"):
        asyncio.run(ask["stop-app"]({}))


def test_the_file_is_read_again():
    assert asyncio.run(commands(Server(Outcome(2)))["reread"]({})) == {"changed": 2, "static": 0}
    with pytest.raises(SnakepitError, match="1 app changed; not started: broken"):
        asyncio.run(commands(Server(Outcome(1, "broken")))["reread"]({}))

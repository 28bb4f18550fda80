"""snakepit.server.operate.reconfiguration: which apps a changed file touches."""

import asyncio

import pytest
from fakes import fake_of
from waiting import PATIENCE, until

from snakepit.config.options import Config
from snakepit.errors import AppImportError, ConfigError, SnakepitError
from snakepit.http.events import RequestHead
from snakepit.server.apps import app as app_module
from snakepit.server.apps.app import App as RealApp
from snakepit.server.apps.table import Apps
from snakepit.server.apps.tenants import Tenants
from snakepit.server.operate.reconfiguration import Reconfiguration
from snakepit.server.pool.outcome import Outcome
from snakepit.server.routing.routes import Routes


@fake_of(app_module.App)
class App(RealApp):
    """Starts when the test lets it, and can't if its module is called "broken"."""

    responders = ()
    left_open = 0

    def __init__(self, routed):
        self.name, self.route, self.config = routed.name, routed.route, routed.config
        self.destination = self
        self.failure = None
        self.tried = asyncio.Event()
        self.steps = []

    def __repr__(self):
        return f"{self.name} {self.config.app}"

    async def start(self):
        self.steps.append("start")
        if self.config.app == "broken:app":
            self.failure = AppImportError("no module")
        if self.config.app != "slow:app":
            self.tried.set()

    async def leave(self, deadline):
        self.steps.append("leave")
        self.left_open = 1


def config(*mounts, **options):
    return Config.resolve(None, {"mount": mounts, "interpreters": 1, **options})


class Server:
    """The apps of a server, and the file that says which there are."""

    def __init__(self, known):
        loop = asyncio.get_running_loop()
        self.file = known
        self.made = []
        self.routes = Routes()
        self.apps = Apps(map(App, known.apps), Tenants(10, App, 1.0, loop), self.routes)
        self.apps.fill_routes(known.apps)
        self.reconfiguration = Reconfiguration(known, self.read, self.make, self.apps, 1.0, loop)

    def read(self):
        if isinstance(self.file, Exception):
            raise self.file
        return self.file

    def make(self, routed):
        self.made.append(App(routed))
        return self.made[-1]

    async def become(self, file):
        self.file = file
        return await self.reconfiguration.apply()

    def at(self, path):
        found = self.routes.find(RequestHead("GET", path, "1.1", [], False))
        return found if isinstance(found, App) else None


def play(scenario, *mounts):
    async def limited():
        async with asyncio.timeout(PATIENCE):
            await scenario(Server(config(*mounts)))

    asyncio.run(limited())


def test_nothing_new():
    async def scenario(server):
        assert await server.become(config("/a=a:app", "/b=b:app", port=9000)) is None
        assert server.made == []

    play(scenario, "/a=a:app", "/b=b:app")


def test_apps_come_go_and_change():
    async def scenario(server):
        a, b, c = server.apps
        assert await server.become(config("/d=d:app", "/a=a:app", "/b=b2:app")) == Outcome(3)
        d, b2 = server.made
        assert [server.at(path) for path in (b"/a", b"/b", b"/c", b"/d")] == [a, b2, None, d]
        await until(lambda: list(server.apps) == [d, a, b2])
        assert [app.steps for app in (a, b, c, d, b2)] == [[], ["leave"], ["leave"], ["start"], ["start"]]

    play(scenario, "/a=a:app", "/b=b:app", "/c=c:app")


def test_until_its_successor_is_ready_the_one_before_answers():
    async def scenario(server):
        (before,) = server.apps
        applying = asyncio.ensure_future(server.become(config("/a=slow:app")))
        await until(lambda: server.made and server.made[0].steps)
        assert server.at(b"/a") is before
        assert list(server.apps) == [before, server.made[0]]  # so that a stop ends both
        server.made[0].tried.set()
        assert await applying == Outcome(1)
        assert server.at(b"/a") is server.made[0]

    play(scenario, "/a=a:app")


def test_a_successor_that_cannot_start_changes_nothing_and_a_new_app_fails_alone():
    async def scenario(server):
        (before,) = server.apps
        assert await server.become(config("/a=broken:app", "/b=broken:app")) == Outcome(1, "no module")
        new, successor = server.made
        assert (server.at(b"/a"), server.at(b"/b")) == (before, new)
        await until(lambda: list(server.apps) == [before, new])
        assert successor.steps == ["start", "leave"]
        assert await server.become(config("/a=a:app", "/b=broken:app")) is None  # back to what there is

    play(scenario, "/a=a:app")


@pytest.mark.parametrize("file", [ConfigError("line 5"), Config("main:app")])
def test_a_wrong_file_changes_nothing(file):
    async def scenario(server):
        before = list(server.apps)
        with pytest.raises(SnakepitError, match=r"line 5|The configuration names no apps with routes any more"):
            await server.become(file)
        assert list(server.apps) == before

    play(scenario, "/a=a:app")


def test_apps_of_requests_go_if_their_table_has_changed():
    async def scenario(server):
        x, y = server.at(b"/x/1"), server.at(b"/y/1")
        assert await server.become(config("/x/{t}=x:app", "/y/{t}=y2:app")) == Outcome(1)
        assert server.at(b"/x/1") is x
        assert server.at(b"/y/1") is not y
        await until(lambda: y.steps == ["start", "leave"])

    play(scenario, "/x/{t}=x:app", "/y/{t}=y:app")

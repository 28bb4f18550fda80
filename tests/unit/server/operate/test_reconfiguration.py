"""snakepit.server.operate.reconfiguration: which apps a changed file touches."""

import asyncio
from dataclasses import replace

import pytest
from fakes import fake_of
from waiting import PATIENCE, until

from snakepit.config import options as options_module
from snakepit.config.options import Config
from snakepit.config.static import StaticFiles
from snakepit.errors import AppImportError, ConfigError, SnakepitError
from snakepit.http.events import RequestHead
from snakepit.server.apps import app as app_module
from snakepit.server.apps.app import App as RealApp
from snakepit.server.apps.table import Apps
from snakepit.server.apps.tenants import Tenants
from snakepit.server.events.events import Events
from snakepit.server.operate.reconfiguration import Reconfiguration
from snakepit.server.pool.outcome import Outcome
from snakepit.server.routing.routes import Routes
from snakepit.system.cpus import Cpus


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

    async def leave(self, deadline, why):
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
        self.apps = Apps(map(App, known.apps), Tenants(10, App, 1.0, loop, Events()), self.routes)
        self.apps.fill_routes(known.apps)
        self.static = known.static
        self.reconfiguration = Reconfiguration(known, self.read, self.make, self.serve_static, self.apps, 1.0, loop)

    def read(self):
        if isinstance(self.file, Exception):
            raise self.file
        return self.file

    def make(self, routed):
        self.made.append(App(routed))
        return self.made[-1]

    def serve_static(self, sites):
        self.static = sites

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
        assert await server.become(config("/a=broken:app", "/b=broken:app")) == Outcome(
            1, "/b: no module\n/a: no module"
        )
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


def test_apps_of_requests_stay_if_something_else_has_changed():
    async def scenario(server):
        x = server.at(b"/x/1")
        assert await server.become(config("/x/{t}=x:app", "/y=y2:app", port=9000)) == Outcome(1)
        assert server.at(b"/x/1") is x
        assert "leave" not in x.steps

    play(scenario, "/x/{t}=x:app", "/y=y:app")


def test_another_share_of_the_cpus_makes_no_other_app(monkeypatch):
    monkeypatch.setattr(options_module, "usable_cpus", lambda: Cpus(4, "from the affinity mask"))

    async def scenario():
        server = Server(config("/a=a:app", interpreters=0))
        (a,) = server.apps
        assert await server.become(config("/a=a:app", "/b=b:app", interpreters=0)) == Outcome(1)
        assert list(server.apps) == [a, *server.made]
        assert [app.config.interpreters for app in server.apps] == [4, 2]
        assert await server.become(config("/a=a:app", "/b=b:app", interpreters=2)) == Outcome(1)  # /a has 4

    asyncio.run(scenario())


def test_static_files_come_change_and_go(tmp_path, caplog):
    (tmp_path / "other").mkdir()

    def site(route, folder=tmp_path, **options):
        return StaticFiles(route=route, dir=str(folder), **options)

    async def scenario(server):
        before = list(server.apps)
        a, b, b2, c = site("/a"), site("/b"), site("/b", tmp_path / "other"), site("/c", host="*.test")
        assert await server.become(with_static("/x=x:app", a, b)) == Outcome(0, static=2)
        assert server.static == (a, b)
        assert await server.become(with_static("/x=x:app", a, b)) is None
        caplog.clear()
        assert await server.become(with_static("/x=x:app", b2, c)) == Outcome(0, static=3)
        assert server.static == (b2, c)
        assert [record.getMessage() for record in caplog.records] == [
            "Static files that came: *.test/c",
            "Static files that changed: /b",
            "Static files that went: /a",
        ]
        assert (list(server.apps), server.made) == (before, [])
        assert await server.become(with_static("/x=x2:app", c)) == Outcome(1, static=1)
        with pytest.raises(ConfigError):
            await server.become(ConfigError("dir: no such folder"))
        assert server.static == (c,)

    caplog.set_level("INFO")
    play(scenario, "/x=x:app")


def with_static(mount, *sites):
    return replace(config(mount), static=sites)


def test_one_app_without_a_route(tmp_path, caplog):
    async def main():
        server = Server(Config("main:app", interpreters=1))
        sites = (StaticFiles(route="/a", dir=str(tmp_path)),)
        assert await server.become(Config("main:app", interpreters=2, static=sites)) == Outcome(0, static=1)
        assert server.static == sites
        assert "until snakepit upgrade or the next start: interpreters" in caplog.text
        with pytest.raises(SnakepitError, match="names apps with routes now"):
            await server.become(config("/x=x:app"))

    asyncio.run(main())

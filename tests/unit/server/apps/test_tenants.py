"""snakepit.server.apps.tenants: which apps live, and that nothing but a valid name leads to a file."""

import asyncio
import os

import pytest
from fakes import fake_of
from waiting import PATIENCE, until

from snakepit.config import placeholders
from snakepit.config.options import Config
from snakepit.errors import ConfigError
from snakepit.server.apps import app as app_module
from snakepit.server.apps import tenants as tenants_module
from snakepit.server.apps.app import App as RealApp
from snakepit.server.apps.tenants import Tenants
from snakepit.server.events.events import Events
from snakepit.server.responders.failed import Failed
from snakepit.server.responders.refusal import Refusal


@fake_of(app_module.App)
class App(RealApp):
    """Keeps what becomes of it; the test says whether it is busy, and when its workers have ended."""

    def __init__(self, routed):
        self.name = routed.name
        self.config = routed.config
        self.destination = f"queue of {self.name}"
        self.started = 0
        self.is_busy = False
        self.closing = False
        self.closed = asyncio.get_running_loop().create_future()

    @property
    def busy(self):
        return self.is_busy

    async def start(self):
        self.started += 1

    async def leave(self, deadline, why):
        self.closing = True
        self.left_open = await self.closed


def template(app="main:app", idle_timeout=1800.0, route="/{t}", **options):
    return Config.resolve(None, {"mount": [f"{route}={app}"], "idle_timeout": idle_timeout, **options}).apps[0]


def play(scenario, most=3, make=App):
    async def limited():
        tenants = Tenants(most, make, 1.0, asyncio.get_running_loop(), Events())
        try:
            async with asyncio.timeout(PATIENCE):
                await scenario(tenants)
        finally:
            tenants.close()

    asyncio.run(limited())


def test_an_app_is_made_once():
    async def scenario(tenants):
        of = template()
        first = tenants.find(of, [b"a"])
        assert tenants.find(of, [b"a"]) is first
        other = tenants.find(of, [b"b"])
        assert (first.name, other.name) == ("/a", "/b")
        await until(lambda: (first.started, other.started) == (1, 1))
        assert list(tenants) == [first, other]

    play(scenario)


HOSTILE = [
    *[b"..", b".", b"", b"%2e%2e", b"%2f", b"a/b", b"a\\b", b"a\0b", b"a" * 64, b"a" * 1000],
    *["ａcme".encode(), "аcme".encode(), b"\xff", b"a.b", b"a:b", b"a b", b"{t}", b"$HOME", b"~"],
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_other_name_comes_near_a_file(name, monkeypatch, tmp_path):
    def touched(*args, **options):
        raise AssertionError(f"a file is looked for: {args}")

    async def scenario(tenants):
        of = template(app_dir=str(tmp_path / "{t}"))
        for function in ("stat", "lstat", "open", "readlink", "listdir", "scandir"):
            monkeypatch.setattr(os, function, touched)
        monkeypatch.setattr(placeholders.os.path, "realpath", touched)
        try:
            assert tenants.find(of, [name]) is None
        finally:
            monkeypatch.undo()
        assert list(tenants) == []

    play(scenario)


def test_the_least_recently_used_idle_app_makes_room():
    async def scenario(tenants):
        of = template()
        a, b, c = (tenants.find(of, [name]) for name in (b"a", b"b", b"c"))
        tenants.find(of, [b"a"])
        b.is_busy = True
        d = tenants.find(of, [b"d"])
        await until(lambda: c.closing)
        assert [app.name for app in tenants] == ["/b", "/a", "/d", "/c"]
        c.closed.set_result(2)
        await until(lambda: tenants.left_open == 2)
        assert list(tenants) == [b, a, d]
        assert tenants.find(of, [b"c"]) is not c

    play(scenario)


def test_all_are_busy():
    async def scenario(tenants):
        of = template()
        apps = [tenants.find(of, [name]) for name in (b"a", b"b", b"c")]
        for app in apps:
            app.is_busy = True
        assert isinstance(tenants.find(of, [b"d"]), Refusal)
        assert tenants.find(of, [b"a"]) is apps[0]
        apps[1].is_busy = False
        assert tenants.find(of, [b"d"]).name == "/d"

    play(scenario)


def test_idle_apps_go(monkeypatch):
    monkeypatch.setattr(tenants_module, "SHORTEST_LOOK", 0.001)

    async def scenario(tenants):
        long = tenants.find(template(route="/x/{t}"), [b"c"])
        short = tenants.find(template(idle_timeout=1.0), [b"a"])
        busy = tenants.find(template(idle_timeout=1.0), [b"b"])
        busy.is_busy = True
        await until(lambda: short.closing)
        assert not busy.closing
        busy.is_busy = False
        await until(lambda: busy.closing)
        assert not long.closing

    play(scenario)


@pytest.mark.parametrize("how", ["no reference", "no app"])
def test_an_app_that_cannot_be_made(how, caplog):
    def make(routed):
        raise ConfigError("no app of that kind")

    async def scenario(tenants):
        of = template("{t}:app") if how == "no reference" else template()
        found = tenants.find(of, [b"a-b"])
        assert isinstance(found.destination, Failed)
        assert tenants.find(of, [b"a-b"]) is found
        assert list(tenants) == []

    def make_by_reference(routed):
        return App(routed) if routed.reference else None

    play(scenario, make=make if how == "no app" else make_by_reference)
    (record,) = caplog.records
    assert record.getMessage().startswith("App /a-b can't be made: ")


def test_no_more_once_the_server_stops():
    async def scenario(tenants):
        of = template()
        app = tenants.find(of, [b"a"])
        tenants.close()
        assert tenants.find(of, [b"a"]) is app
        assert isinstance(tenants.find(of, [b"b"]), Refusal)

    play(scenario)


def test_names_for_which_no_app_can_be_made_are_bounded_too(tmp_path):
    """The virtual environment of each is missing, which is found out before any app is made."""

    async def scenario(tenants):
        of = template(venv=str(tmp_path / "{t}"))
        found = [tenants.find(of, [b"t%d" % number]) for number in range(10)]
        assert all(isinstance(each.destination, Failed) for each in found)
        assert tenants.find(of, [b"t9"]) is found[9]
        assert tenants.find(of, [b"t7"]) is found[7]
        assert tenants.find(of, [b"t0"]) is not found[0]
        assert len(tenants._tenants) == 3

    play(scenario)


def test_a_name_for_which_no_app_can_be_made_takes_no_room_from_busy_ones(tmp_path):
    async def scenario(tenants):
        apps = [tenants.find(template(), [name]) for name in (b"a", b"b", b"c")]
        for app in apps:
            app.is_busy = True
        assert isinstance(tenants.find(template(venv=str(tmp_path / "{t}")), [b"d"]), Refusal)
        assert list(tenants) == apps

    play(scenario)

"""snakepit.server.operate.changes: one reload at a time, and errors are reported."""

import asyncio
import logging

import pytest
from fakes import fake_of
from waiting import PATIENCE, until

from snakepit.config.options import Config
from snakepit.errors import SnakepitError
from snakepit.server.apps import app as app_module
from snakepit.server.apps.table import Apps
from snakepit.server.events.events import Events
from snakepit.server.events.kinds import By, Kind
from snakepit.server.operate import reconfiguration as reconfiguration_module
from snakepit.server.operate.changes import Changes
from snakepit.server.operate.managers import Manager
from snakepit.server.pool import pool as pool_module
from snakepit.server.pool.outcome import Outcome


@fake_of(pool_module.Pool)
class Pool:
    """Reloads when it is told to."""

    def __init__(self):
        self.wanted = 2
        self.all_ready = asyncio.Event()
        self.all_ready.set()
        self.reloads = []
        self.workers = []

    async def reload(self):
        self.reloads.append(asyncio.get_running_loop().create_future())
        return await self.reloads[-1]

    async def scale(self, workers):
        self.wanted = workers
        return Outcome(1)


@fake_of(app_module.App)
class App:
    """Keeps the versions of which its pages heard; several apps have names."""

    alone = stopped = False
    is_up = True

    def __init__(self, name, pool, runtime):
        self.name = name
        self.pool = pool
        self.config = Config("main:app", runtime=runtime)
        self.announced = 0

    async def reload(self):
        return await self.pool.reload()

    def announce_version(self):
        self.announced += 1


@fake_of(reconfiguration_module.Reconfiguration)
class Reconfiguration:
    """Reads what the test says."""

    def __init__(self, outcome):
        self.outcome = outcome

    async def apply(self):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def play(scenario, runtime="interpreter", apps=1, besides=None, events=None, file=None):
    async def limited():
        made = [App(f"app{number}", Pool(), runtime) for number in range(apps)]
        made[0].alone = apps == 1
        log = logging.getLogger("snakepit.server")
        changes = Changes(Apps(made, ()), log, asyncio.get_running_loop(), Manager(), events or Events(), file, besides)
        pool = made[0].pool if apps == 1 else made
        async with asyncio.timeout(PATIENCE):
            await scenario(pool, changes)
            await changes.end()

    asyncio.run(limited())


@pytest.fixture(autouse=True)
def logged(caplog):
    caplog.set_level(logging.INFO, "snakepit.server")
    return lambda: [record.getMessage() for record in caplog.records]


def test_reload(logged):
    async def scenario(pool, changes):
        reload = asyncio.ensure_future(changes.reload())
        await until(lambda: pool.reloads)
        pool.reloads[0].set_result(Outcome(2))
        assert await reload == Outcome(2)

    play(scenario)
    assert logged() == ["Reloading: new workers, one after the other", "Reloaded"]


def kept(events):
    return [(event.kind, event.app, event.reason, event.text) for event in events.after(0)]


def test_who_asked_for_what_and_what_came_of_it_is_noted():
    events = Events()

    async def scenario(pool, changes):
        for number, outcome in enumerate((Outcome(2), Outcome(0, "Worker 1 can't start:\nTraceback"))):
            reload = asyncio.ensure_future(changes.reload(by=By.COMMAND))
            await until(lambda number=number: len(pool.reloads) == number + 1)
            pool.reloads[-1].set_result(outcome)
            await reload
        await changes.scale(3, By.DASHBOARD)
        changes.by_signal()["SIGTTIN"]()
        await until(lambda: pool.wanted == 4)
        await until(lambda: len(events.after(0)) == 6)
        pool.all_ready.clear()
        with pytest.raises(SnakepitError):
            await changes.reload(by=By.PROGRAM)

    play(scenario, events=events)
    found = kept(events)
    assert found[1][3].startswith("Reloaded 2 workers in ")
    assert [*found[:1], *found[2:]] == [
        (Kind.RELOAD, "", "command", "Reloading by a command"),
        (Kind.RELOAD, "", "command", "Reloading by a command"),
        (Kind.NOT_RELOADED, "", "command", "Not reloaded: Worker 1 can't start: …"),
        (Kind.SCALED, "", "dashboard", "Workers: 3, were 2, from the dashboard"),
        (Kind.SCALED, "", "signal", "Workers: 4, were 3, by a signal"),
        (Kind.NOT_RELOADED, "", "program", "Not reloaded by the program: Workers are still starting: nothing changes"),
    ]


@pytest.mark.parametrize(
    ("read", "outcome", "noted"),
    [
        (None, Outcome(0), []),
        (Outcome(0, static=1), Outcome(0, static=1), [(Kind.RECONFIGURED, "1 static folder changed")]),
        (
            Outcome(1, "App /a can't be started", static=2),
            Outcome(1, "App /a can't be started", static=2),
            [
                (Kind.RECONFIGURED, "1 app and 2 static folders changed"),
                (Kind.NOT_RECONFIGURED, "Apps can't be started: App /a can't be started"),
            ],
        ),
        (
            Outcome(0, "App /a can't be started"),
            Outcome(0, "App /a can't be started"),
            [(Kind.NOT_RECONFIGURED, "Apps can't be started: App /a can't be started")],
        ),
        (
            SnakepitError("a bad file"),
            None,
            [(Kind.NOT_RECONFIGURED, "The configuration can't be used: a bad file")],
        ),
    ],
)
def test_what_came_of_reading_the_file_again(read, outcome, noted):
    events = Events()

    async def scenario(pool, changes):
        if outcome is None:
            with pytest.raises(SnakepitError, match="a bad file"):
                await changes.reread(By.COMMAND)
        else:
            assert await changes.reread(By.COMMAND) == outcome

    play(scenario, events=events, file=Reconfiguration(read))
    found = [(kind, text.removeprefix("Configuration read again by a command: ")) for kind, _, _, text in kept(events)]
    assert found == noted


def test_of_which_app():
    events = Events()

    async def scenario(pools, changes):
        reload = asyncio.ensure_future(changes.reload("app1", By.COMMAND))
        await until(lambda: pools[1].pool.reloads)
        pools[1].pool.reloads[0].set_result(Outcome(1))
        await reload

    play(scenario, apps=2, events=events)
    assert [found[:3] for found in kept(events)] == [
        (Kind.RELOAD, "app1", "command"),
        (Kind.RELOADED, "app1", "command"),
    ]
    assert kept(events)[0][3] == "Reloading of app1 by a command"


@pytest.mark.parametrize("how", ["by a command", "by a signal"])
def test_what_is_read_again_beside_the_apps(how):
    read = []

    async def scenario(pool, changes):
        if how == "by a signal":
            changes.by_signal()["SIGHUP"]()
            await until(lambda: pool.reloads)
            pool.reloads[0].set_result(Outcome(2))
        else:
            reload = asyncio.ensure_future(changes.reload())
            await until(lambda: pool.reloads)
            pool.reloads[0].set_result(Outcome(2))
            await reload
        assert read == [1]

    play(scenario, besides=lambda: read.append(1))


def test_who_waits_for_a_reload_gets_the_newest_ones_outcome(logged):
    async def scenario(pool, changes):
        first = asyncio.ensure_future(changes.reload())
        await until(lambda: len(pool.reloads) == 1)
        second = asyncio.ensure_future(changes.reload())
        await until(lambda: len(pool.reloads) == 2)
        assert pool.reloads[0].cancelled()
        assert not first.done()
        pool.reloads[1].set_result(Outcome(0, "broken"))
        assert await first == await second == Outcome(0, "broken")

    play(scenario)
    assert logged()[-1] == "Not reloaded; still serving the previous version"


def test_a_reload_goes_on_when_nobody_waits_for_it_any_more():
    async def scenario(pool, changes):
        waiting = asyncio.ensure_future(changes.reload())
        await until(lambda: pool.reloads)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert not pool.reloads[0].cancelled()

    play(scenario)


def test_a_reload_that_breaks_is_logged_at_once(caplog):
    def told():
        return {str(record.exc_info[1]) for record in caplog.records if record.exc_info}

    async def scenario(pool, changes):
        changes.by_signal()["SIGHUP"]()  # without a caller that waits for it
        await until(lambda: pool.reloads)
        pool.reloads[0].set_exception(ValueError("a bug"))
        await until(lambda: told() == {"a bug"})
        reload = asyncio.ensure_future(changes.reload())  # with a caller that waits
        await until(lambda: len(pool.reloads) == 2)
        pool.reloads[1].set_exception(ValueError("another"))
        with pytest.raises(ValueError, match="another"):
            await reload
        await until(lambda: told() == {"a bug", "another"})

    play(scenario)


def test_the_end_comes_during_a_reload():
    async def scenario(pool, changes):
        reload = asyncio.ensure_future(changes.reload())
        await until(lambda: pool.reloads)
        await changes.end()
        assert await reload == Outcome(0, "the server is stopping")
        with pytest.raises(SnakepitError, match="The server is stopping: nothing changes"):
            await changes.reload()
        changes.by_signal()["SIGHUP"]()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(pool.reloads) == 1

    play(scenario)


def test_scale(logged):
    async def scenario(pool, changes):
        assert await changes.scale(5)
        assert await changes.scale_by(-1)
        assert pool.wanted == 4
        assert await changes.scale_by(-9)
        assert pool.wanted == 1, "one stays"

    play(scenario)
    assert logged() == ["Workers: 5, were 2", "Workers: 4, were 5", "Workers: 1, were 4"]


@pytest.mark.parametrize("workers", [0, -1, 1025])
def test_numbers_of_workers_that_can_not_be(workers):
    async def scenario(pool, changes):
        with pytest.raises(SnakepitError, match=f"^There can be 1 to 1024 workers, not {workers}: nothing changes$"):
            await changes.scale(workers)
        assert pool.wanted == 2

    play(scenario)


def test_signals_say_in_the_log_what_can_not_be(logged):
    async def scenario(pool, changes):
        pool.all_ready.clear()
        signals = changes.by_signal()
        assert set(signals) == {"SIGHUP", "SIGTTIN", "SIGTTOU"}
        for call in signals.values():
            call()
        await until(lambda: len(logged()) == 3)

    play(scenario)
    assert set(logged()) == {"Workers are still starting: nothing changes"}


def test_nothing_changes_in_a_thread():
    async def scenario(pool, changes):
        for change in (changes.reload(), changes.scale(2)):
            with pytest.raises(SnakepitError, match="--runtime thread has one worker"):
                await change

    play(scenario, "thread")


def test_several_apps_are_reloaded_one_after_the_other():
    async def scenario(apps, changes):
        first, second = apps
        reload = asyncio.ensure_future(changes.reload())
        await until(lambda: first.pool.reloads)
        assert (first.announced, second.pool.reloads) == (0, [])
        first.pool.reloads[0].set_result(Outcome(2))
        await until(lambda: second.pool.reloads)
        assert (first.announced, second.announced) == (1, 0)
        second.pool.reloads[0].set_result(Outcome(1, "broken"))
        assert await reload == Outcome(3, "broken")
        assert second.announced == 0

    play(scenario, apps=2)


def test_several_apps_get_as_many_workers_each(logged):
    async def scenario(apps, changes):
        assert await changes.scale(5) == Outcome(2)
        assert [app.pool.wanted for app in apps] == [5, 5]

    play(scenario, apps=2)
    assert logged() == ["Workers: 5, were 2"]

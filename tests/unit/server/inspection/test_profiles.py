"""snakepit.server.inspection.profile: one at a time, and what workers and the main interpreter are asked for."""

import asyncio
import types

import pytest
from waiting import PATIENCE

from snakepit.errors import SnakepitError
from snakepit.server.inspection import profile as profile_module
from snakepit.server.inspection.commands import inspection_commands
from snakepit.server.inspection.profile import MOST_SECONDS, Profiles

SAMPLED = [("/a.py", 1, "app")], [("a thread", [0], 0.5)]
OF_MAIN = [("/srv/site-packages/h11.py", 3, "feed")], [("MainThread", [0], 0.25)]
DESCRIBED = {"calls": SAMPLED[0], "kinds": ["app"], "samples": SAMPLED[1]}


class Watchdog:
    """Answers when it is told to end, or when its worker has ended."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []
        self.ended = asyncio.Event()

    async def wait_profile(self, seconds):
        self.asked.append(seconds)
        await self.ended.wait()
        return self.answer

    def end_profile(self):
        self.ended.set()


class Main:
    """Samples the main interpreter."""

    made = ()

    def __init__(self, seconds, with_apps, loop):
        self.with_apps = with_apps
        self.over = asyncio.Event()
        Main.made = (*Main.made, self)

    async def wait_told(self):
        await self.over.wait()
        return OF_MAIN

    def end(self):
        self.over.set()


@pytest.fixture(autouse=True)
def main_profile(monkeypatch):
    monkeypatch.setattr(profile_module, "MainProfile", Main)
    monkeypatch.setattr(Main, "made", ())


def workers(*answers, runtime="interpreter"):
    return [
        (
            types.SimpleNamespace(name=f"app{number}", config=types.SimpleNamespace(runtime=runtime)),
            types.SimpleNamespace(number=number, watchdog=Watchdog(answer)),
        )
        for number, answer in enumerate(answers, start=1)
    ]


def play(scenario):
    async def main():
        async with asyncio.timeout(PATIENCE):
            await scenario(Profiles(asyncio.get_running_loop()))

    asyncio.run(main())


async def begun(profiles, found, seconds=5, with_main=False):
    making = asyncio.create_task(profiles.wait_profile(found, seconds, with_main))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not making.done()
    return making


def test_what_workers_did_and_who_does_not_say():
    async def scenario(profiles):
        found = workers(SAMPLED, None)
        making = await begun(profiles, found)
        with pytest.raises(SnakepitError, match="another profile is being made"):
            await profiles.wait_profile(found, 5, False)
        assert not making.done()
        profiles.end()
        told = await making
        assert told["main"] is None
        first, second = told["workers"]
        assert first == {"number": 1, "app": "app1", "answered": True, "ended_after": None, **DESCRIBED}
        assert (second["answered"], second["ended_after"], second["samples"]) == (False, None, [])
        assert [worker.watchdog.asked for _, worker in found] == [[5], [5]]
        assert await profiles.wait_profile(found, 1, False)  # the next one

    play(scenario)


def test_a_worker_that_ends_is_not_waited_for_and_named():
    async def scenario(profiles):
        found = workers(SAMPLED, None, SAMPLED)
        making = await begun(profiles, found, 500)
        for _, worker in found[:2]:
            worker.watchdog.ended.set()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not making.done()
        profiles.end()
        first, second, third = (await making)["workers"]
        assert (first["answered"], first["samples"], 0 <= first["ended_after"] < 500) == (True, SAMPLED[1], True)
        assert (second["answered"], second["samples"], 0 <= second["ended_after"] < 500) == (False, [], True)
        assert (third["answered"], third["ended_after"]) == (True, None)

    play(scenario)


def test_the_main_interpreter_alone():
    async def scenario(profiles):
        making = await begun(profiles, [], with_main=True)
        [main] = Main.made
        assert main.with_apps
        main.end()
        told = await making
        assert told == {
            "workers": [],
            "main": {"calls": OF_MAIN[0], "kinds": ["library"], "samples": OF_MAIN[1]},
        }

    play(scenario)


def test_workers_in_the_main_interpreter_are_sampled_once():
    async def scenario(profiles):
        found = [*workers(SAMPLED), *workers(SAMPLED, SAMPLED, runtime="thread")]
        making = await begun(profiles, found, with_main=True)
        assert not Main.made[0].with_apps
        profiles.end()
        told = await making
        assert [(worker["number"], worker["app"]) for worker in told["workers"]] == [(1, "app1"), (1, "app1, app2")]
        assert found[2][1].watchdog.asked == []

    play(scenario)


def test_the_others_are_told_to_end_if_the_main_interpreter_cant_be_sampled(monkeypatch):
    async def fail(self):
        raise SnakepitError("no thread")

    monkeypatch.setattr(Main, "wait_told", fail)

    async def scenario(profiles):
        found = workers(SAMPLED)
        with pytest.raises(SnakepitError, match="no thread"):
            await profiles.wait_profile(found, 5, True)
        assert found[0][1].watchdog.ended.is_set()
        making = await begun(profiles, workers(SAMPLED))
        profiles.end()
        assert (await making)["workers"]

    play(scenario)


@pytest.mark.parametrize("seconds", [0, -1, MOST_SECONDS + 1, float("nan")])
def test_how_long(seconds):
    with pytest.raises(SnakepitError, match="seconds must be more than 0, and 600 at most"):
        asyncio.run(Profiles(None).wait_profile([], seconds, False))


@pytest.mark.parametrize("seconds", [None, "1", True])
def test_the_command_refuses_what_is_no_number(seconds):
    with pytest.raises(SnakepitError, match="seconds must be a number"):
        asyncio.run(inspection_commands([], None)["profile"]({"seconds": seconds}))


@pytest.mark.parametrize("worker", ["Main", "1", 1.0, True])
def test_the_command_refuses_what_is_no_worker(worker):
    with pytest.raises(SnakepitError, match="worker must be a number or 'main', not "):
        asyncio.run(inspection_commands([], None)["profile"]({"seconds": 1, "worker": worker}))


def test_the_command_takes_main():
    async def main():
        command = inspection_commands([], asyncio.get_running_loop())["profile"]
        making = asyncio.create_task(command({"seconds": 1, "worker": "main"}))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        Main.made[0].end()
        return await making

    assert asyncio.run(main())["main"]["samples"] == OF_MAIN[1]


def test_without_a_profile_there_is_nothing_to_end():
    assert asyncio.run(inspection_commands([], None)["end-profile"]({})) == {}

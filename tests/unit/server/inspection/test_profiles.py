"""snakepit.server.inspection.profile: one at a time, and what workers are asked for."""

import asyncio
import types

import pytest

from snakepit.errors import SnakepitError
from snakepit.server.inspection.commands import inspection_commands
from snakepit.server.inspection.profile import MOST_SECONDS, Profiles

SAMPLED = [("/a.py", 1, "app")], [("a thread", [0], 0.5)]


class Watchdog:
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


def workers(*answers):
    app = types.SimpleNamespace(name="main:app")
    return [
        (
            app,
            types.SimpleNamespace(
                number=number,
                watchdog=Watchdog(answer),
                thread=types.SimpleNamespace(closing=asyncio.Event()),
            ),
        )
        for number, answer in enumerate(answers, start=1)
    ]


def test_what_workers_did_and_who_does_not_say():
    async def main():
        profiles, found = Profiles(), workers(SAMPLED, None)
        making = asyncio.create_task(profiles.wait_profile(found, 5))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(SnakepitError, match="another profile is being made"):
            await profiles.wait_profile(found, 5)
        assert not making.done()
        profiles.end()
        first, second = await making
        assert (first["number"], first["app"], first["answered"]) == (1, "main:app", True)
        assert (first["calls"], first["samples"]) == SAMPLED
        assert (second["answered"], second["samples"]) == (False, [])
        assert [worker.watchdog.asked for _, worker in found] == [[5], [5]]
        assert await profiles.wait_profile(found, 1)  # the next one

    asyncio.run(main())


def test_a_worker_that_is_ending_is_told_nothing():
    async def main():
        profiles, found = Profiles(), workers(SAMPLED)
        making = asyncio.create_task(profiles.wait_profile(found, 5))
        await asyncio.sleep(0)
        found[0][1].thread.closing.set()
        profiles.end()
        assert not found[0][1].watchdog.ended.is_set()
        making.cancel()

    asyncio.run(main())


@pytest.mark.parametrize("seconds", [0, -1, MOST_SECONDS + 1, float("nan")])
def test_how_long(seconds):
    with pytest.raises(SnakepitError, match="seconds must be more than 0, and 600 at most"):
        asyncio.run(Profiles().wait_profile([], seconds))


@pytest.mark.parametrize("seconds", [None, "1", True])
def test_the_command_refuses_what_is_no_number(seconds):
    with pytest.raises(SnakepitError, match="seconds must be a number"):
        asyncio.run(inspection_commands([], None)["profile"]({"seconds": seconds}))


def test_without_a_profile_there_is_nothing_to_end():
    assert asyncio.run(inspection_commands([], None)["end-profile"]({})) == {}

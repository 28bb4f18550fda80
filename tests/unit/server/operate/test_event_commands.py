"""snakepit.server.operate.event_commands: what the commands answer, and when."""

import asyncio
import os

import pytest
from waiting import PATIENCE, turn

from snakepit.errors import SnakepitError
from snakepit.server.events.events import Events
from snakepit.server.events.kinds import Kind
from snakepit.server.operate import event_commands as module
from snakepit.server.operate.event_commands import event_commands, event_streams


def texts(answer):
    return [event["text"] for event in answer["events"]]


def test_what_is_kept():
    async def scenario():
        events = Events()
        command = event_commands(events)["events"]
        assert await command({}) == {"pid": os.getpid(), "events": [], "ended": False}
        events.add(Kind.START, "It begins")
        events.add(Kind.LISTENING, "It listens")
        assert texts(await command({})) == ["It begins", "It listens"]

    asyncio.run(scenario())


def test_what_comes_until_the_end():
    async def scenario():
        events = Events()
        events.add(Kind.START, "It begins")
        events.add(Kind.LISTENING, "It listens")
        told = event_streams(events)["follow-events"]({"after": 1})
        async with asyncio.timeout(PATIENCE):
            assert texts(await anext(told)) == ["It listens"]
            following = asyncio.ensure_future(anext(told))
            await turn()
            assert not following.done()
            events.add(Kind.STOPPING, "It stops")
            assert texts(await following) == ["It stops"]
            following = asyncio.ensure_future(anext(told))
            await turn()
            events.add(Kind.STOPPED, "It stopped")
            events.end()
            last = await following
            assert (texts(last), last["ended"]) == (["It stopped"], True)
            with pytest.raises(StopAsyncIteration):
                await anext(told)

    asyncio.run(scenario())


def test_it_says_now_and_then_that_nothing_has_happened(monkeypatch):
    monkeypatch.setattr(module, "LONGEST_SILENCE", 0.001)

    async def scenario():
        told = event_streams(Events())["follow-events"]({})
        async with asyncio.timeout(PATIENCE):
            for _ in range(3):
                assert await anext(told) == {"pid": os.getpid(), "events": [], "ended": False}

    asyncio.run(scenario())


@pytest.mark.parametrize("after", ["1", True, 1.0, None])
def test_nonsense(after):
    with pytest.raises(SnakepitError, match="after must be the number of an event, not "):
        asyncio.run(anext(event_streams(Events())["follow-events"]({"after": after})))

"""snakepit.server.operate.event_commands: what the command answers, and when."""

import asyncio
import os

import pytest
from waiting import PATIENCE, turn

from snakepit.errors import SnakepitError
from snakepit.server.events.events import Events
from snakepit.server.events.kinds import Kind
from snakepit.server.operate.event_commands import LONGEST_WAIT, event_commands


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
        assert texts(await command({"after": 1, "wait": 5})) == ["It listens"]

    asyncio.run(scenario())


def test_it_waits_for_the_next_one_and_for_the_end():
    async def scenario():
        events = Events()
        command = event_commands(events)["events"]
        answer = asyncio.ensure_future(command({"after": 0, "wait": LONGEST_WAIT}))
        await turn()
        assert not answer.done()
        events.add(Kind.START, "It begins")
        async with asyncio.timeout(PATIENCE):
            assert texts(await answer) == ["It begins"]
            answer = asyncio.ensure_future(command({"after": 1, "wait": LONGEST_WAIT}))
            await turn()
            events.end()
            assert await answer == {"pid": os.getpid(), "events": [], "ended": True}

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"after": "1"}, "after must be the number of an event, not '1'"),
        ({"after": True}, "after must be"),
        ({"wait": -1}, "wait must be 0 to 30 seconds, not -1"),
        ({"wait": 31}, "wait must be"),
        ({"wait": float("nan")}, "wait must be"),
        ({"wait": None}, "wait must be"),
        ({"wait": True}, "wait must be"),
    ],
)
def test_nonsense(request_, error):
    with pytest.raises(SnakepitError, match=error):
        asyncio.run(event_commands(Events())["events"](request_))

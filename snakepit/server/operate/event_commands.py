"""The commands of the control socket that tell what has happened, and what happens."""

import os
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from snakepit.errors import SnakepitError
from snakepit.server.events.events import Events
from snakepit.server.operate.control_socket import Command, Stream

LONGEST_SILENCE = 5.0
"""Seconds after which those who follow are told that nothing has happened."""


def event_commands(events: Events) -> dict[str, Command]:
    """Return the command that tells what has happened, by its name."""

    async def tell(request: Mapping[str, Any]) -> dict[str, Any]:
        return _told(events, 0)

    return {"events": tell}


def event_streams(events: Events) -> dict[str, Stream]:
    """Return the command that goes on to tell what happens until the server ends, by its name."""

    async def follow(request: Mapping[str, Any]) -> AsyncGenerator[dict[str, Any]]:
        after = request.get("after", 0)
        if type(after) is not int:
            raise SnakepitError(f"after must be the number of an event, not {after!r}")
        while True:
            told = _told(events, after)
            after = max((event["number"] for event in told["events"]), default=after)
            yield told
            if told["ended"]:
                return
            await events.wait_after(after, LONGEST_SILENCE)

    return {"follow-events": follow}


def _told(events: Events, after: int) -> dict[str, Any]:
    return {"pid": os.getpid(), "events": [event.described() for event in events.after(after)], "ended": events.ended}

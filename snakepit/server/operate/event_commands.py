"""The command of the control socket that tells what has happened."""

import os
from collections.abc import Mapping
from typing import Any

from snakepit.errors import SnakepitError
from snakepit.server.events.events import Events
from snakepit.server.operate.control_socket import Command

LONGEST_WAIT = 30.0
"""Seconds; the longest time for which a client can have the answer held back."""


def event_commands(events: Events) -> dict[str, Command]:
    """Return the command, by its name."""

    async def tell(request: Mapping[str, Any]) -> dict[str, Any]:
        after, wait = request.get("after", 0), request.get("wait", 0)
        if type(after) is not int:
            raise SnakepitError(f"after must be the number of an event, not {after!r}")
        if type(wait) not in (int, float) or not 0 <= wait <= LONGEST_WAIT:
            raise SnakepitError(f"wait must be 0 to {LONGEST_WAIT:g} seconds, not {wait!r}")
        if wait:
            await events.wait_after(after, wait)
        found = [event.described() for event in events.after(after)]
        return {"pid": os.getpid(), "events": found, "ended": events.ended}

    return {"events": tell}

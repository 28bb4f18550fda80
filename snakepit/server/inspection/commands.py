"""The commands of the control socket that tell of the code that runs."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from snakepit.errors import SnakepitError
from snakepit.server.inspection.profile import Profiles
from snakepit.server.inspection.slow import SlowRequests
from snakepit.server.inspection.stacks import Found, wait_stacks, workers_of
from snakepit.server.operate.control_socket import Command

if TYPE_CHECKING:
    from snakepit.server.apps.app import App

MAIN = "main"
"""What stands for the main interpreter in the place of a worker's number."""


def inspection_commands(apps: "Iterable[App]", loop: asyncio.AbstractEventLoop) -> dict[str, Command]:
    """Return the commands, by name."""

    async def stacks(request: Mapping[str, Any]) -> dict[str, Any]:
        found, with_main = _asked_for(apps, request)
        return await wait_stacks(found, loop, with_main)

    profiles = Profiles(loop)

    async def profile(request: Mapping[str, Any]) -> dict[str, Any]:
        seconds = request.get("seconds")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool):
            raise SnakepitError(f"seconds must be a number, not {seconds!r}")
        found, with_main = _asked_for(apps, request)
        return await profiles.wait_profile(found, seconds, with_main)

    async def end_profile(request: Mapping[str, Any]) -> dict[str, Any]:
        profiles.end()
        return {}

    return {"stacks": stacks, "profile": profile, "end-profile": end_profile}


def slow_commands(slow_requests: SlowRequests) -> dict[str, Command]:
    """Return the command that tells of slow requests, by its name."""

    async def slow(request: Mapping[str, Any]) -> dict[str, Any]:
        return {"requests": slow_requests.told()}

    return {"slow": slow}


def _asked_for(apps: "Iterable[App]", request: Mapping[str, Any]) -> tuple[Found, bool]:
    """Return the workers that a request names, and whether it is about the main interpreter, too."""
    number, name = request.get("worker"), request.get("app")
    if number == MAIN:
        return [], True
    if not (number is None or type(number) is int):
        raise SnakepitError(f"worker must be a number or {MAIN!r}, not {number!r}")
    if not (name is None or isinstance(name, str)):
        raise SnakepitError(f"app must be the name of an app, not {name!r}")
    return workers_of(apps, number, name), number is None and name is None

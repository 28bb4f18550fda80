"""The commands of the control socket: what they call, and their answers."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

from snakepit.errors import SnakepitError
from snakepit.server.events.kinds import By
from snakepit.server.operate.control_socket import Command
from snakepit.server.operate.statistics import Statistics
from snakepit.server.pool.outcome import Outcome
from snakepit.system.words import counted


class Adjustable(Protocol):
    """The methods of a server that change its workers."""

    async def reload(self, app: str | None = None, by: By = By.PROGRAM) -> Outcome:
        """Replace the workers one after the other, of all apps or of this one."""

    async def scale(self, workers: int, by: By = By.PROGRAM) -> Outcome:
        """Change the number of workers."""


class Commanded(Adjustable, Protocol):
    """The methods of a server that commands need."""

    @property
    def wanted(self) -> int:
        """The number of workers that the server should have."""

    def statistics(self) -> Statistics:
        """Return the state of the server."""

    def stop(self, by: By = By.PROGRAM) -> None:
        """Stop gracefully."""

    async def reread(self, by: By = By.PROGRAM) -> Outcome:
        """Read the configuration file again."""

    async def stop_app(self, name: str) -> None:
        """Stop the workers of an app."""

    async def start_app(self, name: str) -> Outcome:
        """Start an app that was stopped, or could not be started."""

    async def upgrade(self) -> int:
        """Start a new server process that takes over; returns its pid."""


def commands(server: Commanded) -> dict[str, Command]:
    """Return the commands of the control socket, by name."""

    async def status(request: Mapping[str, Any]) -> dict[str, Any]:
        return {"status": asdict(server.statistics())}

    async def reload(request: Mapping[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        outcome = await server.reload(_name_of_app(request) if "app" in request else None, By.COMMAND)
        if not outcome:
            done = f"only {outcome.count} reloaded" if outcome.count else "not reloaded"
            raise SnakepitError(f"{done}: {outcome.trouble}")
        return {"replaced": outcome.count, "seconds": time.monotonic() - began}

    async def scale(request: Mapping[str, Any]) -> dict[str, Any]:
        workers = request.get("workers")
        if type(workers) is not int:
            raise SnakepitError(f"workers must be a whole number, not {workers!r}")
        before = server.wanted
        outcome = await server.scale(workers, By.COMMAND)
        if not outcome:
            raise SnakepitError(f"there are not {workers} workers: {outcome.trouble}")
        return {"workers": workers, "before": before}

    async def stop(request: Mapping[str, Any]) -> dict[str, Any]:
        server.stop(By.COMMAND)
        return {}

    async def upgrade(request: Mapping[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        return {"pid": await server.upgrade(), "seconds": time.monotonic() - began}

    async def reread(request: Mapping[str, Any]) -> dict[str, Any]:
        outcome = await server.reread(By.COMMAND)
        if outcome.trouble:
            raise SnakepitError(f"{counted(outcome.count, 'app')} changed; not started: {outcome.trouble}")
        return {"changed": outcome.count, "static": outcome.static}

    async def stop_app(request: Mapping[str, Any]) -> dict[str, Any]:
        await server.stop_app(_name_of_app(request))
        return {}

    async def start_app(request: Mapping[str, Any]) -> dict[str, Any]:
        outcome = await server.start_app(_name_of_app(request))
        if not outcome:
            raise SnakepitError(f"not started: {outcome.trouble}")
        return {}

    return {
        "status": status,
        "reload": reload,
        "reread": reread,
        "scale": scale,
        "stop": stop,
        "upgrade": upgrade,
        "stop-app": stop_app,
        "start-app": start_app,
    }


def _name_of_app(request: Mapping[str, Any]) -> str:
    name = request.get("app")
    if not isinstance(name, str):
        raise SnakepitError(f"app must be the name of an app, not {name!r}")
    return name

"""The commands of the control socket: what they call, and their answers."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

from snakepit.errors import SnakepitError
from snakepit.server.operate.control_socket import Command
from snakepit.server.operate.statistics import Statistics
from snakepit.server.pool.outcome import Outcome


class Commanded(Protocol):
    """The methods of a server that commands need."""

    @property
    def wanted(self) -> int:
        """The number of workers that the server should have."""

    def statistics(self) -> Statistics:
        """Return the state of the server."""

    def stop(self) -> None:
        """Stop gracefully."""

    async def reload(self) -> Outcome:
        """Replace the workers one after the other."""

    async def scale(self, workers: int) -> Outcome:
        """Change the number of workers."""

    async def upgrade(self) -> int:
        """Start a new server process that takes over; returns its pid."""


def commands(server: Commanded) -> dict[str, Command]:
    """Return the commands of the control socket, by name."""

    async def status(request: Mapping[str, Any]) -> dict[str, Any]:
        return {"status": asdict(server.statistics())}

    async def reload(request: Mapping[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        outcome = await server.reload()
        if not outcome:
            done = f"only {outcome.count} reloaded" if outcome.count else "not reloaded"
            raise SnakepitError(f"{done}: {outcome.trouble}")
        return {"replaced": outcome.count, "seconds": time.monotonic() - began}

    async def scale(request: Mapping[str, Any]) -> dict[str, Any]:
        workers = request.get("workers")
        if type(workers) is not int:
            raise SnakepitError(f"workers must be a whole number, not {workers!r}")
        before = server.wanted
        outcome = await server.scale(workers)
        if not outcome:
            raise SnakepitError(f"there are not {workers} workers: {outcome.trouble}")
        return {"workers": workers, "before": before}

    async def stop(request: Mapping[str, Any]) -> dict[str, Any]:
        server.stop()
        return {}

    async def upgrade(request: Mapping[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        return {"pid": await server.upgrade(), "seconds": time.monotonic() - began}

    return {"status": status, "reload": reload, "scale": scale, "stop": stop, "upgrade": upgrade}

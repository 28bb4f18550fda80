"""The command of the control socket that tells what the live page shows: `snakepit top` asks for it."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from snakepit.server.operate.control_socket import Command
from snakepit.system.import_order import StandardLibraryFirst

if TYPE_CHECKING:
    from snakepit.server.apps.app import App
    from snakepit.server.dashboard.state import ServerState
    from snakepit.server.monitor.counters import Counters
    from snakepit.server.operate.statistics import Statistics


def state_commands(
    statistics: "Callable[[], Statistics]", apps: "Iterable[App]", counters: "Counters | None"
) -> dict[str, Command]:
    """Return the command, by its name; the arguments are those of `ServerState`."""
    made: list[ServerState] = []

    async def state(request: Mapping[str, Any]) -> dict[str, Any]:
        if not made:
            with StandardLibraryFirst():
                from snakepit.server.dashboard.state import ServerState  # hardly anyone asks
            made.append(ServerState(statistics, apps, counters))
        found = made[0].look()
        made[0].ask_workers()
        return {"state": found}

    return {"state": state}

"""The commands of the control socket that tell what the live page shows: `snakepit top` gives them."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from snakepit.errors import SnakepitError
from snakepit.server.dashboard.stacks import wait_stack
from snakepit.server.operate.control_socket import Command
from snakepit.system.import_order import StandardLibraryFirst

if TYPE_CHECKING:
    from snakepit.server.apps.app import App
    from snakepit.server.dashboard.state import ServerState
    from snakepit.server.events.events import Events
    from snakepit.server.inspection.load import Load
    from snakepit.server.monitor.counters import Counters
    from snakepit.server.operate.statistics import Statistics


SHOWN = 20
"""The latest events that belong to the state."""


def state_commands(
    statistics: "Callable[[], Statistics]",
    apps: "Iterable[App]",
    counters: "Counters | None",
    events: "Events",
    load: "Load",
) -> dict[str, Command]:
    """Return the commands, by name; the first arguments are those of `ServerState`."""
    made: list[ServerState] = []

    async def state(request: Mapping[str, Any]) -> dict[str, Any]:
        if not made:
            with StandardLibraryFirst():
                from snakepit.server.dashboard.state import ServerState  # hardly anyone asks
            made.append(ServerState(statistics, apps, counters))
        await made[0].wait_reactions()
        found = made[0].look()
        latest = [event.described() for event in events.latest[:SHOWN]]
        return {"state": {**found, "load": load.told(), "events": latest}}

    async def where(request: Mapping[str, Any]) -> dict[str, Any]:
        number = request.get("id")
        if type(number) is not int:
            raise SnakepitError(f"id must be the number of a request, not {number!r}")
        return {"stack": await wait_stack(apps, number)}

    return {"state": state, "where": where}

"""Puts the live page together."""

import asyncio
from typing import TYPE_CHECKING, Protocol

from snakepit.server.dashboard.access import Access
from snakepit.server.dashboard.actions import Actions
from snakepit.server.dashboard.faults import Faults
from snakepit.server.dashboard.responder import Dashboard
from snakepit.server.dashboard.state import ServerState
from snakepit.server.operate.commands import Adjustable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakepit.config.options import Config
    from snakepit.server.apps.app import App
    from snakepit.server.events.events import Events
    from snakepit.server.monitor.counters import Counters
    from snakepit.server.net.connections import Connections
    from snakepit.server.operate.statistics import Statistics


class Shown(Adjustable, Protocol):
    """The methods of a server that the page needs."""

    def statistics(self) -> "Statistics":
        """Return the state of the server."""


def make_dashboard(
    config: "Config",
    server: Shown,
    apps: "Iterable[App]",
    counters: "Counters",
    connections: "Connections",
    events: "Events",
    loop: asyncio.AbstractEventLoop,
) -> Dashboard:
    """Return the responder for the live page of a server.

    Args:
        counters: of the server's requests.
        connections: those whose errors in apps are kept from now on.
        events: those of the server.
    """
    faults = Faults()
    connections.on_fault = faults.add
    state = ServerState(server.statistics, apps, counters)
    actions = Actions(server, apps)
    return Dashboard(Access(config.dashboard_token), state, actions, faults, events, loop)

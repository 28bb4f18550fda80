"""The report of what a stop waits for, in words."""

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakepit.server.apps.table import Apps
    from snakepit.server.net.connections import Connections


def what_is_waited_for(apps: "Apps", connections: "Connections") -> str:
    """Name the requests, or else the clients that still read their answers, or else the workers that shut down."""
    oldest = apps.oldest_exchange
    if oldest is not None:
        count, age = apps.in_progress, monotonic() - oldest.began
        if count == 1:
            return f"{oldest.asked_for}, which came {age:.0f} s ago"
        return f"{count} requests, of which the oldest, {oldest.asked_for}, came {age:.0f} s ago"
    if connections.open:
        count = len(connections.open)
        return "a client to read its answer" if count == 1 else f"{count} clients to read their answers"
    return " and ".join(str(worker) for app in apps for worker in app.pool.living) or "the end"

"""What a stop waits for, in words."""

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakepit.server.net.connections import Connections
    from snakepit.server.pool.pool import Pool


def what_is_waited_for(pool: "Pool", connections: "Connections") -> str:
    """Requests, or else clients that still read their answers, or else workers that shut down."""
    oldest = pool.flow.oldest
    if oldest is not None:
        count, age = pool.in_progress, monotonic() - oldest.began
        if count == 1:
            return f"{oldest.asked_for}, which came {age:.0f} s ago"
        return f"{count} requests, of which the oldest, {oldest.asked_for}, came {age:.0f} s ago"
    if connections.open:
        count = len(connections.open)
        return "a client to read its answer" if count == 1 else f"{count} clients to read their answers"
    return " and ".join(map(str, pool.living)) or "the end"

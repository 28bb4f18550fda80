"""Where the code of one request is."""

from typing import TYPE_CHECKING

from snakepit.errors import SnakepitError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakepit.server.apps.app import App
    from snakepit.server.exchanges.exchange import Exchange


def find(apps: "Iterable[App]", number: int) -> "tuple[Exchange, App]":
    """Return the exchange with this number that is in progress, and its app. Raises SnakepitError."""
    for app in apps:
        for exchange in app.pool.queue.exchanges:
            if exchange.number == number:
                return exchange, app
    raise SnakepitError("This request is over")


async def wait_stack(apps: "Iterable[App]", number: int) -> str:
    """Return the stack of the exchange with this number. Raises SnakepitError if there is none."""
    exchange, _ = find(apps, number)
    worker = exchange.home
    if worker is None or not worker.has(exchange):
        raise SnakepitError("No worker has this request")
    found: str | None = await worker.watchdog.wait_where(exchange)
    if found is None:
        raise SnakepitError("The worker does not answer: C code keeps its GIL, or the machine has too much to do")
    if not found:
        raise SnakepitError("No code runs for this request now: it waits for its turn, or its client")
    return found

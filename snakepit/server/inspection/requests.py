"""What commands tell of a request."""

from time import monotonic
from typing import Any

from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.lifecycle import ExchangeState

MOST_OF_PATH = 500
"""Characters of a path that are told."""

STATES = {
    ExchangeState.NEW: "waiting",
    ExchangeState.WAITING: "waiting",
    ExchangeState.ASSIGNED: "running",
    ExchangeState.RESPONDING: "responding",
    ExchangeState.ANSWERED: "answered",
    ExchangeState.ABANDONED: "abandoned",
    ExchangeState.CLOSED: "done",
}
"""States in the words of commands."""


def path_of(exchange: Exchange) -> str:
    """Return the path without the query string, in which secrets may be."""
    return exchange.head.target.partition(b"?")[0][:MOST_OF_PATH].decode("latin-1")


def described(exchange: Exchange) -> dict[str, Any]:
    """Describe a request as `snakepit stacks --json` does."""
    return {
        "number": exchange.number,
        "method": exchange.head.method,
        "path": path_of(exchange),
        "seconds": round(monotonic() - exchange.began, 3),
        "state": STATES[exchange.state],
    }

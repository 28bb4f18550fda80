"""What commands tell of a request."""

from time import monotonic
from typing import Any

from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.lifecycle import EXCHANGE_WORDS

MOST_OF_PATH = 500
"""Characters of a path that are told."""


def path_of(exchange: Exchange) -> str:
    """Return the path, as much of it as is told."""
    return exchange.head.path[:MOST_OF_PATH]


def described(exchange: Exchange) -> dict[str, Any]:
    """Describe a request as `snakepit stacks --json` does."""
    return {
        "number": exchange.number,
        "method": exchange.head.method,
        "path": path_of(exchange),
        "seconds": round(monotonic() - exchange.began, 3),
        "state": EXCHANGE_WORDS[exchange.state],
    }

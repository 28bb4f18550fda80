"""What the access log's lines in other forms than the default one tell of a request."""

import re
from collections.abc import Callable
from functools import lru_cache

from snakepit.server.exchanges.watched import WatchedExchange

type MakeLine = Callable[[WatchedExchange, float], str]
"""Makes the line of a request that was over at this moment, in seconds since 1970, without the line's end."""

LEFT = 499
"""What stands in place of a status where the client left before there was an answer: no app's, and what nginx logs."""

_SERVED_BY = re.compile(r"worker (\d+)(?: of (.*))?", re.DOTALL)


def status_of(exchange: WatchedExchange) -> int:
    """Return the status of the answer, or LEFT."""
    return exchange.status or LEFT


def target_of(exchange: WatchedExchange) -> str:
    """Return what the client asked for."""
    return exchange.head.target.decode("latin-1")


def request_id_of(exchange: WatchedExchange) -> str:
    """Return the request's ID; empty if it has none."""
    return exchange.request_id.decode("ascii")


@lru_cache(1024)
def worker_of(served_by: str) -> tuple[int | None, str]:
    """Return the number of the worker, if one answered, and the name of its app, if the server has several.

    Args:
        served_by: as `Exchange.served_by`.
    """
    found = _SERVED_BY.fullmatch(served_by)
    return (int(found[1]), found[2] or "") if found is not None else (None, "")


def received(exchange: WatchedExchange, name: bytes) -> str | None:
    """Return the values of a request's header field, with commas between; None: it has none."""
    values = [value for key, value in exchange.head.headers if key == name]
    return b", ".join(values).decode("latin-1") if values else None


def sent(exchange: WatchedExchange, name: bytes) -> str | None:
    """Return the values of a response's header field, as far as the app made them; None: it has none."""
    values = []
    for line in exchange.fields[0].split(b"\r\n"):
        key, _, value = line.partition(b":")
        if key.lower() == name:
            values.append(value.strip())
    return b", ".join(values).decode("latin-1") if values else None

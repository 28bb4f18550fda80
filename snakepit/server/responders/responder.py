"""Responders answer requests in the main interpreter, without a worker.

A responder gets an exchange with its head, and with as much of the body as came with it. It answers

- at once: `exchange.reply(…)` in `submit`;
- later: `exchange.mark_waiting()` in `submit`, and `exchange.reply(…)` when it can;
- by a stream: `exchange.begin_reply(…)`, at once or later, then `exchange.add_to_reply(…)` as often as the client takes
  more.

It must not block: while it computes, no connection is served.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from snakepit.http.fields import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Exchange


class Responder(ABC):
    """Base class of destinations that need no worker."""

    interface = ""
    """It speaks neither of the apps' interfaces, and no WebSocket."""
    is_logged = True
    """Whether the access log is to have what it answers; `submit` tells the exchange."""

    @abstractmethod
    def takes(self, head: "RequestHead") -> bool:
        """Tell whether this responder answers the request. Called for each request, so it must be quick."""

    @abstractmethod
    def submit(self, exchange: "Exchange") -> None:
        """Answer an exchange, or keep it and answer later."""

    @abstractmethod
    def withdraw(self, exchange: "Exchange") -> None:
        """Forget an exchange that was kept: its client has gone, before the answer was complete."""


class LateResponder(Responder):
    """Base class of responders that have to ask for what they answer with."""

    def __init__(self) -> None:
        self._kept: set[Exchange] = set()

    def keep(self, exchange: "Exchange") -> None:
        """Keep an exchange until `take`."""
        exchange.mark_waiting()
        self._kept.add(exchange)

    def take(self, exchange: "Exchange") -> bool:
        """Keep an exchange no more; returns whether its client is still there."""
        wanted = exchange in self._kept
        self._kept.discard(exchange)
        return wanted

    def withdraw(self, exchange: "Exchange") -> None:
        self._kept.discard(exchange)


def answer(exchange: "Exchange", status: int, fields: "Sequence[tuple[bytes, bytes]]", body: bytes) -> None:
    """Answer with these fields, a whole body, and its length, which is all that HEAD gets (RFC 9110 section 9.3.2)."""
    length = (b"content-length", b"%d" % len(body))
    exchange.reply(status, render([*fields, length]), b"" if exchange.head.method == "HEAD" else body)


def refuses_method(exchange: "Exchange", reason: str) -> bool:
    """Refuse a request that is neither GET nor HEAD (RFC 9110 section 15.5.6); returns whether it is one."""
    if exchange.head.method in ("GET", "HEAD"):
        return False
    exchange.refuse(405, reason, [(b"allow", b"GET, HEAD")])
    return True

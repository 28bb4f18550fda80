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

if TYPE_CHECKING:
    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Exchange


class Responder(ABC):
    """Base class of destinations that need no worker."""

    interface = ""
    """It speaks neither of the apps' interfaces, and no WebSocket."""

    @abstractmethod
    def takes(self, head: "RequestHead") -> bool:
        """Tell whether this responder answers the request. Called for each request, so it must be quick."""

    @abstractmethod
    def submit(self, exchange: "Exchange") -> None:
        """Answer an exchange, or keep it and answer later."""

    @abstractmethod
    def withdraw(self, exchange: "Exchange") -> None:
        """Forget an exchange that was kept: its client has gone, before the answer was complete."""

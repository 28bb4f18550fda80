"""Finds the destination of a request, where there is one app: a responder, which needs no worker, or the app."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Destination
    from snakepit.server.responders.responder import Responder


class Finder(Protocol):
    """A router of any kind."""

    def find(self, head: "RequestHead") -> "Destination":
        """Return who answers a request."""


class Router:
    """The router of a server with one app.

    Args:
        app: gets what no responder takes.
        responders: asked in this order.
    """

    def __init__(self, app: "Destination", responders: "Iterable[Responder]" = ()) -> None:
        self._app = app
        self._responders = tuple(responders)

    def find(self, head: "RequestHead") -> "Destination":
        """Return the first responder that takes the request; the app if none does."""
        for responder in self._responders:
            if responder.takes(head):
                return responder
        return self._app

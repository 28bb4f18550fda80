"""Asks responders first, and finds who gets what none of them takes."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Destination
    from snakepit.server.responders.responder import Responder
    from snakepit.server.routing.router import Finder


class RespondersFirst:
    """The router of a server with responders that are for all of its apps.

    Args:
        responders: asked in this order.
        rest: finds who gets what none of them takes.
    """

    def __init__(self, responders: "Iterable[Responder]", rest: "Finder") -> None:
        self._responders = tuple(responders)
        self._rest = rest

    def find(self, head: "RequestHead") -> "Destination":
        """Return who answers a request."""
        for responder in self._responders:
            if responder.takes(head):
                return responder
        return self._rest.find(head)

"""Asks the routes with static files first, and finds who gets what they do not have."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Destination
    from snakepit.server.responders.responder import Responder
    from snakepit.server.responders.static_files.responder import StaticResponder
    from snakepit.server.routing.router import Finder


class FilesFirst:
    """The router of a server with static files.

    Args:
        responders: asked in this order.
        rest: finds who gets what none of them takes, or has.
    """

    def __init__(self, responders: "Iterable[StaticResponder]", rest: "Finder") -> None:
        self._responders = tuple(responders)
        self._rest = rest
        for responder in self._responders:
            responder.hand_on_to(self)

    def find(self, head: "RequestHead") -> "Destination":
        """Return who answers a request, or looks whether it can."""
        for responder in self._responders:
            if responder.takes(head):
                return responder
        return self._rest.find(head)

    def find_after(self, responder: "Responder", head: "RequestHead") -> "Destination":
        """Return who gets a request that a responder took, and does not have a file for."""
        if responder not in self._responders:  # it has gone, and others may have come
            return self.find(head)
        for other in self._responders[self._responders.index(responder) + 1 :]:
            if other.takes(head):
                return other
        return self._rest.find(head)

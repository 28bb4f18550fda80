"""Finds the destination of a request: a responder, which needs no worker, or the app.

There is one app. If there were several, host and path would decide here.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Destination
    from snakepit.server.responders.responder import Responder


class Router:
    """The router of requests.

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

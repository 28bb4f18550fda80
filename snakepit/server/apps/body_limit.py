"""The limit on request bodies of one of several apps, which may each have their own.

The parser has none then: it does not know which app a request is for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakepit.server.exchanges.exchange import Destination, Exchange


class BodyLimit:
    """A destination that hands requests on, unless their body is too large.

    Args:
        limit: in bytes.
        rest: gets the requests.
    """

    def __init__(self, limit: int, rest: "Destination") -> None:
        self._limit = limit
        self._rest = rest

    @property
    def interface(self) -> str:
        """What the app speaks."""
        return self._rest.interface

    def submit(self, exchange: "Exchange") -> None:
        """Hand a request on, or refuse it if its body is announced as too large."""
        head = exchange.head
        if head.more or head.body:
            announced = next((int(value) for name, value in head.headers if name == b"content-length"), len(head.body))
            if announced > self._limit:
                exchange.refuse(413, f"the request's body is longer than {self._limit} bytes", [])
                return
            if head.more:
                exchange.body_left = self._limit - len(head.body)
        exchange.redirect(self._rest)

    def withdraw(self, exchange: "Exchange") -> None:
        """Do nothing: it keeps none."""

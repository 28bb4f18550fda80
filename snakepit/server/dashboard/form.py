"""Reads a small form that a browser posts, which may come in pieces."""

from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakepit.server.exchanges.exchange import Exchange

LONGEST = 4096
"""Bytes of a form; more get 413."""


class Form:
    """The body of a request, until all of it is here.

    Args:
        over: called with the values of its fields, once.
    """

    rest: None = None
    """All of it is in `data`."""

    def __init__(self, exchange: "Exchange", over: "Callable[[Exchange, dict[str, str]], object]") -> None:
        self.data = bytearray(exchange.head.body)
        self._exchange = exchange
        self._over = over

    def read(self) -> None:
        """Wait for what is still to come."""
        exchange = self._exchange
        exchange.mark_waiting()
        if exchange.request_complete:
            self.pass_on()
            return
        exchange.body_left = LONGEST - len(self.data)
        exchange.keep_body(self, LONGEST)

    def add(self, data: bytes, more: bool) -> bool:
        """Keep some more; returns whether all is here."""
        self.data += data
        return not more

    def pass_on(self) -> None:
        """Hand out the values."""
        try:
            found = parse_qs(self.data[:LONGEST].decode("latin-1"), max_num_fields=10)
        except ValueError:
            found = {}
        self._over(self._exchange, {name: values[0] for name, values in found.items()})

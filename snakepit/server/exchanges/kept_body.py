"""Request bodies that are kept until they are complete, for apps whose threads would wait for slow clients.

A thread of a WSGI app that reads a body waits for whoever sends it. So a request gets its thread when its body is here,
or as much of it as may be kept.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Exchange

KEPT_AT_ONCE = 64
"""How many bodies of the longest kind may be kept at once, in bytes. Beyond that a request gets its thread at once."""


class KeptBodies:
    """The bodies that are kept for one app.

    Args:
        most: bytes of one.
        over: called with the exchange when its body is complete, or too long.
    """

    def __init__(self, most: int, over: "Callable[[Exchange], object]") -> None:
        self._most = most
        self._over = over
        self._kept: dict[Exchange, KeptBody] = {}
        self._bytes = 0  # of all of them

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, exchange: "Exchange") -> bool:
        """Keep an exchange until its body is here; returns whether that is done."""
        head = exchange.head
        if self._bytes >= self._most * KEPT_AT_ONCE or len(head.body) >= self._most:
            return False
        if exchange.waits_for_continue and _announced(head) > self._most:
            return False  # the app may not want it, and could not be asked later
        kept = self._kept[exchange] = KeptBody(self, exchange, self._most - len(head.body))
        self._bytes += len(head.body)
        exchange.mark_waiting()
        exchange.keep_body(kept, kept.left)
        return True

    def forget(self, exchange: "Exchange") -> None:
        """Forget an exchange whose client has gone; there may be none such."""
        kept = self._kept.pop(exchange, None)
        if kept is not None:
            self._bytes -= len(kept.data)

    def added(self, kept: "KeptBody", size: int, more: bool) -> bool:
        """Note that so much of a body came; returns whether it is kept no more."""
        self._bytes += size
        if more and kept.left > 0 and self._bytes < self._most * KEPT_AT_ONCE:
            return False
        self.forget(kept.exchange)
        return True

    def over(self, exchange: "Exchange") -> None:
        """Pass an exchange on."""
        self._over(exchange)


class KeptBody:
    """A body that is kept. `left` is how many bytes more may be.

    Args:
        left: at the start, with what came with the head kept.
    """

    def __init__(self, bodies: KeptBodies, exchange: "Exchange", left: int) -> None:
        self.exchange = exchange
        self.data = bytearray(exchange.head.body)
        self.left = left
        self._bodies = bodies

    def add(self, data: bytes, more: bool) -> bool:
        """Keep some more; returns whether the body is to be passed on, by `pass_on`."""
        self.data += data
        self.left -= len(data)
        return self._bodies.added(self, len(data), more)

    def pass_on(self) -> None:
        """Let the exchange go its way."""
        self._bodies.over(self.exchange)


def _announced(head: "RequestHead") -> int:
    """Return how long a body is to be; 0 if that is not known."""
    return next((int(value) for name, value in head.headers if name == b"content-length"), 0)

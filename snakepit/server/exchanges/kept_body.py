"""Request bodies that are kept until they are complete, for apps whose threads would wait for slow clients.

A thread of a WSGI app that reads a body waits for whoever sends it. So a request gets its thread when its body is here,
or as much of it as may be kept: in memory up to a bound, and what is more, where there is an option for it, in a
temporary file. The event loop writes and reads it by itself, as those of answers (`kept_answer`).
"""

from typing import TYPE_CHECKING

from snakepit.server.exchanges.body_file import BodyFile, NewFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Exchange

KEPT_AT_ONCE = 64
"""How many bodies of the longest kind may be kept in memory at once, in bytes. Beyond that a request gets its thread at
once, or its body goes into a file."""


class KeptBodies:
    """The bodies that are kept for one app.

    Args:
        most: bytes of one in memory.
        new_file: makes the temporary file in which what is more is kept; None: nothing more is.
    """

    def __init__(self, most: int, new_file: NewFile | None = None) -> None:
        self._most = most
        self.new_file = new_file
        self._kept: dict[Exchange, KeptBody] = {}
        self._bytes = 0  # in memory, of all of them

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, exchange: "Exchange", over: "Callable[[Exchange], object]") -> bool:
        """Keep an exchange until its body is here; returns whether that is done.

        `over` is called with it when its body is complete, or too long.
        """
        head = exchange.head
        left = self._most - len(head.body)
        if self.new_file is None:
            if not self.has_room or left <= 0:
                return False
            if exchange.waits_for_continue and _announced(head) > self._most:
                return False  # the app may not want it, and could not be asked later
        kept = self._kept[exchange] = KeptBody(self, exchange, left, over)
        self._bytes += len(head.body)
        exchange.mark_waiting()
        exchange.keep_body(kept, left if self.new_file is None else None)
        return True

    def forget(self, exchange: "Exchange") -> None:
        """Forget an exchange whose client has gone; there may be none such."""
        kept = self._release(exchange)
        if kept is not None and kept.rest is not None:
            kept.rest.close()

    def added(self, kept: "KeptBody", size: int, more: bool) -> bool:
        """Note that so much of a body came into memory; returns whether it is kept no more."""
        self._bytes += size
        if more and (self.new_file is not None or (kept.left > 0 and self.has_room)):
            return False
        self._release(kept.exchange)
        return True

    @property
    def has_room(self) -> bool:
        """Whether more may be kept in memory."""
        return self._bytes < self._most * KEPT_AT_ONCE

    def _release(self, exchange: "Exchange") -> "KeptBody | None":
        kept = self._kept.pop(exchange, None)
        if kept is not None:
            self._bytes -= len(kept.data)
        return kept


class KeptBody:
    """A body that is kept. `left` is how many bytes more of it may be in memory, `rest` what is behind these.

    Args:
        left: at the start, with what came with the head kept.
        over: called with the exchange when it goes its way.
    """

    def __init__(
        self, bodies: KeptBodies, exchange: "Exchange", left: int, over: "Callable[[Exchange], object]"
    ) -> None:
        self.exchange = exchange
        self.data = bytearray(exchange.head.body)
        self.left = left
        self.rest: BodyFile | None = None
        self._bodies = bodies
        self._over = over

    def add(self, data: bytes, more: bool) -> bool:
        """Keep some more; returns whether the body is to be passed on, by `pass_on`. Raises OSError if it can't be."""
        bodies = self._bodies
        if self.rest is None and (bodies.new_file is None or (self.left >= len(data) and bodies.has_room)):
            self.data += data
            self.left -= len(data)
            return bodies.added(self, len(data), more)
        if self.rest is None:
            assert bodies.new_file is not None, "looked at above"
            self.rest = BodyFile(bodies.new_file)
        if data:
            self.rest.write(data)
        return bodies.added(self, 0, more)

    def pass_on(self) -> None:
        """Let the exchange go its way."""
        self._over(self.exchange)


def _announced(head: "RequestHead") -> int:
    """Return how long a body is to be; 0 if that is not known."""
    return next((int(value) for name, value in head.headers if name == b"content-length"), 0)

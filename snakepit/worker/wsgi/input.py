"""What stands behind `wsgi.input` when not all of a request's body came with its head."""

import io
from typing import Any, Protocol

from snakepit.wire.envelopes import WINDOW, cost


class BodySource(Protocol):
    """Where a request's body comes from."""

    def wait_for_body(self) -> tuple[bytes, bool]:
        """Wait for the body's next chunk; returns it, and whether more follows."""

    def give_credit(self, amount: int) -> None:
        """Let so many more bytes come."""

    def send_continue(self) -> None:
        """Let the client send its body."""


class Input(io.RawIOBase):
    """A request's body as it comes.

    Args:
        exchange: whose body it is.
        first: what came with the head.
        expects_continue: whether the client holds the rest back until it is told that it is wanted.
    """

    def __init__(self, exchange: BodySource, first: bytes, expects_continue: bool) -> None:
        self._exchange = exchange
        self._rest = memoryview(first)
        self._more = True
        self._owed = cost(first)
        self._expects_continue = expects_continue

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what is there; waits only if there is nothing. 0: the body is complete."""
        if not self._rest and self._expects_continue:
            self._exchange.send_continue()
        self._expects_continue = False
        while not self._rest and self._more:
            data, self._more = self._exchange.wait_for_body()
            self._rest = memoryview(data)
            self._owed += cost(data)
        if self._owed >= WINDOW // 2 and self._more:
            self._exchange.give_credit(self._owed)
            self._owed = 0
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

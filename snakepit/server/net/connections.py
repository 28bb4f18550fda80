"""The open connections of a server, and whether they must end."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from snakepit.server.exchanges.exchange import Exchange


class OpenConnection(Protocol):
    """The interface of a connection for the set of connections."""

    @property
    def phase(self) -> str:
        """What it is at, in a word for people."""

    def drain(self, gently: bool = False) -> None:
        """Close as soon as no exchange is in progress; `gently`: as soon as that does not disturb the client."""

    def abort(self) -> None:
        """Close the socket without waiting for unwritten data."""


type HearFault = Callable[[Exchange, str], object]
"""Hears of an error in an app: the exchange, and the error's text."""


class Connections:
    """The set of open connections; `accepted` and `requests` count since the start. `on_fault` hears what is logged of
    errors in apps."""

    def __init__(self) -> None:
        self.on_fault: HearFault | None = None
        self.open: set[OpenConnection] = set()
        self.accepted = 0
        self.requests = 0
        self.draining = False  # no connection is to go on for longer than it must
        self.stopping = False  # and no other process serves meanwhile
        self._all_closed = asyncio.Event()
        self._all_closed.set()

    def add(self, connection: OpenConnection) -> None:
        """Add a connection that was accepted, or that changed its protocol."""
        self.open.add(connection)
        self._all_closed.clear()

    def discard(self, connection: OpenConnection) -> None:
        """Remove a connection that was closed and has written everything, or that changed its protocol."""
        self.open.discard(connection)
        if not self.open:
            self._all_closed.set()

    async def wait_closed(self) -> None:
        """Wait until no connection is open: the last bytes of a response outlive its exchange."""
        await self._all_closed.wait()

    def drain(self, gently: bool) -> None:
        """Close connections without an exchange, and the others as soon as they have answered.

        Event streams and WebSockets have no end of their own, so they are ended; browsers connect again by themselves.

        `gently`: connections without an exchange may have one more, until their keep-alive time is over. Another
        process serves now, and a connection must not be closed at the moment when its client sends a request.
        """
        self.draining = True
        self.stopping = not gently
        for connection in list(self.open):
            connection.drain(gently)

    def abort(self) -> None:
        """Cut all remaining connections."""
        for connection in list(self.open):
            connection.abort()

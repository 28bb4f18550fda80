"""The connections of a server that are open, and whether they are to end."""

import asyncio
from typing import Protocol


class OpenConnection(Protocol):
    """A connection, as the set of them needs it."""

    def drain(self, gently: bool = False) -> None:
        """Close as soon as nothing is going on; `gently`: as soon as a client does not mind."""

    def abort(self) -> None:
        """Close the socket without waiting for what is still to be written."""


class Connections:
    """The set of open connections; `accepted` and `requests` count what came since the start."""

    def __init__(self) -> None:
        self.open: set[OpenConnection] = set()
        self.accepted = 0
        self.requests = 0
        self.draining = False  # no connection is to go on for longer than it must
        self.stopping = False  # and nobody else serves meanwhile
        self._all_closed = asyncio.Event()
        self._all_closed.set()

    def add(self, connection: OpenConnection) -> None:
        """Add a connection that was accepted, or that has become another."""
        self.open.add(connection)
        self._all_closed.clear()

    def discard(self, connection: OpenConnection) -> None:
        """Take out a connection that was closed, and to which all that was written is out; or that became another."""
        self.open.discard(connection)
        if not self.open:
            self._all_closed.set()

    async def wait_closed(self) -> None:
        """Wait until no connection is open: the last bytes of a response outlive its exchange."""
        await self._all_closed.wait()

    def drain(self, gently: bool) -> None:
        """Close connections that carry no exchange, and the others as soon as they have answered.

        Event streams and WebSockets have no end, so they are ended; browsers come back by themselves.

        `gently`: those that carry none may have one exchange more, until their keep-alive time is over: another process
        serves now, and a client must not find its connection closed in the moment in which it sends a request.
        """
        self.draining = True
        self.stopping = not gently
        for connection in list(self.open):
            connection.drain(gently)

    def abort(self) -> None:
        """Cut every connection that is left."""
        for connection in list(self.open):
            connection.abort()

"""Clients that do not read: what was written for them stays here, and after a while they are cut.

A transport keeps what the kernel does not take yet. A connection is watched from when that is too much, and from when
it closes with something left: a transport that is closed waits for its client without a limit. So a client that reads
costs nothing here.

Linux takes more of a transport only when a third of what it may hold for a client is free, which may be a megabyte. So
what it holds is looked at, too: otherwise a slow client would be taken for one that does not read.
"""

import asyncio
import logging
from collections.abc import Hashable
from typing import Protocol

from snakepit.server.event_loop.deadlines import Deadlines

LOOKS = 4
"""Looks at a connection within its time. It is cut by the last in a row at which nothing had left."""


class Writer(Hashable, Protocol):
    """The interface of a connection for the watch."""

    @property
    def peer(self) -> str:
        """The client's name for the log."""

    @property
    def unsent(self) -> int:
        """Bytes that were written and that this system has not taken."""

    @property
    def untaken(self) -> int:
        """These, and those that this system holds for its client, where that can be told."""

    def abort(self) -> None:
        """Close the socket without waiting for unwritten data."""


class WriteStalls:
    """The watch over connections whose clients may have stopped to read.

    Args:
        seconds: how long a client may take nothing; None: without a limit.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float | None, log: logging.Logger) -> None:
        self._seconds = seconds
        self._log = log
        self._looks = Deadlines(loop, None if seconds is None else seconds / LOOKS, self._look)
        self._seen: dict[Writer, tuple[int, int]] = {}  # what was untaken at the last look; looks at which nothing left

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, connection: Writer) -> None:
        """Watch a connection from now on; nothing changes if it is watched already."""
        if self._seconds is not None and connection not in self._seen:
            self._seen[connection] = connection.untaken, 0
            self._looks.add(connection)

    def discard(self, connection: Writer) -> None:
        """Watch a connection no more."""
        if self._seen.pop(connection, None) is not None:
            self._looks.discard(connection)

    def close(self) -> None:
        """Watch nothing any more."""
        self._seen.clear()
        self._looks.close()

    def _look(self, connection: Writer) -> None:
        before, looks = self._seen.pop(connection)
        if not connection.unsent:
            return
        untaken = connection.untaken
        looks = looks + 1 if untaken >= before else 0
        if looks < LOOKS:
            self._seen[connection] = untaken, looks
            self._looks.add(connection)
        else:
            self._log.info(
                "Cut %s, which has taken nothing of what was written for %g s: %d bytes are left",
                connection.peer,
                self._seconds,
                untaken,
            )
            connection.abort()

"""Frames on a socket that an event loop reads, on a worker's side or the main interpreter's.

See `snakepit.wire.sockets` for their format.
"""

import asyncio
import socket
import sys
from collections import deque
from collections.abc import Callable
from typing import cast

from snakepit.wire.codec import Item
from snakepit.wire.sockets import WAITS, FrameReader, SocketAddress, frame


def _nothing() -> None:
    pass


class _SocketCarrier(asyncio.Protocol):
    """The base of both sides of a socket that event loops own."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._on_rung: Callable[[], None] = lambda: None
        self._lost = asyncio.Event()

    async def open(self, loop: asyncio.AbstractEventLoop, on_rung: Callable[[], None]) -> None:
        """Begin to read."""
        self._on_rung = on_rung
        await loop.create_connection(lambda: self, sock=self._socket)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's do not inherit from it

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost.set()

    def _write(self, pieces: list[bytes]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(pieces))

    def arrived(self) -> int:
        """Return how many items can be taken."""
        return len(self._reader.items)

    def take(self) -> Item | None:
        """Take the next item that came."""
        return self._reader.items.popleft() if self._reader.items else None

    def ring(self) -> None:
        """Do nothing: the other end reads whatever comes."""

    async def wait_closed(self) -> None:
        """Wait until the transport has sent what it had, and is gone."""
        if self._transport is not None:
            await self._lost.wait()

    def close(self) -> None:
        """Close the socket, when all is sent."""
        if self._transport is not None:
            self._transport.close()
        else:
            self._socket.close()


class LoopSocketCarrier(_SocketCarrier):
    """The side of a worker's event loop. `on_gone` is called when the main process closed its own."""

    def __init__(self, connection: socket.socket, on_gone: Callable[[], None]) -> None:
        super().__init__(connection)
        self._on_gone = on_gone
        self._paused = False
        self._owes = True  # the main process does not know yet that this end waits for an item
        self._corked: list[bytes] | None = None  # what a turn has to say, while it lasts

    async def open(self, loop: asyncio.AbstractEventLoop, on_rung: Callable[[], None]) -> None:
        """Begin to read, and tell the main process that this end waits."""
        await super().open(loop, on_rung)
        self.turned(True)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if self._reader.items:
            self._owes = True
            self._corked = []
            self._on_rung()

    def connection_lost(self, exc: Exception | None) -> None:
        """The main process has gone, unless this end was closed: as an end of file, or as an error if it left unread
        what this end had sent."""
        super().connection_lost(exc)
        self._on_gone()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._on_rung()

    def waiting(self) -> int:
        """Return how many items the main process has not read: none, or as many as any limit."""
        return sys.maxsize if self._paused else 0

    def send(self, item: Item) -> None:
        """Send an item, within a turn at its end."""
        if self._corked is not None:
            self._corked += frame(item)
        else:
            self._write(frame(item))

    def take_back(self) -> Item | None:
        """Return nothing: it has been sent."""
        return None

    def turned(self, silent: bool) -> None:
        """Send the items of this turn, and tell the main process that this end waits again."""
        pieces, self._corked = self._corked or [], None
        if self._owes:
            self._owes = False
            pieces.append(WAITS)
        if pieces:
            self._write(pieces)

    def close(self) -> None:
        """Close the socket, when all is sent."""
        self._on_gone = _nothing
        super().close()

    async def wait_ended(self) -> None:
        """Do nothing: only the main process outlives the other end."""


class MainSocketCarrier(_SocketCarrier):
    """The main interpreter's side of a socket to a process.

    It keeps the other side's socket open, too: when the process has died, the bytes that are left there show whether it
    took the item that was sent last.
    """

    def __init__(self, connection: socket.socket, theirs: socket.socket) -> None:
        super().__init__(connection)
        self._theirs: socket.socket | None = theirs
        self._pending: deque[Item] = deque()
        self._sent: Item | None = None  # and perhaps not taken
        self._asked = False  # the worker waits for an item
        self._over = False  # the process has ended, or this end was closed

    def data_received(self, data: bytes) -> None:
        if self._reader.feed(data):
            self._asked, self._sent = True, None
            self._send_next()
        self._on_rung()

    def waiting(self) -> int:
        """Return how many items the worker has not taken."""
        return len(self._pending) + (self._sent is not None)

    def send(self, item: Item) -> None:
        """Send an item as soon as the worker waits for one."""
        self._pending.append(item)
        self._send_next()

    def take_back(self) -> Item | None:
        """Take back the oldest item that has not been sent."""
        return self._pending.popleft() if self._pending else None

    def turned(self, silent: bool) -> None:
        """Do nothing: the worker does not need to know."""

    async def wait_ended(self) -> None:
        """Read the rest after the process has ended, and find out whether it took the last item.

        Nothing is sent from now on: all waiting items, and items that are still posted, can be taken back.
        """
        self._over = True
        if self._theirs is None:
            return
        if self._sent is not None and self._left_unread():
            self._pending.appendleft(self._sent)
        self._sent = None
        if self._transport is not None:
            # The end of file comes after all that was sent. A shutdown has to cause it: processes that the app started
            # may have inherited the socket, and hold it open for any time.
            try:
                self._theirs.shutdown(socket.SHUT_WR)
            except OSError:
                self._transport.abort()  # it is gone already
            await self._lost.wait()
        self._let_go_of_theirs()

    def eof_received(self) -> None:
        """Close, since all was read, and no process will read what has not been written yet."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close both sockets, even if items were not sent."""
        self._over = True
        if self._transport is not None:
            self._transport.abort()
        else:
            self._socket.close()
        self._let_go_of_theirs()

    def _let_go_of_theirs(self) -> None:
        if self._theirs is not None:
            self._theirs.close()
            self._theirs = None

    def _send_next(self) -> None:
        if self._asked and self._pending and not self._over and self._transport is not None:
            self._asked = False
            self._sent = self._pending.popleft()
            self._write(frame(self._sent))

    def _left_unread(self) -> bool:
        if self._transport is not None and self._transport.get_write_buffer_size():
            return True
        assert self._theirs is not None
        self._theirs.setblocking(False)
        try:
            return bool(self._theirs.recv(1, socket.MSG_PEEK))
        except OSError:
            return False


class SocketChannel:
    """A channel to a process, before that attaches."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()

    @property
    def descriptor(self) -> int:
        """The file descriptor that the process inherits, on POSIX."""
        return self._theirs.fileno()

    def address_for(self, pid: int) -> SocketAddress:
        """Return the address with which the process attaches."""
        if sys.platform == "win32":
            return self._theirs.share(pid)
        return self._theirs.fileno()

    def main_carrier(self) -> MainSocketCarrier:
        """Make the carrier of the main interpreter's side."""
        return MainSocketCarrier(self._ours, self._theirs)

    def discard(self) -> None:
        """Close both sides of a channel that will not be used."""
        self._ours.close()
        self._theirs.close()

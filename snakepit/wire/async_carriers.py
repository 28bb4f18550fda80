"""The carriers of ends that belong to an event loop; see `snakepit.wire.carriers`.

Every loop on every platform can read a socket as a transport; `add_reader` does not exist on Windows.
"""

import asyncio
import socket
import sys
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from snakepit.wire.carriers import (
    RINGS_READ,
    WAITS,
    Address,
    Carrier,
    FrameReader,
    Item,
    QueueAddress,
    QueueCarrier,
    SocketAddress,
    attach_queues,
    attach_socket,
    discard,
    frame,
)
from snakepit.wire.interpreters import create_queue


class AsyncCarrier(Carrier, Protocol):
    """What the end of a channel needs that an event loop owns."""

    async def open(self, loop: asyncio.AbstractEventLoop, on_rung: Callable[[], None]) -> None:
        """Begin to listen: `on_rung` is called when there may be something to take, or room to send."""

    def turned(self, silent: bool) -> None:
        """`on_rung` has been served; `silent`: and nothing was sent."""

    async def ended(self) -> None:
        """The other end will send no more: have `on_rung` called for all that it did send."""

    async def closed(self) -> None:
        """Return when all that was sent before `close` is on its way."""


class ListeningQueueCarrier(QueueCarrier):
    """Queues, and a doorbell that an event loop listens to."""

    def __init__(self, *parts: object) -> None:
        super().__init__(*parts)  # type: ignore[arg-type]
        self._doorbell.setblocking(False)
        self._transport: asyncio.BaseTransport | None = None
        self._on_rung: Callable[[], None] = lambda: None

    async def open(self, loop: asyncio.AbstractEventLoop, on_rung: Callable[[], None]) -> None:
        """Begin to listen to the doorbell."""
        self._on_rung = on_rung
        self._transport, _ = await loop.create_connection(lambda: _Doorbell(on_rung), sock=self._doorbell)
        on_rung()  # what was sent before anyone listened

    def turned(self, silent: bool) -> None:
        """Ring where nothing else did: whoever rings is awake."""
        if silent:
            self.ring()

    async def ended(self) -> None:
        """Look into the queue once more; its items do not outlive the interpreter that put them there."""
        self._on_rung()
        while self.arrived():
            self._on_rung()

    async def closed(self) -> None:
        """Nothing to wait for: items wait in the queue."""

    def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()
        else:
            super().close()


def _nothing() -> None:
    pass


class _Doorbell(asyncio.BufferedProtocol):
    """Reads rings into one small buffer that is never looked at."""

    def __init__(self, on_rung: Callable[[], None]) -> None:
        self._on_rung = on_rung
        self._buffer = bytearray(RINGS_READ)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._on_rung()


class _Frames(asyncio.Protocol):
    """What both sides of a socket have in common, as an event loop sees it."""

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
        """Items that can be taken."""
        return len(self._reader.items)

    def take(self) -> Item | None:
        """The next item that came."""
        return self._reader.items.popleft() if self._reader.items else None

    def ring(self) -> None:
        """Nothing to be done: the other end reads whatever comes."""

    async def closed(self) -> None:
        """Return when the transport has sent what it had, and is gone."""
        if self._transport is not None:
            await self._lost.wait()

    def close(self) -> None:
        """Let go of the socket, when all is sent."""
        if self._transport is not None:
            self._transport.close()
        else:
            self._socket.close()


class WorkerSocket(_Frames):
    """A worker's side of a socket. `on_gone` is called when the main process closed its own."""

    def __init__(self, connection: socket.socket, on_gone: Callable[[], None]) -> None:
        super().__init__(connection)
        self._on_gone = on_gone
        self._paused = False
        self._owes = True  # the main process does not know yet that this end waits for an item
        self._corked: list[bytes] | None = None  # what a turn has to say, while it lasts

    async def open(self, loop: asyncio.AbstractEventLoop, on_rung: Callable[[], None]) -> None:
        """Begin to read, and say so."""
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
        """Items that the main process has not read: none, or as many as any limit."""
        return sys.maxsize if self._paused else 0

    def send(self, item: Item) -> None:
        """Send an item, within a turn at its end."""
        if self._corked is not None:
            self._corked += frame(item)
        else:
            self._write(frame(item))

    def take_back(self) -> Item | None:
        """Nothing: it has been sent."""
        return None

    def turned(self, silent: bool) -> None:
        """Send what the turn had to say, and that this end waits again."""
        pieces, self._corked = self._corked or [], None
        if self._owes:
            self._owes = False
            pieces.append(WAITS)
        if pieces:
            self._write(pieces)

    def close(self) -> None:
        """Let go of the socket, when all is sent."""
        self._on_gone = _nothing
        super().close()

    async def ended(self) -> None:
        """Only the main process outlives the other end."""


class MainSocket(_Frames):
    """The main interpreter's side of a socket to a process.

    It keeps the other side's socket open, too: by what is left in that it can be told, when the process has died,
    whether it ever took the item that was sent last.
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
        """Items that the worker has not taken."""
        return len(self._pending) + (self._sent is not None)

    def send(self, item: Item) -> None:
        """Send an item as soon as the worker waits for one."""
        self._pending.append(item)
        self._send_next()

    def take_back(self) -> Item | None:
        """The oldest item that was not sent."""
        return self._pending.popleft() if self._pending else None

    def turned(self, silent: bool) -> None:
        """The worker need not know."""

    async def ended(self) -> None:
        """The process has ended: read the rest, and find out whether it took the last item.

        Nothing is sent from here on: whatever waits, and whatever is still sent, can be taken back.
        """
        self._over = True
        if self._theirs is None:
            return
        if self._sent is not None and self._left_unread():
            self._pending.appendleft(self._sent)
        self._sent = None
        if self._transport is not None:
            # The end of file comes behind all that was sent. It has to be made: what the app started may have
            # inherited the socket, and hold it open for as long as it likes.
            try:
                self._theirs.shutdown(socket.SHUT_WR)
            except OSError:
                self._transport.abort()  # it is gone already
            await self._lost.wait()
        self._let_go_of_theirs()

    def eof_received(self) -> None:
        """All was read; and nobody is left who would read what has not been written yet."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Let go of both sockets, whatever was not sent."""
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


class QueueLink:
    """A pair of queues and a doorbell to be: the worker's side of the doorbell is the worker's once it attached."""

    def __init__(self) -> None:
        self.to_worker = create_queue()
        self.from_worker = create_queue()
        self.doorbell, theirs = socket.socketpair()
        self.address: QueueAddress = (self.to_worker.id, self.from_worker.id, theirs.detach())

    def main_carrier(self) -> ListeningQueueCarrier:
        """The main interpreter's side."""
        return ListeningQueueCarrier(self.from_worker, self.to_worker, self.doorbell)

    def discard(self) -> None:
        """Let go of a channel that will not be."""
        self.doorbell.close()
        discard(self.address)


class SocketLink:
    """A socket to a process to be."""

    def __init__(self) -> None:
        self._ours, self._theirs = socket.socketpair()

    @property
    def descriptor(self) -> int:
        """The file descriptor that the process inherits, on POSIX."""
        return self._theirs.fileno()

    def address_for(self, pid: int) -> SocketAddress:
        """What the process attaches with."""
        if sys.platform == "win32":
            return self._theirs.share(pid)
        return self._theirs.fileno()

    def main_carrier(self) -> MainSocket:
        """The main interpreter's side."""
        return MainSocket(self._ours, self._theirs)

    def discard(self) -> None:
        """Let go of a channel that will not be."""
        self._ours.close()
        self._theirs.close()


def attach_async_carrier(address: Address, on_gone: Callable[[], None]) -> AsyncCarrier:
    """A worker's side, for an event loop; `on_gone` is called when the main process has gone."""
    if isinstance(address, tuple):
        return ListeningQueueCarrier(*attach_queues(address))
    return WorkerSocket(attach_socket(address), on_gone)

"""What carries items between the main interpreter and a worker: queues within a process, or a socket between two.

An item is what one loop iteration has to say, encoded (see `snakepit.wire.envelopes`). The ends of a channel decide
what is sent and when; a carrier knows how. This module and `async_carriers` alone touch queues, doorbells and frames.

Queues: one each way, and a socketpair, the doorbell, whose bytes say "look into your queue". Nobody ever blocks in
`Queue.get()`, which polls with a 10 ms sleep: the doorbell wakes. The byte is left out where the queue held something
already: its reader has not looked yet, and reads until the queue is empty when it does.

A socket: frames, each a count of parts, then the length of each and its bytes; numbers are 32 bits, the lowest byte
first. A frame without parts says "I wait for something to do". A worker says that whenever it goes to wait, and gets
one frame then. Everything else waits on the main interpreter's side, where it can be taken back: what is in a socket
can't be.
"""

import select
import socket
import sys
import threading
from collections import deque
from struct import Struct
from typing import Protocol

from snakepit.wire.interpreters import Queue, QueueEmpty, queue_by_id

type Item = bytes | tuple[bytes, ...]

type QueueAddress = tuple[int, int, int]
"""What a worker needs to attach: queue to it, queue from it, and its doorbell's file descriptor."""

type SocketAddress = int | bytes
"""The same for a socket: its file descriptor, or on Windows what `socket.share` made."""

type Address = QueueAddress | SocketAddress

_RING = b"\0"
RINGS_READ = 512  # bytes; one read takes every ring that piled up
_NUMBER = Struct("<I")
_READ = 256 * 1024  # bytes
WAITS = _NUMBER.pack(0)
"""The frame without parts."""


class Carrier(Protocol):
    """What the end of a channel needs."""

    def waiting(self) -> int:
        """Items that the other end has not taken yet."""

    def arrived(self) -> int:
        """Items that can be taken."""

    def send(self, item: Item, /) -> None:
        """Send an item."""

    def take(self) -> Item | None:
        """The next item; None if there is none, or if its sender's interpreter was closed meanwhile."""

    def take_back(self) -> Item | None:
        """The oldest item that the other end has not taken; None if there is none."""

    def ring(self) -> None:
        """Have the other end look for items, and try again to send what it held back."""

    def close(self) -> None:
        """Let go of sockets."""


class QueueCarrier:
    """Within a process: a pair of queues, and a doorbell."""

    def __init__(self, incoming: Queue, outgoing: Queue, doorbell: socket.socket) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._doorbell = doorbell
        self.waiting = outgoing.qsize
        self.arrived = incoming.qsize

    def send(self, item: Item) -> None:
        """Send an item, and ring unless the other end has something to look for already."""
        self._outgoing.put_nowait(item)
        if self._outgoing.qsize() == 1:
            self.ring()

    def take(self) -> Item | None:
        """The next item that came."""
        return _next(self._incoming)

    def take_back(self) -> Item | None:
        """The oldest item that the other end has not taken."""
        while self._outgoing.qsize():
            item = _next(self._outgoing)
            if item is not None:
                return item
        return None

    def ring(self) -> None:
        """Ring the doorbell."""
        try:
            self._doorbell.send(_RING)
        except BlockingIOError:
            pass  # full of rings that nobody has heard yet
        except OSError:
            pass  # the other end is gone; its owner will say so

    def wait(self, seconds: float | None = None) -> None:
        """Wait for a ring, so long at most. Raises ConnectionResetError when none can come any more."""
        if seconds is not None and not _readable(self._doorbell, seconds):
            return
        if not self._doorbell.recv(RINGS_READ):
            raise ConnectionResetError("the main interpreter closed the channel")

    def hang_up(self) -> None:
        """Have another thread's `wait` return; what is still sent arrives, but without a ring."""
        try:
            self._doorbell.shutdown(socket.SHUT_RD)
        except OSError:
            pass  # the other end is gone, which has the same effect
        if sys.platform == "win32":
            self._doorbell.close()  # there only this wakes for certain

    def close(self) -> None:
        """Let go of the doorbell."""
        self._doorbell.close()


class FrameReader:
    """Takes frames apart. Feed it what came; `items` is what was in it."""

    def __init__(self) -> None:
        self.items: deque[Item] = deque()
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> bool:
        """Add what came; returns whether the other side says that it waits."""
        self._buffer += data
        waits = False
        while (end := self._frame_end()) is not None:
            parts = self._parts()
            del self._buffer[:end]
            if parts:
                self.items.append(parts[0] if len(parts) == 1 else parts)
            else:
                waits = True
        return waits

    def _frame_end(self) -> int | None:
        """Where the first frame ends; None if it is not all there."""
        buffer, size = self._buffer, _NUMBER.size
        if len(buffer) < size:
            return None
        (count,) = _NUMBER.unpack_from(buffer)
        end = size * (1 + count)
        if len(buffer) < end:
            return None
        for at in range(size, size * (1 + count), size):
            end += _NUMBER.unpack_from(buffer, at)[0]
        return end if len(buffer) >= end else None

    def _parts(self) -> tuple[bytes, ...]:
        buffer, size = self._buffer, _NUMBER.size
        (count,) = _NUMBER.unpack_from(buffer)
        start = size * (1 + count)
        parts = []
        with memoryview(buffer) as view:
            for at in range(size, size * (1 + count), size):
                (length,) = _NUMBER.unpack_from(buffer, at)
                parts.append(bytes(view[start : start + length]))
                start += length
        return tuple(parts)


def frame(item: Item) -> list[bytes]:
    """An item as the pieces of a frame."""
    parts = (item,) if isinstance(item, bytes) else item
    return [_NUMBER.pack(len(parts)), *(_NUMBER.pack(len(part)) for part in parts), *parts]


class SocketCarrier:
    """A worker's side of a socket, for a thread that may wait."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.setblocking(True)
        self._reader = FrameReader()
        self._said_waits = False  # and no item came since
        self._sending = threading.Lock()  # a worker's last words may come from another thread

    def waiting(self) -> int:
        """Nothing: `send` has waited until the kernel took all of it."""
        return 0

    def arrived(self) -> int:
        """Items that can be taken."""
        return len(self._reader.items)

    def send(self, item: Item) -> None:
        """Send an item; waits while the other end has much to read."""
        try:
            with self._sending:
                self._socket.sendall(b"".join(frame(item)))
        except OSError:
            pass  # the other end is gone, which the next `wait` finds out

    def take(self) -> Item | None:
        """The next item that came."""
        if not self._reader.items:
            return None
        self._said_waits = False
        return self._reader.items.popleft()

    def take_back(self) -> Item | None:
        """Nothing: it has been sent."""
        return None

    def ring(self) -> None:
        """Nothing to be done: the other end reads whatever comes."""

    def wait(self, seconds: float | None = None) -> None:
        """Ask for an item and wait for it, so long at most. Raises ConnectionResetError when none can come any more."""
        try:
            if not self._said_waits:
                with self._sending:
                    self._socket.sendall(WAITS)
                self._said_waits = True
            if seconds is not None and not _readable(self._socket, seconds):
                return
            data = self._socket.recv(_READ)
        except OSError:
            data = b""
        if not data:
            raise ConnectionResetError("the main process closed the channel")
        self._reader.feed(data)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()


def attach(address: Address) -> QueueCarrier | SocketCarrier:
    """A worker's side, for a thread that may wait."""
    if isinstance(address, tuple):
        return QueueCarrier(*attach_queues(address))
    return SocketCarrier(attach_socket(address))


def attach_queues(address: QueueAddress) -> tuple[Queue, Queue, socket.socket]:
    """The queue to the worker, the queue from it, and its side of the doorbell, set to wait."""
    incoming, outgoing, descriptor = address
    doorbell = socket.socket(fileno=descriptor)
    doorbell.setblocking(True)
    return queue_by_id(incoming), queue_by_id(outgoing), doorbell


def attach_socket(address: SocketAddress) -> socket.socket:
    """The worker's socket."""
    if sys.platform == "win32" and isinstance(address, bytes):
        return socket.fromshare(address)
    assert isinstance(address, int)
    return socket.socket(fileno=address)


def discard(address: Address) -> None:
    """Close a worker's side that nobody will attach to."""
    (attach_queues(address)[2] if isinstance(address, tuple) else attach_socket(address)).close()


def _readable(waited_for: socket.socket, seconds: float) -> bool:
    """Whether there is something to read within so long."""
    if sys.platform == "win32":
        return bool(select.select([waited_for], [], [], seconds)[0])
    poll = select.poll()  # select() can't have descriptors from 1024
    poll.register(waited_for, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _next(queue: Queue) -> Item | None:
    try:
        item = queue.get_nowait()
    except QueueEmpty:
        return None
    return item if isinstance(item, bytes | tuple) else None

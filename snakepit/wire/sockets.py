"""The carrier between two processes: frames on a socket.

A frame is a count of parts, then the length of each and its bytes; numbers are 32 bits, the lowest byte first. A frame
without parts means "I wait for something to do" (WAITS). A worker sends it whenever it begins to wait, and then gets
one frame. Everything else waits on the main interpreter's side, where it can be taken back; data in a socket can't be.

The sides that belong to event loops are in `snakepit.wire.loop_sockets`.
"""

import socket
import sys
import threading
from collections import deque
from struct import Struct

from snakepit.wire.codec import Item
from snakepit.wire.readable import wait_readable

type SocketAddress = int | bytes
"""The data with which a worker attaches: its socket's file descriptor, or on Windows the result of `socket.share`."""

_NUMBER = Struct("<I")
_READ = 256 * 1024  # bytes
WAITS = _NUMBER.pack(0)
"""The frame without parts."""


class FrameReader:
    """A parser of frames. Feed it received bytes; `items` has the items that they contained."""

    def __init__(self) -> None:
        self.items: deque[Item] = deque()
        self._buffer = bytearray()

    def feed(self, data: bytes | bytearray | memoryview) -> bool:
        """Feed received bytes; returns whether the other side waits for an item."""
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
        """Return the end of the first frame; None if the frame is incomplete."""
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
    """Cut an item into the pieces of a frame."""
    parts = (item,) if isinstance(item, bytes) else item
    return [_NUMBER.pack(len(parts)), *(_NUMBER.pack(len(part)) for part in parts), *parts]


class BlockingSocketCarrier:
    """A worker's side of a socket, for a thread that may wait."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.setblocking(True)
        self._reader = FrameReader()
        self._said_waits = False  # and no item came since
        self._unsent = b""  # what leaves together with the next thing that is sent
        self._sending = threading.Lock()  # a worker's last words may come from another thread

    def waiting(self) -> int:
        """Return 0: `send` has waited until the kernel took all of it."""
        return 0

    def arrived(self) -> int:
        """Return how many items can be taken."""
        return len(self._reader.items)

    def send(self, item: Item) -> None:
        """Send an item; waits while the socket's buffer is full."""
        try:
            with self._sending:
                self._write(b"".join(frame(item)))
        except OSError:
            pass  # the other end is gone, which the next `wait` finds out

    def send_before_wait(self, item: Item) -> None:
        """Send an item together with what the next call of `wait` says: one message wakes the other end for both."""
        with self._sending:
            self._unsent += b"".join(frame(item))

    def take(self) -> Item | None:
        """Take the next item that came."""
        if not self._reader.items:
            return None
        self._said_waits = False
        return self._reader.items.popleft()

    def take_back(self) -> Item | None:
        """Return nothing: it has been sent."""
        return None

    def ring(self) -> None:
        """Do nothing: the other end reads whatever comes."""

    def wait(self, seconds: float | None = None) -> None:
        """Ask for an item and wait for it, with a time limit. Raises ConnectionResetError if none can come any more."""
        try:
            if self._unsent or not self._said_waits:
                with self._sending:
                    self._write(b"" if self._said_waits else WAITS)
                self._said_waits = True
            if seconds is not None and not wait_readable(self._socket, seconds):
                return
            data = self._socket.recv(_READ)
        except OSError:
            data = b""
        if not data:
            raise ConnectionResetError("the main process closed the channel")
        self._reader.feed(data)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _write(self, data: bytes) -> None:
        unsent, self._unsent = self._unsent, b""
        self._socket.sendall(unsent + data)


def attach_socket(address: SocketAddress) -> socket.socket:
    """Return the worker's socket."""
    if sys.platform == "win32" and isinstance(address, bytes):
        return socket.fromshare(address)
    assert isinstance(address, int)
    return socket.socket(fileno=address)

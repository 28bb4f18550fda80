"""The carrier within a process: a pair of queues, and a doorbell.

There is one queue each way. The doorbell is a socketpair, whose bytes mean "look into your queue". No end blocks in
`Queue.get()`, which polls with a 10 ms sleep; the doorbell wakes it. The sender leaves out the byte if the queue held
something already: its reader has not looked yet, and when it does, reads until the queue is empty.

`snakepit.wire.loop_queues` has the code with which an event loop listens to a doorbell.
"""

import socket
import sys

from snakepit.wire.codec import Item
from snakepit.wire.interpreters import Queue, QueueEmpty, queue_by_id
from snakepit.wire.readable import wait_readable

type QueueAddress = tuple[int, int, int]
"""The data with which a worker attaches: queue to it, queue from it, and its doorbell's file descriptor."""

_RING = b"\0"
RINGS_READ = 512
"""Bytes; one read takes every ring that piled up."""

_ITEM = bytes, tuple
"""The types of an item. A union of them would be made anew for each."""


class QueueCarrier:
    """A pair of queues, and a doorbell."""

    def __init__(self, incoming: Queue, outgoing: Queue, doorbell: socket.socket) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._doorbell = doorbell
        self.waiting = outgoing.qsize
        self.arrived = incoming.qsize

    def send(self, item: Item) -> None:
        """Send an item, and ring unless the queue held an item already."""
        self._outgoing.put_nowait(item)
        if self.waiting() == 1:
            self.ring()

    def take(self) -> Item | None:
        """Take the next item that came."""
        try:
            item = self._incoming.get_nowait()
        except QueueEmpty:
            return None
        return item if isinstance(item, _ITEM) else None

    def take_back(self) -> Item | None:
        """Take back the oldest item that the other end has not taken."""
        while self.waiting():
            try:
                item = self._outgoing.get_nowait()
            except QueueEmpty:
                return None
            if isinstance(item, _ITEM):
                return item
        return None

    def ring(self) -> None:
        """Ring the doorbell."""
        try:
            self._doorbell.send(_RING)
        except BlockingIOError:
            pass  # full of rings that have not been read yet
        except OSError:
            pass  # the other end is gone; the owner of this end finds out elsewhere

    def close(self) -> None:
        """Close the doorbell."""
        self._doorbell.close()


class BlockingQueueCarrier(QueueCarrier):
    """A pair of queues, and a doorbell that a thread waits for."""

    def send_before_wait(self, item: Item) -> None:
        """Send an item. A call of `wait` follows."""
        self.send(item)

    def wait(self, seconds: float | None = None) -> None:
        """Wait for a ring, with a time limit. Raises ConnectionResetError when none can come any more."""
        if seconds is not None and not wait_readable(self._doorbell, seconds):
            return
        if not self._doorbell.recv(RINGS_READ):
            raise ConnectionResetError("the main interpreter closed the channel")

    def hang_up(self) -> None:
        """Make another thread's `wait` return; items that are still sent arrive, but without a ring."""
        try:
            self._doorbell.shutdown(socket.SHUT_RD)
        except OSError:
            pass  # the other end is gone, which has the same effect
        if sys.platform == "win32":
            self._doorbell.close()  # there only this wakes the thread reliably


def attach_queues(address: QueueAddress) -> tuple[Queue, Queue, socket.socket]:
    """Return the queue to the worker, the queue from it, and its side of the doorbell, set to wait."""
    incoming, outgoing, descriptor = address
    doorbell = socket.socket(fileno=descriptor)
    doorbell.setblocking(True)
    return queue_by_id(incoming), queue_by_id(outgoing), doorbell

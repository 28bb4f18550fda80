"""The channel between the main interpreter and a worker. This module and `async_channel` alone touch queues and bells.

A channel is a queue each way and a socketpair, the doorbell, whose bytes say "look into your queue". Each end has
exactly one reader and one writer: the thread that owns it. The rules, each with its reason:

- Nobody ever blocks in `Queue.get()`: it polls with a 10 ms sleep. The doorbell wakes.
- What one loop iteration has to say crosses as one item, with one doorbell byte. The byte is left out where the queue
  held something already: its reader has not looked yet, and reads until the queue is empty when it does.
- At most LIMIT items wait in a queue; what comes later stays in the outbox and crosses together. CPython frees an
  item by a pending call in the sender's interpreter, keeps 300 of those, and leaks the rest for good.
- Nobody takes more than LIMIT items in one go, or a fast sender could keep its reader reading for ever. Whoever has
  taken that many looks again later without a ring, and rings back, since the other end may be holding an outbox. So a
  doorbell means both: look into your queue, and try your outbox again.
- The main interpreter can take back what a worker has not taken yet, and give it to another. So an event loop's worker
  gets one item, and the next when it has taken that one: either it has all of what waits, or nothing. A thread's gets
  an item for each envelope and takes them one by one.
- A worker's event loop rings in every turn in which it was rung, even if it has nothing to say: it is awake.

What an event loop needs for its end is in `snakepit.async_channel`: WSGI workers, which have none, do without asyncio.
"""

import socket

from snakepit.envelopes import Envelope, decode, encode, encode_apart
from snakepit.interpreters import Queue, QueueEmpty, queue_by_id

LIMIT = 32
"""Items that may wait in one queue: far from 300, and each may hold a whole loop iteration's envelopes."""

_RING = b"\0"
RINGS_READ = 512  # bytes; one read takes every ring that piled up

type ChannelAddress = tuple[int, int, int]
"""What a worker needs to attach to its end: queue to it, queue from it, and its doorbell's file descriptor."""


class ChannelEnd:
    """One end of a channel. Sends and takes without ever waiting; the subclasses know how to wait."""

    room = LIMIT  # items that may wait for the other end

    def __init__(self, incoming: Queue, outgoing: Queue, doorbell: socket.socket) -> None:
        self._incoming = incoming
        self._outgoing = outgoing
        self._doorbell = doorbell
        self._outbox: list[Envelope] = []
        self._large = False  # a large body may be among that
        self.has_more = False  # the last take stopped at LIMIT: take again, no ring may come

    @property
    def backlog(self) -> int:
        """Items that the other end has not taken yet."""
        return self._outgoing.qsize()

    @property
    def last(self) -> Envelope | None:
        """What was posted last, if it has not been sent yet."""
        return self._outbox[-1] if self._outbox else None

    def replace_last(self, envelope: Envelope) -> None:
        """Send something else in place of what was posted last."""
        self._outbox[-1] = envelope

    def flush(self) -> None:
        """Send what the outbox holds, unless the other end has too many items to take first."""
        if self._outbox and self._outgoing.qsize() < self.room:
            self.flush_all()

    def flush_all(self) -> None:
        """Send what the outbox holds, however much waits already: for an end's last words."""
        if self._outbox:
            posted, large = self._outbox, self._large
            self._outbox, self._large = [], False
            self._send(posted, large)

    def take(self) -> list[Envelope]:
        """What has come: everything, or the first LIMIT items of it; then `has_more`."""
        envelopes: list[Envelope] = []
        taken = 0
        while taken < LIMIT and self._incoming.qsize():  # until it is seen to be empty: what comes later rings
            envelopes += self.take_one()
            taken += 1
        self.has_more = taken == LIMIT
        if self.has_more:
            self._ring()
        return envelopes

    def take_one(self) -> list[Envelope]:
        """The next item; nothing if there is none, or if its sender's interpreter was closed meanwhile."""
        return _next(self._incoming)

    def take_back(self) -> list[Envelope]:
        """Everything that was posted and that the other end has not taken."""
        envelopes: list[Envelope] = []
        while self._outgoing.qsize():
            envelopes += _next(self._outgoing)
        envelopes += self._outbox
        self._outbox.clear()
        return envelopes

    def close(self) -> None:
        """Let go of the doorbell."""
        self._doorbell.close()

    def _send(self, posted: list[Envelope], large: bool) -> None:
        """Send as one item; `large`: a body among it may be LARGE."""
        self._outgoing.put_nowait(encode_apart(posted) if large else encode(posted))
        if self._outgoing.qsize() == 1:
            self._ring()

    def _ring(self) -> None:
        try:
            self._doorbell.send(_RING)
        except BlockingIOError:
            pass  # full of rings that nobody has heard yet
        except OSError:
            pass  # the other end is gone; its owner will say so


def _next(queue: Queue) -> list[Envelope]:
    """The next item of a queue; nothing if there is none, or if its sender's interpreter was closed meanwhile."""
    try:
        item = queue.get_nowait()
    except QueueEmpty:
        return []
    return decode(item) if isinstance(item, bytes | tuple) else []


class BlockingEnd(ChannelEnd):
    """An end owned by a thread that may wait, and so has nothing to gather: what it posts crosses at once."""

    def __init__(self, incoming: Queue, outgoing: Queue, doorbell: socket.socket) -> None:
        super().__init__(incoming, outgoing, doorbell)
        doorbell.setblocking(True)
        self._taken = 0

    def post(self, *envelopes: Envelope, large: bool = False) -> None:
        """Send as one item, at once or, where the other end has too much to take first, with the next `wait`.

        `large`: a body among it may be LARGE.
        """
        self._outbox += envelopes
        if large:
            self._large = True
        self.flush()

    @property
    def holds_back(self) -> bool:
        """Whether something posted has not been sent: `wait` before posting more."""
        return bool(self._outbox)

    def wait(self) -> list[Envelope]:
        """The next item; waits for the doorbell if there is none (and returns nothing, if the bell was a late one)."""
        envelopes = self.take_one()
        if not envelopes:
            if not self._doorbell.recv(RINGS_READ):
                raise ConnectionResetError("the main interpreter closed the channel")
            envelopes = self.take_one()
        self._taken += 1
        if self._taken % LIMIT == 0:  # the other end may be holding an outbox
            self._ring()
        self.flush()
        return envelopes


def attach(address: ChannelAddress) -> tuple[Queue, Queue, socket.socket]:
    incoming, outgoing, descriptor = address
    return queue_by_id(incoming), queue_by_id(outgoing), socket.socket(fileno=descriptor)


def leave_word(address: ChannelAddress, envelope: Envelope) -> None:
    """Send without attaching and without a ring: for a worker whose end is gone, to be found when it has ended."""
    queue_by_id(address[1]).put_nowait(encode([envelope]))


def discard(address: ChannelAddress) -> None:
    """Close a worker's end that nobody will attach to."""
    socket.socket(fileno=address[2]).close()


def attach_blocking(address: ChannelAddress) -> BlockingEnd:
    """A worker's end, for a thread."""
    return BlockingEnd(*attach(address))

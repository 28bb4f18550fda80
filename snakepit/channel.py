"""The channel between the main interpreter and a worker: the one module that touches queues and doorbells.

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

Every loop on every platform can read the doorbell as a transport; `add_reader` does not exist on Windows.
"""

import asyncio
import socket
from collections.abc import Callable
from time import monotonic

from snakepit.envelopes import Envelope, decode, encode, encode_apart
from snakepit.interpreters import Queue, QueueEmpty, create_queue, queue_by_id

LIMIT = 32
"""Items that may wait in one queue: far from 300, and each may hold a whole loop iteration's envelopes."""

_RING = b"\0"
_RINGS_READ = 512  # bytes; one read takes every ring that piled up

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
            item = encode_apart(self._outbox) if self._large else encode(self._outbox)
            self._large = False
            self._outbox.clear()
            self._put(item)

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
        try:
            item = self._incoming.get_nowait()
        except QueueEmpty:
            return []
        return decode(item) if isinstance(item, bytes | tuple) else []

    def take_back(self) -> list[Envelope]:
        """Everything that was posted and that the other end has not taken."""
        envelopes: list[Envelope] = []
        try:
            while True:
                item = self._outgoing.get_nowait()
                if isinstance(item, bytes | tuple):
                    envelopes += decode(item)
        except QueueEmpty:
            pass
        envelopes += self._outbox
        self._outbox.clear()
        return envelopes

    def close(self) -> None:
        """Let go of the doorbell."""
        self._doorbell.close()

    def _put(self, item: bytes | tuple[bytes, ...]) -> None:
        self._outgoing.put_nowait(item)
        if self._outgoing.qsize() == 1:
            self._ring()

    def _ring(self) -> None:
        try:
            self._doorbell.send(_RING)
        except BlockingIOError:
            pass  # full of rings that nobody has heard yet
        except OSError:
            pass  # the other end is gone; its owner will say so


class AsyncEnd(ChannelEnd):
    """An end owned by an event loop; `on_envelopes` is called with whatever comes, never with nothing."""

    def __init__(
        self,
        incoming: Queue,
        outgoing: Queue,
        doorbell: socket.socket,
        loop: asyncio.AbstractEventLoop,
        on_envelopes: Callable[[list[Envelope]], None],
    ) -> None:
        super().__init__(incoming, outgoing, doorbell)
        doorbell.setblocking(False)
        self._loop = loop
        self._on_envelopes = on_envelopes
        self._transport: asyncio.BaseTransport | None = None

    async def open(self) -> None:
        """Begin to listen to the doorbell."""
        self._transport, _ = await self._loop.create_connection(lambda: _DoorbellReader(self), sock=self._doorbell)
        self.woken()  # what was sent before anyone listened

    def post(self, envelope: Envelope, large: bool = False) -> None:
        """Send at the end of this loop iteration, together with everything else that it has to say.

        `large`: its body may be LARGE.
        """
        if not self._outbox:
            self._loop.call_soon(self.flush)
        self._outbox.append(envelope)
        if large:
            self._large = True

    def woken(self) -> None:
        """The doorbell rang."""
        if envelopes := self.take():
            self._on_envelopes(envelopes)
        if self.has_more:
            self._loop.call_soon(self.woken)
        if self._outbox:
            self.flush()
        else:
            self._nothing_to_say()

    def _nothing_to_say(self) -> None:
        pass

    def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()
        else:
            super().close()


class WorkerEnd(AsyncEnd):
    """The end of a worker's event loop."""

    def _nothing_to_say(self) -> None:
        self._ring()


class MainEnd(AsyncEnd):
    """The main interpreter's end, which takes note of when the worker was last heard of.

    `on_rung` is called for each ring, after what came with it was handled.
    """

    room = 1

    def __init__(
        self,
        incoming: Queue,
        outgoing: Queue,
        doorbell: socket.socket,
        loop: asyncio.AbstractEventLoop,
        on_envelopes: Callable[[list[Envelope]], None],
        on_rung: Callable[[], None],
    ) -> None:
        super().__init__(incoming, outgoing, doorbell, loop, on_envelopes)
        self._on_rung = on_rung
        self._one_by_one = False
        self._unheard_since: float | None = None

    def one_by_one(self) -> None:
        """From now on each envelope crosses as an item of its own: the other end is a thread's."""
        self._one_by_one = True
        self.room = LIMIT

    def post(self, envelope: Envelope, large: bool = False) -> None:
        if self._one_by_one and not self._outbox and self._outgoing.qsize() < LIMIT:
            self._put(encode_apart([envelope]) if large else encode([envelope]))  # there is nothing to gather
        else:
            super().post(envelope, large)

    def flush(self) -> None:
        if self._one_by_one:
            outbox = self._outbox
            while outbox and self._outgoing.qsize() < LIMIT:
                first = [outbox.pop(0)]
                self._put(encode_apart(first) if self._large else encode(first))
            if not outbox:
                self._large = False
        else:
            super().flush()

    @property
    def unheard(self) -> bool:
        """Whether the worker has been given something since it rang last, or has not taken everything."""
        return self._unheard_since is not None or bool(self._outbox)

    def silent(self, now: float) -> float:
        """Seconds for which the worker has not rung though it was sent something; `now` as by `time.monotonic`."""
        if self._unheard_since is None or self._incoming.qsize():  # what it said is not taken yet, but it said it
            return 0.0
        return now - self._unheard_since

    def woken(self) -> None:
        self._unheard_since = monotonic() if self.backlog else None
        super().woken()
        self._on_rung()

    def put_back(self, envelopes: list[Envelope]) -> None:
        """Post again what was taken back, ahead of anything else."""
        if envelopes and not self._outbox:
            self._loop.call_soon(self.flush)
        self._large = True  # for all that is known
        self._outbox[:0] = envelopes

    def _put(self, item: bytes | tuple[bytes, ...]) -> None:
        if self._unheard_since is None:
            self._unheard_since = monotonic()
        super()._put(item)


class _DoorbellReader(asyncio.BufferedProtocol):
    """Reads rings into one small buffer that is never looked at."""

    def __init__(self, end: AsyncEnd) -> None:
        self._end = end
        self._buffer = bytearray(_RINGS_READ)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._end.woken()


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
            if not self._doorbell.recv(_RINGS_READ):
                raise ConnectionResetError("the main interpreter closed the channel")
            envelopes = self.take_one()
        self._taken += 1
        if self._taken % LIMIT == 0:  # the other end may be holding an outbox
            self._ring()
        self.flush()
        return envelopes


class Channel:
    """The main interpreter's view of a channel to be: makes both queues and the doorbell.

    The worker's end of the doorbell belongs to the worker once it attached, and is closed there.
    """

    def __init__(self) -> None:
        self.to_worker = create_queue()
        self.from_worker = create_queue()
        self.doorbell, theirs = socket.socketpair()
        self.address: ChannelAddress = (self.to_worker.id, self.from_worker.id, theirs.detach())

    def main_end(
        self,
        loop: asyncio.AbstractEventLoop,
        on_envelopes: Callable[[list[Envelope]], None],
        on_rung: Callable[[], None] = lambda: None,
    ) -> MainEnd:
        """The main interpreter's end."""
        return MainEnd(self.from_worker, self.to_worker, self.doorbell, loop, on_envelopes, on_rung)


def _attach(address: ChannelAddress) -> tuple[Queue, Queue, socket.socket]:
    incoming, outgoing, descriptor = address
    return queue_by_id(incoming), queue_by_id(outgoing), socket.socket(fileno=descriptor)


def attach_async(
    address: ChannelAddress, loop: asyncio.AbstractEventLoop, on_envelopes: Callable[[list[Envelope]], None]
) -> WorkerEnd:
    """A worker's end, for an event loop."""
    return WorkerEnd(*_attach(address), loop, on_envelopes)


def leave_word(address: ChannelAddress, envelope: Envelope) -> None:
    """Send without attaching and without a ring: for a worker whose end is gone, to be found when it has ended."""
    queue_by_id(address[1]).put_nowait(encode([envelope]))


def discard(address: ChannelAddress) -> None:
    """Close a worker's end that nobody will attach to."""
    socket.socket(fileno=address[2]).close()


def attach_blocking(address: ChannelAddress) -> BlockingEnd:
    """A worker's end, for a thread."""
    return BlockingEnd(*_attach(address))

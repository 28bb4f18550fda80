"""The channel between the main interpreter and a worker: two ends, and a carrier that moves items between them.

Each end is owned by one thread, which alone takes, posts, flushes and rings. For carriers, see `snakepit.wire.carrier`.
The rules of both ends, each with its reason:

- All envelopes of one turn of an event loop cross as one item, and the other end is woken once for it.
- At most LIMIT items wait for the other end; what comes later stays in the outbox and crosses together. CPython frees
  an item of a queue by a pending call in the sender's interpreter, keeps 300 of those, and leaks the rest for good.
- An end takes at most LIMIT items at a time; otherwise a fast sender could keep its reader reading without end. After
  LIMIT items the reader looks again later without a ring, and rings back, since the other end may be holding an outbox.
  So a ring has two meanings: look for items, and try your outbox again.
- The main interpreter can take back what a worker has not taken yet, and give it to another. So an event loop gets one
  item, and the next when it has taken that one: it has either all of what waits, or nothing. A thread gets an item for
  each envelope and takes them one by one.
- A worker's event loop rings in every turn in which it was rung, even with nothing to send, to say that it is awake.

Why no wake-up is lost
----------------------
After a ring an end takes a *turn*: take what came, handle it, send the outbox, ring. While something waits in the queue
of a worker's loop, or while the loop is in a turn in which it took something, the main interpreter relies on being rung
again. So it holds back its outbox, and exchanges for a worker that is stuck or limited
(`snakepit.server.dispatch.dispatcher`). This invariant allows it:

    When a turn is over in which an end was rung, the other end has been rung after the last item was taken.

1. `LoopEnd.woken` is the turn. It sends and rings last, also if handling raised an exception.
2. It rings if it *did* not send, and does not decide by an earlier check: `flush` returns whether something was sent. A
   worker's watchdog may have taken the answers out of the outbox at any moment before, and the other end may have too
   many items to take. An earlier reading of the outbox may be out of date; only the result of `flush` is reliable.
3. Sending rings, unless the queue held something already. Then the other end has not taken that yet, and takes until it
   finds the queue empty, in a turn that is not over. This holds for one writer for each queue. So if two threads may
   send on one end, they take turns (`Watchdog`).
4. Whether something waits for the other end (`backlog`) is checked after taking what it sent, never before: what it
   sent may be its answer to that item.

The only thing of an end that another thread touches is the outbox of a worker's end. `WorkerLoopEnd` and `BlockingEnd`
have the rules for that. All other data between threads of a worker goes through a channel. `tests/interleavings` tests
all of this with every possible interruption.

The ends for event loops are in `snakepit.wire.loop_ends`: WSGI workers have no event loop, and do not import asyncio.
"""

import threading
from time import monotonic

from snakepit.wire.carrier import Carrier, ChannelAddress, attach
from snakepit.wire.codec import decode, encode, encode_apart
from snakepit.wire.envelopes import ALL, NUMBER, Envelope
from snakepit.wire.queues import BlockingQueueCarrier
from snakepit.wire.sockets import BlockingSocketCarrier

LIMIT = 32
"""Items that may wait for the other end: far from 300, and each may hold a whole loop iteration's envelopes."""

MANY = 256
"""Envelopes that are enough for one turn: handling them takes some milliseconds, and sockets wait for that long."""


class ChannelEnd[C: Carrier]:
    """One end of a channel. Sends and takes without ever waiting; the subclasses know how to wait."""

    room = LIMIT  # items that may wait for the other end

    def __init__(self, carrier: C) -> None:
        self.carrier = carrier
        self._outbox: list[Envelope] = []
        self._large = False  # a large body may be among that
        self.has_more = False  # the last take stopped early: take again, no ring may come

    @property
    def backlog(self) -> int:
        """Return how many items the other end has not taken yet."""
        return self.carrier.waiting()

    def flush(self) -> bool:
        """Send the outbox, unless the other end has too many items to take first; returns whether it did."""
        return bool(self._outbox) and self.carrier.waiting() < self.room and self.flush_all()

    def flush_all(self) -> bool:
        """Send the outbox, even if too many items wait: for an end's last envelopes. Returns whether it sent any."""
        if not self._outbox:
            return False
        posted, large = self._outbox, self._large
        self._outbox, self._large = [], False
        self._send(posted, large)
        return True

    def take(self) -> list[Envelope]:
        """Take all waiting items, or the first LIMIT of them, or MANY envelopes; then `has_more` is set."""
        envelopes: list[Envelope] = []
        carrier = self.carrier
        taken = 0
        # until it is seen to be empty, for what comes later rings
        while taken < LIMIT and len(envelopes) < MANY and carrier.arrived():
            item = carrier.take()
            if item is not None:
                envelopes += decode(item)
            taken += 1
        self.has_more = taken == LIMIT or len(envelopes) >= MANY
        if self.has_more:
            carrier.ring()
        return envelopes

    def take_one(self) -> list[Envelope]:
        """Take the next item; nothing if there is none, or if its sender's interpreter was closed meanwhile."""
        item = self.carrier.take()
        return [] if item is None else decode(item)

    def take_back(self) -> list[Envelope]:
        """Take back all posted envelopes that the other end has not taken, as far as the carrier can."""
        envelopes: list[Envelope] = []
        while (item := self.carrier.take_back()) is not None:
            envelopes += decode(item)
        envelopes += self._outbox
        self._outbox.clear()
        return envelopes

    def close(self) -> None:
        """Close the carrier."""
        self.carrier.close()

    def _send(self, posted: list[Envelope], large: bool) -> None:
        """Send as one item; `large`: a body among it may be LARGE."""
        self.carrier.send(encode_apart(posted) if large else encode(posted))


class BlockingEnd(ChannelEnd[BlockingQueueCarrier | BlockingSocketCarrier]):
    """An end owned by a thread that may wait: what it posts crosses at once, and what it keeps a little later.

    A kept envelope crosses with the next one that is posted, or when the owner begins to wait. A slow request would
    delay that. Then the main interpreter, which watches, has another thread of the worker send what is kept
    (`release`), and says up to which exchange nothing may be kept any more, as it does not watch those.

    Several threads may post; they do so one after the other. One at a time may `wait`.
    """

    def __init__(self, carrier: BlockingQueueCarrier | BlockingSocketCarrier) -> None:
        super().__init__(carrier)
        self.holds_back = False  # there was no room for a posted item: `wait` before posting more
        self.released = ALL  # envelopes of exchanges up to this number may not be kept
        self._kept_since = 0.0
        self._comes_to_wait = False
        self._taken = 0
        self._sending = threading.Lock()

    def post(self, *envelopes: Envelope, large: bool = False) -> None:
        """Send as one item, at once or, if the other end has too much to take first, with the next `wait`.

        `large`: a body among it may be LARGE.
        """
        with self._sending:
            self._outbox += envelopes
            if large:
                self._large = True
            self.flush()

    def keep(self, envelope: Envelope) -> bool:
        """Send with the next `post`, with the next `wait`, or on release; returns False if it may not be kept.

        The body must not be LARGE.
        """
        with self._sending:
            if envelope[NUMBER] <= self.released:
                return False
            if not self._outbox:
                self._kept_since = monotonic()
            self._outbox.append(envelope)
            return True

    def flush_late(self, seconds: float) -> None:
        """Send what is kept, if the first of it has been kept for so long."""
        if self._outbox and monotonic() - self._kept_since >= seconds:
            with self._sending:
                self.flush()

    def replace(self, kept: Envelope, envelope: Envelope) -> bool:
        """Put another envelope in place of the one that was kept last; returns whether that was still here."""
        with self._sending:
            if not self._outbox or self._outbox[-1] is not kept:
                return False
            self._outbox[-1] = envelope
            return True

    def release(self, upto: int) -> None:
        """Send what is kept, and keep only what is of exchanges above this number from now on. Any thread may call."""
        with self._sending:
            self.released = upto
            self.flush_all()

    def flush(self) -> bool:
        sent = super().flush()
        self.holds_back = bool(self._outbox)
        return sent

    def flush_all(self) -> bool:
        self.holds_back = False
        return super().flush_all()

    def wait(self, seconds: float | None = None) -> list[Envelope]:
        """Take the next item; wait for a ring if there is none (and return nothing, if it was a late one).

        If `seconds` are given, it waits at most so long, and then returns nothing.

        Raises ConnectionResetError when the main interpreter has closed the channel.
        """
        envelopes = self.take_one()
        if not envelopes:
            if self._outbox:
                with self._sending:
                    self._comes_to_wait = True
                    self.flush()
                    self._comes_to_wait = False
            self.carrier.wait(seconds)
            envelopes = self.take_one()
        self._taken += 1
        if self._taken % LIMIT == 0:  # the other end may be holding an outbox
            self.carrier.ring()
        if self.holds_back:
            with self._sending:
                self.flush()
        return envelopes

    def _send(self, posted: list[Envelope], large: bool) -> None:
        item = encode_apart(posted) if large else encode(posted)
        if self._comes_to_wait:
            self.carrier.send_before_wait(item)
        else:
            self.carrier.send(item)


def attach_blocking(address: ChannelAddress) -> BlockingEnd:
    """Attach to a worker's end, for a thread."""
    return BlockingEnd(attach(address))

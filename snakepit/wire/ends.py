"""The channel between the main interpreter and a worker: two ends, and what carries items between them.

Each end is owned by one thread, which alone takes, posts, flushes and rings. For what carries, see
`snakepit.wire.carrier`. The rules of both ends, each with its reason:

- What one loop iteration has to say crosses as one item, and the other end is woken once for it.
- At most LIMIT items wait for the other end; what comes later stays in the outbox and crosses together. CPython frees
  an item of a queue by a pending call in the sender's interpreter, keeps 300 of those, and leaks the rest for good.
- Nobody takes more than LIMIT items in one go, or a fast sender could keep its reader reading for ever. Whoever has
  taken that many looks again later without a ring, and rings back, since the other end may be holding an outbox. So
  being rung means both: look for items, and try your outbox again.
- The main interpreter can take back what a worker has not taken yet, and give it to another. So an event loop's worker
  gets one item, and the next when it has taken that one: either it has all of what waits, or nothing. A thread's gets
  an item for each envelope and takes them one by one.
- A worker's event loop rings in every turn in which it was rung, even if it has nothing to say: it is awake.

Why no wake-up is lost
----------------------
What an end does when it has been rung is a *turn*: take what came, handle it, send what the outbox holds, ring. While
something waits in the queue of a worker's loop, or that has taken something in a turn that is not over, the main
interpreter counts on being rung again; and on that account it holds things back: its outbox, and what a worker that is
stuck or limited does not get (`snakepit.server.dispatch.dispatcher`). It may do so because of this invariant:

    When a turn is over in which an end was rung, the other end has been rung after the last item was taken.

1. `LoopEnd.woken` is the turn. It sends and rings last, whatever happened before, also where handling raised.
2. It rings where it *did* not send, and not where it thought that it would: `flush` returns whether something was sent.
   A worker's watchdog may have taken the answers out of the outbox at any moment before, and the other end may have too
   many items to take. Nothing that was read of an outbox is true later, but what `flush` returns.
3. What was sent rings, unless its queue held something already. Then the other end has not looked yet at that, and
   takes until it finds the queue empty, in a turn that is not over. This holds for one writer for each queue. So where
   two threads may say something on one end, one after the other does (`Watchdog`).
4. Whether something waits for the other end (`backlog`) is asked after taking what it said, never before: what it said
   may be its answer to just that.

The only thing of an end that another thread touches is the outbox of a worker's loop. `WorkerLoopEnd` has the
rules for that. Everything else that one thread of a worker knows and another wants goes through a channel.
`tests/interleavings` tries all of this with every interruption that there can be.

What an event loop needs for its end is in `snakepit.wire.loop_ends`: WSGI workers, which have none, do without asyncio.
"""

import threading

from snakepit.wire.carrier import Carrier, ChannelAddress, attach
from snakepit.wire.codec import decode, encode, encode_apart
from snakepit.wire.envelopes import Envelope
from snakepit.wire.queues import BlockingQueueCarrier
from snakepit.wire.sockets import BlockingSocketCarrier

LIMIT = 32
"""Items that may wait for the other end: far from 300, and each may hold a whole loop iteration's envelopes."""


class ChannelEnd[C: Carrier]:
    """One end of a channel. Sends and takes without ever waiting; the subclasses know how to wait."""

    room = LIMIT  # items that may wait for the other end

    def __init__(self, carrier: C) -> None:
        self.carrier = carrier
        self._outbox: list[Envelope] = []
        self._large = False  # a large body may be among that
        self.has_more = False  # the last take stopped at LIMIT: take again, no ring may come

    @property
    def backlog(self) -> int:
        """Return how many items the other end has not taken yet."""
        return self.carrier.waiting()

    def flush(self) -> bool:
        """Send what the outbox holds, unless the other end has too many items to take first; returns whether it did."""
        return bool(self._outbox) and self.carrier.waiting() < self.room and self.flush_all()

    def flush_all(self) -> bool:
        """Send what the outbox holds, however much waits already: for an end's last words. Returns whether it did."""
        if not self._outbox:
            return False
        posted, large = self._outbox, self._large
        self._outbox, self._large = [], False
        self._send(posted, large)
        return True

    def take(self) -> list[Envelope]:
        """Take what has come: everything, or the first LIMIT items of it; then `has_more`."""
        envelopes: list[Envelope] = []
        carrier = self.carrier
        taken = 0
        while taken < LIMIT and carrier.arrived():  # until it is seen to be empty: what comes later rings
            item = carrier.take()
            if item is not None:
                envelopes += decode(item)
            taken += 1
        self.has_more = taken == LIMIT
        if self.has_more:
            carrier.ring()
        return envelopes

    def take_one(self) -> list[Envelope]:
        """Take the next item; nothing if there is none, or if its sender's interpreter was closed meanwhile."""
        item = self.carrier.take()
        return [] if item is None else decode(item)

    def take_back(self) -> list[Envelope]:
        """Take back all that was posted and that the other end has not taken, as far as it can be had."""
        envelopes: list[Envelope] = []
        while (item := self.carrier.take_back()) is not None:
            envelopes += decode(item)
        envelopes += self._outbox
        self._outbox.clear()
        return envelopes

    def close(self) -> None:
        """Let go of what carries."""
        self.carrier.close()

    def _send(self, posted: list[Envelope], large: bool) -> None:
        """Send as one item; `large`: a body among it may be LARGE."""
        self.carrier.send(encode_apart(posted) if large else encode(posted))


class BlockingEnd(ChannelEnd[BlockingQueueCarrier | BlockingSocketCarrier]):
    """An end owned by a thread that may wait, and so has nothing to gather: what it posts crosses at once.

    Several threads may post; they do so one after the other. One at a time may `wait`.
    """

    def __init__(self, carrier: BlockingQueueCarrier | BlockingSocketCarrier) -> None:
        super().__init__(carrier)
        self._taken = 0
        self._sending = threading.Lock()

    def post(self, *envelopes: Envelope, large: bool = False) -> None:
        """Send as one item, at once or, where the other end has too much to take first, with the next `wait`.

        `large`: a body among it may be LARGE.
        """
        with self._sending:
            self._outbox += envelopes
            if large:
                self._large = True
            self.flush()

    @property
    def holds_back(self) -> bool:
        """Tell whether something posted has not been sent: `wait` before posting more."""
        return bool(self._outbox)

    def wait(self, seconds: float | None = None) -> list[Envelope]:
        """Take the next item; wait for a ring if there is none (and return nothing, if it was a late one).

        It waits so long at most, where `seconds` are given, and returns nothing then.

        Raises ConnectionResetError when the main interpreter has closed the channel.
        """
        envelopes = self.take_one()
        if not envelopes:
            self.carrier.wait(seconds)
            envelopes = self.take_one()
        self._taken += 1
        if self._taken % LIMIT == 0:  # the other end may be holding an outbox
            self.carrier.ring()
        if self._outbox:
            with self._sending:
                self.flush()
        return envelopes


def attach_blocking(address: ChannelAddress) -> BlockingEnd:
    """Attach to a worker's end, for a thread."""
    return BlockingEnd(attach(address))

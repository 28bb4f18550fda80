"""The ends of a channel that belong to an event loop: the main interpreter's, and that of an ASGI worker."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

from snakepit.errors import Interrupted
from snakepit.wire.carrier import ChannelAddress
from snakepit.wire.codec import encode, encode_apart
from snakepit.wire.ends import LIMIT, ChannelEnd
from snakepit.wire.envelopes import ANSWER, KIND, NUMBER, Envelope, body_size
from snakepit.wire.loop_carrier import LoopCarrier, attach_to_loop


class LoopEnd(ChannelEnd[LoopCarrier]):
    """An end owned by an event loop; `on_envelopes` is called with whatever comes, never with nothing."""

    def __init__(
        self,
        carrier: LoopCarrier,
        loop: asyncio.AbstractEventLoop,
        on_envelopes: Callable[[list[Envelope]], None],
    ) -> None:
        super().__init__(carrier)
        self._loop = loop
        self._on_envelopes = on_envelopes
        self._in_turn = False
        self._end_is_due = False  # of a turn of the loop; it sends what is posted, as `woken` does
        self._ending = 0.0  # when this turn began to end, or the last one

    async def open(self) -> None:
        """Begin to listen for rings."""
        await self.carrier.open(self._loop, self.woken)

    def post(self, envelope: Envelope, large: bool = False) -> None:
        """Send at the end of this loop iteration, together with everything else that it has to say.

        `large`: its body may be LARGE.
        """
        if not (self._outbox or self._in_turn or self._end_is_due):  # a call would cost an empty iteration
            self._loop.call_soon(self.flush)
        self._outbox.append(envelope)
        if large:
            self._large = True

    def woken(self) -> None:
        """Take a turn, since the other end rang (see `snakepit.wire.ends`); it ends with a ring whatever happens."""
        try:
            try:
                self._in_turn = True
                if envelopes := self.take():
                    self._on_envelopes(envelopes)
            finally:
                self._in_turn = False
                if self.has_more:
                    self._loop.call_soon(self.woken)
                self._ending = monotonic()
                self._turned(bool(self._outbox) and self.flush())
        except Interrupted:  # meant for the app's code, which had just ended: nobody knows what was left out
            self._loop.call_soon(self.woken)
        except Exception:  # asyncio would close the doorbell over it
            logging.getLogger("snakepit").exception("Error while handling what came over a channel")

    async def wait_ended(self) -> None:
        """Take everything that the other end has sent; it will send nothing more."""
        await self.carrier.wait_ended()

    async def wait_closed(self) -> None:
        """Wait until all that was sent before `close` is on its way."""
        await self.carrier.wait_closed()

    def _turned(self, sent: bool) -> None:
        """Note that the turn is over; `sent`: what it said is on its way."""


class WorkerLoopEnd(LoopEnd):
    """The end of a worker's event loop; between the times `rang` it has rung last, as by `time.monotonic`.

    Two threads touch its outbox: the owner, and the worker's watchdog, by `take_answers`. By these rules neither can be
    wrong about it:

    - Only exchanges leave by the watchdog that have been answered whole, with all that was said of them. Nothing can
      come behind that, so it does not matter which way it goes.
    - The owner appends without the lock. The watchdog takes away, each envelope by one operation on the list.
    - Under the lock, the owner begins a new list to send the old one, or the watchdog takes from the list.
    """

    def __init__(
        self,
        carrier: LoopCarrier,
        loop: asyncio.AbstractEventLoop,
        on_envelopes: Callable[[list[Envelope]], None],
    ) -> None:
        super().__init__(carrier, loop, on_envelopes)
        self._flushing = threading.Lock()
        self._calls: deque[Callable[[], None]] = deque()  # for the end of this turn
        self._end_was_due = False  # when this end was rung last
        self.rang = 0.0, 0.0

    def flush(self, even_if_full: bool = False) -> bool:
        carrier = self.carrier
        if not (even_if_full or carrier.waiting() < self.room):
            return False
        with self._flushing:
            posted, large = self._outbox, self._large
            self._outbox, self._large = [], False
        if not posted:
            return False
        carrier.send(encode_apart(posted) if large else encode(posted))
        return True

    def flush_all(self) -> bool:
        return self.flush(even_if_full=True)

    def take_answers(self) -> list[Envelope]:
        """Take whole answers out of the outbox, for another thread, the caller, which sends them by its own channel.

        So a turn that takes long does not hold up what it has answered.
        """
        with self._flushing:
            answered = {envelope[NUMBER] for envelope in self._outbox if envelope[KIND] == ANSWER}
            said = [envelope for envelope in self._outbox if envelope[NUMBER] in answered]
            for envelope in said:
                self._outbox.remove(envelope)
        return said

    def call_at_end_of_turn(self, call: Callable[[], None]) -> None:
        """Call something when this loop iteration is over, right before its envelopes are sent."""
        if not self._end_is_due:
            self._loop.call_soon(self._end_turn)
            self._end_is_due = True
        self._calls.append(call)

    def _end_turn(self) -> None:
        try:
            for _ in range(len(self._calls)):  # not those that are added now
                self._calls.popleft()()
        finally:
            self._end_is_due = self._end_was_due = False
            if self._calls:  # for the next turn; or one was interrupted, and these are the rest
                self._loop.call_soon(self._end_turn)
                self._end_is_due = True
            self.flush()

    def _turned(self, sent: bool) -> None:
        self.carrier.turned(not sent)
        self.rang = self._ending, monotonic()
        if self._end_is_due:
            if self._end_was_due:  # the loop has gone round since: it was interrupted before it could do anything
                self._loop.call_soon(self._end_turn)
            self._end_was_due = True


class MainEnd(LoopEnd):
    """The main interpreter's end, which takes note of when the worker was last heard of.

    `on_rung` is called for each ring, after what came with it was handled. `heard_at` is when it last had taken what
    had come, as by `time.monotonic`.
    """

    room = 1

    def __init__(
        self,
        carrier: LoopCarrier,
        loop: asyncio.AbstractEventLoop,
        on_envelopes: Callable[[list[Envelope]], None],
        on_rung: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(carrier, loop, on_envelopes)
        self._on_rung = on_rung
        self._one_by_one = False
        self._unheard_since: float | None = None
        self.heard_at = 0.0

    def one_by_one(self) -> None:
        """Send each envelope as an item of its own from now on: the other end is a thread's."""
        self._one_by_one = True
        self.room = LIMIT

    def post(self, envelope: Envelope, large: bool = False) -> None:
        if self._one_by_one:
            if not self._outbox and self.carrier.waiting() < self.room:
                self._send([envelope], large)  # there is nothing to gather
            else:
                super().post(envelope, large)
            return
        # as in LoopEnd, without one more call for each request
        if not self._outbox and not self._in_turn:
            self._loop.call_soon(self.flush)
        self._outbox.append(envelope)
        if large:
            self._large = True

    def flush(self) -> bool:
        if not self._one_by_one:
            posted, large = self._outbox, self._large
            if not posted or self.carrier.waiting() >= self.room:
                return False
            self._outbox, self._large = [], False
            self._send(posted, large)
            return True
        sent = False
        while self._outbox and self.carrier.waiting() < self.room:
            self._send([self._outbox.pop(0)], self._large)
            sent = True
        self._large = self._large and bool(self._outbox)
        return sent

    @property
    def unheard(self) -> bool:
        """Tell whether the worker has been given something since it rang last, or has not taken everything."""
        return self._unheard_since is not None or bool(self._outbox)

    @property
    def unread(self) -> bool:
        """Tell whether the worker has said something that was not taken yet."""
        return self.carrier.arrived() > 0

    @property
    def held(self) -> tuple[int, int]:
        """The envelopes that wait until the worker has taken what was sent before, and the bytes of their bodies."""
        return len(self._outbox), sum(map(body_size, self._outbox))

    def silent(self, now: float) -> float:
        """Return for how many seconds the worker has not rung though it was sent something.

        `now`: as by `time.monotonic`.
        """
        if self._unheard_since is None or self.unread:
            return 0.0
        return now - self._unheard_since

    def take(self) -> list[Envelope]:
        envelopes = super().take()
        self.heard_at = monotonic()
        self._unheard_since = self.heard_at if self.carrier.waiting() else None
        return envelopes

    def _turned(self, sent: bool) -> None:
        self._on_rung()

    def ask(self, envelope: Envelope) -> None:
        """Look for what has come without a ring, and have the other end turn, and thus ring.

        It is posted this, or where it has something to take, rung.
        """
        if self.carrier.arrived():
            self.woken()
        if self.carrier.waiting():
            self.carrier.ring()
        else:
            self.post(envelope)

    def look_again(self) -> None:
        """Look for what has come without a ring, and ring for what was not taken: a lost ring is not lost for ever."""
        if self.carrier.arrived():
            self.woken()
        if self.carrier.waiting():
            self.carrier.ring()

    def put_back(self, envelopes: list[Envelope]) -> None:
        """Post again what was taken back, ahead of anything else."""
        if envelopes:
            if not self._outbox:
                self._loop.call_soon(self.flush)
            self._outbox[:0] = envelopes
            self._large = True  # for all that is known

    def _send(self, posted: list[Envelope], large: bool) -> None:
        if self._unheard_since is None:
            self._unheard_since = monotonic()
        self.carrier.send(encode_apart(posted) if large else encode(posted))


def attach_worker_loop(
    address: ChannelAddress,
    loop: asyncio.AbstractEventLoop,
    on_envelopes: Callable[[list[Envelope]], None],
    on_gone: Callable[[], None] = lambda: None,
) -> WorkerLoopEnd:
    """Attach to a worker's end, for an event loop; `on_gone` is called when the main process has gone."""
    return WorkerLoopEnd(attach_to_loop(address, on_gone), loop, on_envelopes)

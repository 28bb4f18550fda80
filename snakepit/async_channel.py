"""The ends of a channel that belong to an event loop: the main interpreter's, and that of an ASGI worker.

Every loop on every platform can read the doorbell as a transport; `add_reader` does not exist on Windows.
"""

import asyncio
import socket
from collections.abc import Callable
from time import monotonic

from snakepit.channel import LIMIT, RINGS_READ, ChannelAddress, ChannelEnd, attach
from snakepit.envelopes import Envelope
from snakepit.interpreters import Queue, create_queue


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
        if self._one_by_one and not self._outbox and self.backlog < self.room:
            self._send([envelope], large)  # there is nothing to gather
        else:
            super().post(envelope, large)

    def flush(self) -> None:
        if self._one_by_one:
            while self._outbox and self.backlog < self.room:
                self._send([self._outbox.pop(0)], self._large)
            self._large = self._large and bool(self._outbox)
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
        if envelopes:
            if not self._outbox:
                self._loop.call_soon(self.flush)
            self._outbox[:0] = envelopes
            self._large = True  # for all that is known

    def _send(self, posted: list[Envelope], large: bool) -> None:
        if self._unheard_since is None:
            self._unheard_since = monotonic()
        super()._send(posted, large)


class _DoorbellReader(asyncio.BufferedProtocol):
    """Reads rings into one small buffer that is never looked at."""

    def __init__(self, end: AsyncEnd) -> None:
        self._end = end
        self._buffer = bytearray(RINGS_READ)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._end.woken()


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


def attach_async(
    address: ChannelAddress, loop: asyncio.AbstractEventLoop, on_envelopes: Callable[[list[Envelope]], None]
) -> WorkerEnd:
    """A worker's end, for an event loop."""
    return WorkerEnd(*attach(address), loop, on_envelopes)

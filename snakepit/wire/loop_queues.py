"""A pair of queues, and a doorbell that an event loop listens to; see `snakepit.wire.queues`."""

import asyncio
import socket
from collections.abc import Callable

from snakepit.wire.interpreters import Queue, create_queue
from snakepit.wire.queues import QueueAddress, QueueCarrier, attach_queues


class LoopQueueCarrier(QueueCarrier):
    """A pair of queues, and a doorbell that an event loop listens to."""

    def __init__(self, incoming: Queue, outgoing: Queue, doorbell: socket.socket) -> None:
        super().__init__(incoming, outgoing, doorbell)
        doorbell.setblocking(False)
        self._transport: asyncio.BaseTransport | None = None
        self._on_rung: Callable[[], None] = lambda: None

    async def open(self, loop: asyncio.AbstractEventLoop, on_rung: Callable[[], None]) -> None:
        """Begin to listen to the doorbell."""
        self._on_rung = on_rung
        self._transport, _ = await loop.create_connection(lambda: _Doorbell(on_rung), sock=self._doorbell)
        on_rung()  # items that were sent before this end listened

    def turned(self, silent: bool) -> None:
        """Ring, unless sending rang already: a ring says that this loop is awake."""
        if silent:
            self.ring()

    async def wait_ended(self) -> None:
        """Take what is in the queue; its items do not outlive the interpreter that put them there."""
        self._on_rung()
        while self.arrived():
            self._on_rung()

    async def wait_closed(self) -> None:
        """Return at once: items stay in the queue."""

    def close(self) -> None:
        """Stop listening."""
        if self._transport is not None:
            self._transport.close()
        else:
            super().close()


class _Doorbell(asyncio.Protocol):
    """Hears rings; how many there were is of no interest."""

    def __init__(self, on_rung: Callable[[], None]) -> None:
        self._on_rung = on_rung

    def data_received(self, data: bytes) -> None:
        self._on_rung()


class QueueChannel:
    """A channel within this process, before a worker attaches; then the worker owns its side of the doorbell."""

    def __init__(self) -> None:
        self.to_worker = create_queue()
        self.from_worker = create_queue()
        self.doorbell, theirs = socket.socketpair()
        self.address: QueueAddress = (self.to_worker.id, self.from_worker.id, theirs.detach())

    def main_carrier(self) -> LoopQueueCarrier:
        """Make the carrier of the main interpreter's side."""
        return LoopQueueCarrier(self.from_worker, self.to_worker, self.doorbell)

    def discard(self) -> None:
        """Close both sides of a channel that will not be used."""
        self.doorbell.close()
        _, _, theirs = attach_queues(self.address)
        theirs.close()

"""Carriers move items between the main interpreter and a worker: queues within a process, or a socket between two.

An item contains the encoded envelopes of one turn of an event loop (see `snakepit.wire.codec`). The ends of a channel
decide what is sent and when; a carrier knows how. There are two kinds. Each has one module that explains how it works,
with the carriers for threads that may wait, and one with the carriers for event loops:

- `queues`, `loop_queues`: a queue each way, and a doorbell. They alone touch queues and doorbells.
- `sockets`, `loop_sockets`: frames on a socket.

The interface of carriers for threads is here, and that for event loops in `loop_carrier`: WSGI workers have no event
loop, and do not import asyncio.
"""

from typing import Protocol

from snakepit.wire.codec import Item
from snakepit.wire.queues import BlockingQueueCarrier, QueueAddress, attach_queues
from snakepit.wire.sockets import BlockingSocketCarrier, SocketAddress, attach_socket

type ChannelAddress = QueueAddress | SocketAddress
"""The data that a worker needs to attach to a channel."""


class Carrier(Protocol):
    """The interface that the end of a channel needs. Methods do not wait, except `send` on a thread's socket."""

    def waiting(self) -> int:
        """Return how many items the other end has not taken yet."""

    def arrived(self) -> int:
        """Return how many items can be taken."""

    def send(self, item: Item, /) -> None:
        """Send an item."""

    def take(self) -> Item | None:
        """Take the next item; None if there is none, or if its sender's interpreter was closed meanwhile."""

    def take_back(self) -> Item | None:
        """Take back the oldest item that the other end has not taken; None if there is none."""

    def ring(self) -> None:
        """Wake the other end: it takes items, and tries again to send what it held back."""

    def close(self) -> None:
        """Close the sockets."""


def attach(address: ChannelAddress) -> BlockingQueueCarrier | BlockingSocketCarrier:
    """Attach to a worker's side of a channel, for a thread that may wait."""
    if isinstance(address, tuple):
        return BlockingQueueCarrier(*attach_queues(address))
    return BlockingSocketCarrier(attach_socket(address))


def discard(address: ChannelAddress) -> None:
    """Close a worker's side to which no worker will attach."""
    if isinstance(address, tuple):
        _, _, doorbell = attach_queues(address)
        doorbell.close()
    else:
        attach_socket(address).close()

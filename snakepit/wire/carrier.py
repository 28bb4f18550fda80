"""What carries items between the main interpreter and a worker: queues within a process, or a socket between two.

An item is what one loop iteration has to say, encoded (see `snakepit.wire.codec`). The ends of a channel decide what is
sent and when; a carrier knows how. There are two kinds. Each has one module that tells how it works, with the carriers
of threads that may wait, and one with the carriers of event loops:

- `queues`, `loop_queues`: a queue each way, and a doorbell. They alone touch queues and doorbells.
- `sockets`, `loop_sockets`: frames on a socket.

What is needed of a carrier is here for threads, and in `loop_carrier` for event loops: WSGI workers, which have none,
do without asyncio.
"""

from typing import Protocol

from snakepit.wire.codec import Item
from snakepit.wire.queues import BlockingQueueCarrier, QueueAddress, attach_queues
from snakepit.wire.sockets import BlockingSocketCarrier, SocketAddress, attach_socket

type ChannelAddress = QueueAddress | SocketAddress
"""What a worker needs to attach to a channel."""


class Carrier(Protocol):
    """What the end of a channel needs. Nothing of it ever waits, but that a socket of a thread may while it sends."""

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
        """Have the other end look for items, and try again to send what it held back."""

    def close(self) -> None:
        """Let go of sockets."""


def attach(address: ChannelAddress) -> BlockingQueueCarrier | BlockingSocketCarrier:
    """Attach to a worker's side of a channel, for a thread that may wait."""
    if isinstance(address, tuple):
        return BlockingQueueCarrier(*attach_queues(address))
    return BlockingSocketCarrier(attach_socket(address))


def discard(address: ChannelAddress) -> None:
    """Close a worker's side that nobody will attach to."""
    if isinstance(address, tuple):
        _, _, doorbell = attach_queues(address)
        doorbell.close()
    else:
        attach_socket(address).close()

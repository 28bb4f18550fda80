"""The interface of carriers for event loops; see `snakepit.wire.carrier`.

Every loop on every platform can read a socket as a transport; `add_reader` does not exist on Windows.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from snakepit.wire.carrier import Carrier, ChannelAddress
from snakepit.wire.loop_queues import LoopQueueCarrier
from snakepit.wire.loop_sockets import LoopSocketCarrier
from snakepit.wire.queues import attach_queues
from snakepit.wire.sockets import attach_socket


class LoopCarrier(Carrier, Protocol):
    """The interface that the end of a channel needs if an event loop owns it."""

    async def open(self, loop: asyncio.AbstractEventLoop, on_rung: Callable[[], None]) -> None:
        """Begin to listen: `on_rung` is called when there may be items to take, or room to send."""

    def turned(self, silent: bool) -> None:
        """Note the end of a turn, after `on_rung` was handled. `silent`: nothing was sent in it."""

    async def wait_ended(self) -> None:
        """Call `on_rung` for everything that the other end has sent; it will send nothing more."""

    async def wait_closed(self) -> None:
        """Wait until all that was sent before `close` is on its way."""


class Channel(Protocol):
    """A channel before a worker attaches to it, as the main interpreter holds it."""

    def main_carrier(self) -> LoopCarrier:
        """Make the carrier of the main interpreter's side."""

    def discard(self) -> None:
        """Close both sides of a channel that will not be used."""


def attach_to_loop(address: ChannelAddress, on_gone: Callable[[], None]) -> LoopCarrier:
    """Attach to a worker's side, for an event loop; `on_gone` is called when the main process has gone."""
    if isinstance(address, tuple):
        return LoopQueueCarrier(*attach_queues(address))
    return LoopSocketCarrier(attach_socket(address), on_gone)

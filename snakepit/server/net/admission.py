"""Connections at once: which may stay, and which go to make room for others.

The limit in all is one on descriptors, unless an option sets a number: of those that the process may have, some are
reserved for what is no connection (workers that start, files, log files, the app's own sockets). A new descriptor gets
the lowest free number, so the number of a connection's tells how many are in use, whatever for.

Where there are too many, a connection that waits for its next request makes room, or the one whose first head has not
come for longest: a client that is alive sends it at once. So attackers that hold connections displace each other.
"""

import asyncio
import ipaddress
import logging
from collections.abc import Callable, Hashable
from typing import Any, Protocol

from snakepit.config.trusted_proxies import TrustedProxies
from snakepit.server.event_loop.deadlines import Deadlines
from snakepit.server.net.connections import Connections
from snakepit.server.net.open_files import OpenFiles
from snakepit.server.net.transport import REPORTED

HEAD_GRACE = 1.0
"""Seconds that a client has for a head before its connection may have to make room for another."""

TELL_AGAIN = 10.0
"""Seconds between two lines in the log about connections that were refused."""

IN_ALL = "Too many connections"
OF_ADDRESS = "Too many connections from this address"


class Yielding(Hashable, Protocol):
    """A connection that may have to make room."""

    @property
    def may_yield(self) -> bool:
        """Whether nothing is lost but a wait, if it is closed now."""

    def yield_place(self) -> None:
        """Close the socket at once, since another client needs its place."""


type Waiting = Callable[[], Deadlines[Any]]
"""Returns the deadlines under which connections are that may have to make room: `Yielding`."""


class Addresses:
    """How many connections each address has: IPv6 by /64, the least that one customer gets (RFC 6177).

    Args:
        most: connections of one address.
        proxies: whose connections are those of many clients, and are not counted.
    """

    def __init__(self, most: int, proxies: TrustedProxies) -> None:
        self._most = most
        self._proxies = proxies
        self._counts: dict[str | bytes, int] = {}

    def came(self, transport: asyncio.BaseTransport) -> bool:
        """Count a connection; returns whether its address may have it."""
        address = self._address(transport)
        if address is None:
            return True
        count = self._counts[address] = self._counts.get(address, 0) + 1
        return count <= self._most

    def left(self, transport: asyncio.BaseTransport) -> None:
        """Count a connection no more."""
        address = self._address(transport)
        if address is not None:
            count = self._counts.pop(address, 1) - 1
            if count:
                self._counts[address] = count

    def _address(self, transport: asyncio.BaseTransport) -> str | bytes | None:
        name = transport.get_extra_info("peername")
        if not isinstance(name, tuple) or self._proxies.trusts(name[0]):
            return None
        if ":" not in name[0]:
            return str(name[0])
        address = ipaddress.IPv6Address(name[0].partition("%")[0])
        return str(address.ipv4_mapped) if address.ipv4_mapped is not None else address.packed[:8]


class Admission:
    """Decides which connections may stay.

    Args:
        most: connections in all; None: as many as there are descriptors for.
        addresses: None: an address may have any number.
    """

    def __init__(
        self,
        connections: Connections,
        open_files: OpenFiles,
        loop: asyncio.AbstractEventLoop,
        log: logging.Logger,
        *,
        most: int | None,
        addresses: Addresses | None,
    ) -> None:
        self.addresses = addresses
        self.on_refused: Callable[[str, str], object] | None = None
        """Called with the option that limits connections, and why one was refused."""
        self._connections = connections
        self._open_files = open_files
        self._loop = loop
        self._log = log
        self._most = most
        self._idle: list[Waiting] = []
        self._begun: list[Waiting] = []
        self._refused = 0  # since the log told of it
        self._told = -TELL_AGAIN

    def watch(self, idle: "Waiting | None", begun: "Waiting") -> None:
        """Have connections make room that are under these deadlines, the oldest of each first.

        Args:
            idle: that of connections that had a request.
            begun: that of connections whose first words have not come.
        """
        if idle is not None:
            self._idle.append(idle)
        self._begun.append(begun)

    def refuses(self, transport: asyncio.BaseTransport) -> str:
        """Count a connection, and make room for it; returns why it has to go, or nothing."""
        full = self._is_full(transport)
        if self.addresses is not None and not self.addresses.came(transport):
            return self._refuse(OF_ADDRESS)
        return self._refuse(IN_ALL) if full and not self._make_room() else ""

    def refuses_early(self, transport: asyncio.BaseTransport) -> bool:
        """Make room for a connection on which nothing can be said yet; returns whether it has to go.

        `refuses` is asked later, when it can be told why, and counts it then.
        """
        return self._is_full(transport) and not self._make_room() and bool(self._refuse(IN_ALL))

    def left(self, transport: asyncio.BaseTransport) -> None:
        """Note that a connection's socket is closed."""
        if self.addresses is not None:
            self.addresses.left(transport)

    def _is_full(self, transport: asyncio.BaseTransport) -> bool:
        if self._open_files.accepted(transport):
            return True
        if self._most is None:
            return False
        # what is below it leaves the set of connections when this one has begun
        below = sum(transport.get_extra_info(name) is not None for name in ("sslcontext", REPORTED))
        return len(self._connections.open) - below > self._most

    def _make_room(self) -> bool:
        """Close the connection that is missed least; returns whether there is one."""
        for age, those in (0.0, self._idle), (HEAD_GRACE, self._begun):
            for waiting in those:
                yielding = waiting().first(_may_yield, age)
                if yielding is not None:
                    yielding.yield_place()
                    return True
        return False

    def _refuse(self, reason: str) -> str:
        if self.on_refused is not None:
            self.on_refused("limit-connections" if reason is IN_ALL else "limit-connections-per-address", reason)
        self._refused += 1
        now = self._loop.time()
        if now - self._told >= TELL_AGAIN:
            self._told = now
            self._log.warning(
                "%s: %d are open in all; refused since this was last said: %d",
                reason,
                len(self._connections.open),
                self._refused,
            )
            self._refused = 0
        return reason


def _may_yield(connection: Yielding) -> bool:
    return connection.may_yield

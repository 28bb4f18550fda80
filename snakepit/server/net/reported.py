"""What a proxy says of a connection before anything else is spoken on it, even TLS: the PROXY protocol.

Only trusted peers may say it, and they have to. What they say takes the place of the socket's own addresses, for all
that comes after: the log, apps, and the choice of a certificate.

It also takes the peer's place where header fields of proxies are believed or not. A proxy that works on connections
passes on whatever fields a client has made up; that it is trusted itself says nothing about them. They are believed
where the reported client is a trusted proxy, just as if it had connected without the one between.
"""

import asyncio
import logging
from typing import Any, cast

from snakepit.config.trusted_proxies import TrustedProxies
from snakepit.errors import RemoteProtocolError
from snakepit.http.proxy_protocol import Reported, read_proxy_header
from snakepit.server.event_loop.deadlines import Deadlines
from snakepit.server.net import client_limits
from snakepit.server.net.connections import Connections
from snakepit.server.net.transport import REPORTED, NewConnection, direct_endpoints, has_known_peer, name_of_client

_THE_SAME = (
    *("write", "writelines", "write_eof", "can_write_eof", "close", "abort", "is_closing"),
    *("pause_reading", "resume_reading", "is_reading", "set_protocol", "get_protocol"),
    *("get_write_buffer_size", "get_write_buffer_limits", "set_write_buffer_limits"),
)
"""What a transport does that nobody has to know of here."""


class ReportedTransport(asyncio.Transport):
    """A socket's transport, with the addresses that a proxy has reported.

    Its methods are the socket's own, so that they take no longer.
    """

    def __init__(self, transport: asyncio.Transport, reported: Reported) -> None:
        super().__init__()
        self._get_extra_info = transport.get_extra_info
        self._reported = reported
        for name in _THE_SAME:
            setattr(self, name, getattr(transport, name))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == REPORTED:
            return self._reported
        if name == "peername" and self._reported.client is not None:
            return self._reported.client
        if name == "sockname" and self._reported.server is not None:
            return self._reported.server
        return self._get_extra_info(name, default)


class UnreportedConnection(asyncio.Protocol):
    """One accepted socket, until its peer has said whose connection it is."""

    __slots__ = ("_make_above", "_received", "_shared", "_transport")

    _transport: asyncio.Transport

    def __init__(self, shared: "ReportedConnections", make_above: NewConnection) -> None:
        self._shared = shared
        self._make_above = make_above
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        shared = self._shared
        shared.connections.add(self)
        shared.deadlines.add(self)
        if shared.connections.stopping:  # what it says is on its way, if it says anything
            shared.loop.call_later(client_limits.LAST_REQUEST_SECONDS, self.drain)
        if not shared.trusts(transport):
            self._refuse("is not among forwarded_allow_ips, and so may not use the PROXY protocol")

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        self._received += data
        try:
            read = read_proxy_header(self._received)
        except RemoteProtocolError as error:
            self._refuse(f"is refused: {error.reason}")
            return
        if read is not None:
            reported, size = read
            self._go_on(reported, self._received[size:])

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()

    @property
    def phase(self) -> str:
        return "proxy_header"

    def drain(self, gently: bool = False) -> None:
        """Close, unless something has come: whose connection it is, is then about to be known."""
        if not gently and not self._received and self in self._shared.connections.open:
            self.abort()

    def abort(self) -> None:
        """Close the socket."""
        self._transport.abort()

    def too_slow(self) -> None:
        """Close: the time is over."""
        self._refuse("did not say in time whose connection it is")

    def _refuse(self, why: str) -> None:
        self._shared.log.info("The peer %s %s", name_of_client(direct_endpoints(self._transport)), why)
        self.abort()

    def _go_on(self, reported: Reported, rest: bytes) -> None:
        above = self._make_above()
        self._transport.set_protocol(above)
        above.connection_made(ReportedTransport(self._transport, reported))
        self._leave()  # not before the other is among the connections: they might be none for a moment
        if rest and not self._transport.is_closing():
            above.data_received(rest)

    def _leave(self) -> None:
        self._shared.deadlines.discard(self)
        self._shared.connections.discard(self)


class ReportedConnections:
    """What the connections of a server share whose peers say whose they are.

    Args:
        trusted: the peers that may say it.
        connections: where they are until then.
        seconds: that a peer may take.
    """

    def __init__(
        self, trusted: TrustedProxies, connections: Connections, loop: asyncio.AbstractEventLoop, seconds: float
    ) -> None:
        self.connections = connections
        self.loop = loop
        self.log = logging.getLogger("snakepit.server")
        self.deadlines = Deadlines(loop, seconds, UnreportedConnection.too_slow)
        self._trusted = trusted

    def below(self, make_above: NewConnection) -> NewConnection:
        """Return what makes a connection that hears whose it is before those that are made here begin."""
        return lambda: UnreportedConnection(self, make_above)

    def trusts(self, transport: asyncio.BaseTransport) -> bool:
        """Tell whether the peer of a socket may say whose connection it is."""
        peer = direct_endpoints(transport)[0]
        return has_known_peer(transport) and self._trusted.trusts(peer[0] if peer is not None else None)

    def close(self) -> None:
        """End the time limits."""
        self.deadlines.close()

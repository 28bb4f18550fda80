"""What every connection of one server shares: its options, its deadlines, its books, and the way to the workers."""

import asyncio
import itertools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from snakepit.config.extra_fields import parse_field
from snakepit.config.trusted_proxies import TrustedProxies, header_names
from snakepit.http.events import Limits, RequestHead, ServerProtocol
from snakepit.http.h1.choice import parser_factory
from snakepit.http.h1.protocol import Http1Protocol
from snakepit.http.ws.protocol import Deflate, WebSocketProtocol, check_handshake, wants_websocket
from snakepit.server.event_loop.deadlines import Deadlines
from snakepit.server.exchanges.exchange import Exchange, Line
from snakepit.server.exchanges.websocket import WebSocketExchange
from snakepit.server.net.access_log import access_log
from snakepit.server.net.common_fields import CommonFields
from snakepit.server.net.open_files import OpenFiles
from snakepit.server.net.proxy_headers import ProxyHeaders

if TYPE_CHECKING:
    from snakepit.config.options import Config
    from snakepit.http.fields import Fields
    from snakepit.http.types import Address
    from snakepit.server.net.http1 import Connection
    from snakepit.server.net.websocket import WebSocketConnection

CLOSING, LAST_CLOSING = 10.0, 2.0
"""Seconds that a client gets to answer a WebSocket's close frame; and when the server stops."""

ANSWERING = 2.0
"""Seconds that an app gets to answer what a WebSocket's client said before it broke the protocol."""

LAST_REQUEST = 0.1
"""Seconds that a connection which is accepted as the server stops gets to send its request."""

STALLED = 0.5
"""Seconds that a client gets, when the server stops, to go on with a request that it has begun to send."""

LINGER, LAST_LINGER = 2.0, 0.25
"""Seconds that a client gets to read an answer to a request it has not finished sending, before the socket closes
under it (RFC 9112 section 9.6); and when the server stops."""


class Submit(Line, Protocol):
    """What a site needs of the pool."""

    @property
    def interface(self) -> str:
        """What the app speaks: "asgi" or "wsgi"."""

    def submit(self, exchange: Exchange) -> None:
        """Give an exchange to a worker, or let it wait, or refuse it."""


@dataclass(slots=True)
class Counters:
    """What happened since the start."""

    connections: int = 0
    requests: int = 0


class Site:
    """One server's connections and what they have in common; `open_files` as for `OpenFiles`."""

    def __init__(
        self,
        config: "Config",
        pool: Submit,
        loop: asyncio.AbstractEventLoop,
        open_files: tuple[int, int] | None = None,
    ) -> None:
        self.pool = pool
        self.loop = loop
        self.log = logging.getLogger("snakepit.server")
        self.access_log = access_log(config.access_log, loop)
        self.counters = Counters()
        self.open_files = OpenFiles(self.log, loop, open_files)
        self.connections: set[Connection | WebSocketConnection] = set()
        self.draining = False  # no connection is to go on for longer than it must
        self.stopping = False  # nobody else serves meanwhile
        self.never_idle = not config.timeout_keep_alive  # no connection is kept open for a request that may come
        self._all_closed = asyncio.Event()
        self._all_closed.set()
        self._numbers = itertools.count(1)
        limits = Limits(
            head=config.limit_request_head, fields=config.limit_request_fields, body=config.limit_request_body
        )
        self._parser = parser_factory(config.http, limits)
        self._proxy_headers: ProxyHeaders | None = None
        if config.proxy_headers:
            self._proxy_headers = ProxyHeaders(
                TrustedProxies(config.forwarded_allow_ips), header_names(config.trusted_proxy_headers)
            )
        self._common = CommonFields(
            date=config.date_header, server=config.server_header, extra=[*map(parse_field, config.header)]
        )
        self.keep_alive: Deadlines[Connection] = Deadlines(
            loop, config.timeout_keep_alive, lambda connection: connection.idle_too_long()
        )
        self.heads: Deadlines[Connection] = Deadlines(
            loop, config.timeout_request_head, lambda connection: connection.head_too_slow()
        )
        self.lingering: Deadlines[Connection] = Deadlines(loop, LINGER, lambda connection: connection.linger_over())
        self.last_lingering: Deadlines[Connection] = Deadlines(
            loop, LAST_LINGER, lambda connection: connection.linger_over()
        )
        self.stalled: Deadlines[Connection] = Deadlines(loop, STALLED, lambda connection: connection.client_stalled())

        self._websockets = config.ws != "none"
        self._ws_max_size = config.ws_max_size
        self._ws_max_queue = config.ws_max_queue
        self._ws_deflate = config.ws_per_message_deflate
        self.pings: Deadlines[WebSocketConnection] = Deadlines(
            loop, config.ws_ping_interval or None, lambda connection: connection.ping()
        )
        self.pongs: Deadlines[WebSocketConnection] = Deadlines(
            loop, config.ws_ping_timeout or None, lambda connection: connection.pong_overdue()
        )
        self.breaches: Deadlines[WebSocketConnection] = Deadlines(
            loop, ANSWERING, lambda connection: connection.answers_overdue()
        )
        self.closings: Deadlines[WebSocketConnection] = Deadlines(
            loop, CLOSING, lambda connection: connection.close_overdue()
        )
        self.last_closings: Deadlines[WebSocketConnection] = Deadlines(
            loop, LAST_CLOSING, lambda connection: connection.close_overdue()
        )

    def proxy_headers_of(self, peer: "Address") -> ProxyHeaders | None:
        """What reads the proxy headers that a peer sends; None if they are not to be read. No peer: a Unix socket."""
        if self._proxy_headers is None or not self._proxy_headers.trusts(peer[0] if peer is not None else None):
            return None
        return self._proxy_headers

    def new_exchange(self, connection: "Connection", head: RequestHead) -> Exchange:
        """Make an exchange with a number of its own. Raises RemoteProtocolError for a bad WebSocket handshake."""
        self.counters.requests += 1
        if head.upgrade and self._websockets and self.pool.interface == "asgi" and wants_websocket(head):
            handshake = check_handshake(head)
            return WebSocketExchange(next(self._numbers), connection, self.pool, head, handshake, self._ws_max_queue)
        return Exchange(next(self._numbers), connection, self.pool, head)

    def new_deflate(self) -> Deflate | None:
        """Compression for one WebSocket, yet to be agreed on; None if there is to be none."""
        return Deflate(self._ws_max_size) if self._ws_deflate else None

    def new_websocket(self, deflate: Deflate | None) -> WebSocketProtocol:
        """The frames of one WebSocket."""
        return WebSocketProtocol(self._ws_max_size, deflate)

    def common_lines(self, fields: "Fields") -> bytes:
        """The fields that the server adds to a response's own."""
        return self._common.lines(fields[1])

    def drain_new(self, connection: "Connection") -> None:
        """A connection was accepted in the moment of stopping: its request is on its way, if there is to be one."""
        if self.stopping:
            self.loop.call_later(LAST_REQUEST, connection.drain)

    def remember(self, connection: "Connection | WebSocketConnection") -> None:
        """A connection was made, or became another."""
        self.connections.add(connection)
        self._all_closed.clear()

    def forget(self, connection: "Connection | WebSocketConnection") -> None:
        """A connection has been closed, and all that was written to it is out."""
        self.connections.discard(connection)
        if not self.connections:
            self._all_closed.set()

    async def wait_closed(self) -> None:
        """Return when no connection is open: the last bytes of a response outlive its exchange."""
        await self._all_closed.wait()

    def new_protocol(self) -> ServerProtocol:
        """The HTTP/1 of one connection."""
        return Http1Protocol(self._parser(), self._common)

    def drain(self, gently: bool = False) -> None:
        """Close connections that carry no exchange, and the others as soon as they have answered.

        Event streams and WebSockets have no end, so they are ended; browsers come back by themselves.

        `gently`: those that carry none may have one exchange more, until their keep-alive time is over: another process
        serves now, and a client must not find its connection closed in the moment in which it sends a request.
        """
        self.draining = True
        self.stopping = not gently
        if self.stopping:
            self.closings.move_to(self.last_closings)
            self.heads, self.lingering, self.closings = self.stalled, self.last_lingering, self.last_closings
        for connection in list(self.connections):
            connection.drain(gently)

    def close(self) -> None:
        """Cut every connection that is left."""
        for deadlines in (self.keep_alive, self.heads, self.lingering, self.last_lingering, self.stalled):
            deadlines.close()
        for websockets in (self.pings, self.pongs, self.breaches, self.closings):
            websockets.close()
        for connection in list(self.connections):
            connection.abort()

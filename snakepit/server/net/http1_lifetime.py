"""How long a connection that speaks HTTP/1 lasts, and how it ends: whether it may stay, and who is at its other end;
the time that its client has; refusals; and what becomes of it when the server stops.

A connection that is closed before the whole request was read is closed in two steps: our side first, then, when the
client has closed too or its time to linger is over, the socket (see `transport.TransportShell`). The states of a
connection, and the moves between them, are in `snakepit.server.lifecycle`.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import RequestHead
from snakepit.http.fields import render
from snakepit.http.types import Endpoints, Headers
from snakepit.server.lifecycle import CONNECTION, ConnectionState, advance
from snakepit.server.net import client_limits
from snakepit.server.net.http1_services import Http1Services
from snakepit.server.net.transport import TransportShell, direct_endpoints, has_known_peer, name_of_client, set_no_delay

if TYPE_CHECKING:
    from snakepit.server.exchanges.exchange import Exchange
    from snakepit.server.net.proxy_headers import ProxyHeaders

PLAIN_TEXT = (b"content-type", b"text/plain; charset=utf-8")

_IDLE, _READING_HEAD, _SERVING = ConnectionState.IDLE, ConnectionState.READING_HEAD, ConnectionState.SERVING
_DISCARDING, _LINGERING, _CLOSED = ConnectionState.DISCARDING, ConnectionState.LINGERING, ConnectionState.CLOSED


class Http1Lifetime(TransportShell):
    """Base class of HTTP/1 connections: the part that deals with how long they last, and how they end."""

    __slots__ = (
        "_all",
        "_body_bytes",
        "_direct",
        "_discarded",
        "_exchange",
        "_idle_since",
        "_protocol",
        "_proxy_headers",
        "_read_of",
        "_read_there",
        "_shared",
        "_state",
        "_streams_events",
    )

    def __init__(self, shared: Http1Services) -> None:
        super().__init__(shared.stalls)
        self._shared = shared
        self._all = shared.connections
        self._protocol = shared.options.new_protocol()
        self._state = ConnectionState.IDLE
        self._exchange: Exchange | None = None
        self._direct: Endpoints = None, None, "http", None, None  # of the socket
        self._proxy_headers: ProxyHeaders | None = None  # what reads them, if the peer is trusted
        self._read_of: Headers | None = None  # where they were read last
        self._read_there: Endpoints = self._direct
        self._discarded = 0  # bytes of a request's body that were discarded
        self._body_bytes = 0  # of a request's body, that came since its rate was looked at
        self._streams_events = False  # the response that is under way is an event stream
        self._idle_since = 0.0  # loop time; what its keep-alive time counts from

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        shared = self._shared
        set_no_delay(transport)
        if self._all.stopping:  # its request is on its way, if there is to be one
            shared.loop.call_later(client_limits.LAST_REQUEST_SECONDS, self.drain)
        self._direct = direct_endpoints(transport)
        if has_known_peer(transport):
            self._proxy_headers = shared.options.proxy_headers_of(self._direct[0])
        self._all.add(self)
        self._all.accepted += 1
        self._set_deadline(shared.heads)
        if reason := shared.admission.refuses(transport):
            self._turn_away(reason)

    def eof_received(self) -> bool:
        # A client that has shut down its side is taken to have gone, as everywhere: it can't be told from one that
        # closed, and an app that streams to it should be told.
        if self.unsent:
            self._stalls.add(self)  # asyncio closes the transport now, and waits for what is left
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed()
        self._set_deadline(None)
        self._stalls.discard(self)
        self._all.discard(self)
        self._shared.admission.left(self._transport)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.client_gone()

    # -- who is at its other end -----------------------------------------------------------------------------------

    @property
    def peer(self) -> str:
        """The address at the other end of the socket, for the log."""
        return name_of_client(self._direct)

    def endpoints(self, head: RequestHead) -> Endpoints:
        if self._proxy_headers is None:
            return self._direct
        if head.headers is not self._read_of:  # a header block that was seen before is the same list
            self._read_there = self._proxy_headers.endpoints(head.headers, self._direct)
            self._read_of = head.headers
        return self._read_there

    @property
    def is_trusted(self) -> bool:
        return self._proxy_headers is not None

    # -- deadlines, and the end of the server ----------------------------------------------------------------------

    @property
    def phase(self) -> str:
        return self._state.name.lower()

    @property
    def idle_since(self) -> float | None:
        """Since when it waits for its next request, in loop time; None: it does not."""
        return self._idle_since if self._state is _IDLE else None

    def idle_too_long(self) -> None:
        """Close: the keep-alive time is over."""
        self._close()

    def head_too_slow(self) -> None:
        """Refuse a request whose head has begun, and close otherwise: the time for a head is over."""
        if self._state is _READING_HEAD:
            self._refuse(RemoteProtocolError("the request's head took too long", 408))
        else:
            self._close()

    def look_at_body(self) -> None:
        """Refuse a request whose body comes too slowly, while it is the client's turn to send it."""
        exchange, came = self._exchange, self._body_bytes
        if exchange is None or exchange.request_complete or self._state is not _SERVING:
            self._set_deadline(None)
        elif (
            came < self._shared.options.body_rate * client_limits.BODY_SECONDS
            and self._reading
            and not exchange.waits_for_continue
        ):
            self._refuse(RemoteProtocolError("the request's body came too slowly", 408))
        else:
            self._measure_body_anew()

    @property
    def may_yield(self) -> bool:
        """Whether no request would be lost, but one whose head is still to come."""
        return self._state <= _READING_HEAD and not self.unsent

    def yield_place(self) -> None:
        """Close the socket at once, since another client needs its place."""
        self._set_deadline(None)
        self.abort()

    def drain(self, gently: bool = False) -> None:
        """Close now if nothing is going on, unless `gently`; otherwise the next response says that it is the last."""
        if self._streams_events:
            self._end_events()
        if gently:
            return
        match self._state:
            case ConnectionState.LINGERING | ConnectionState.CLOSED:
                if self._deadline is not None:
                    self._set_deadline(self._shared.lingering)
            case ConnectionState.DISCARDING:
                self._linger()
            case ConnectionState.SERVING:
                self._limit_rest_of_request()
            case ConnectionState.READING_HEAD:
                self._set_deadline(self._shared.heads)
            case ConnectionState.IDLE:
                self._close()

    def client_stalled(self) -> None:
        """Give the request up: the server stops, and the client has not gone on with what it has begun."""
        if self._exchange is not None:
            self._exchange.stalled()
        else:
            self._close()

    def linger_over(self) -> None:
        """Close the socket: the client has had its time to read the answer, since it was wholly written."""
        if self._transport.get_write_buffer_size():
            self._set_deadline(self._shared.lingering)
        else:
            self.abort()

    # -- for the class made of it ----------------------------------------------------------------------------------

    def _to(self, state: ConnectionState) -> None:
        self._state = advance(CONNECTION, self._state, state)

    def _on_reading_resumed(self) -> None:
        self._measure_body_anew()
        if self._all.stopping:
            self._limit_rest_of_request()

    def _limit_rest_of_request(self, more_came: bool = False) -> None:
        """While the server stops: limit the client's time for the rest of a body, anew with each piece that comes."""
        exchange = self._exchange
        if exchange is None or self._state >= _LINGERING:
            return
        its_turn = not exchange.request_complete and not exchange.waits_for_continue and self._reading
        self._set_deadline(self._shared.stalled if its_turn else None, keep=not more_came)

    def _end_events(self) -> None:
        """End a response that is an event stream and goes on: its client connects again."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None and self._streams_events and self._state < _LINGERING:
            exchange.client_gone(stopping=True)
            self._close()

    def _measure_body_anew(self) -> None:
        """Measure the rate of a body from now on, if it is measured."""
        if self._deadline is self._shared.bodies:
            self._set_deadline(self._shared.bodies)
            self._body_bytes = 0

    def _refuse(self, error: RemoteProtocolError) -> None:
        """Answer a request that can't be served, and close."""
        log = self._shared.log
        exchange, self._exchange = self._exchange, None
        if log.isEnabledFor(logging.INFO):
            head = self._protocol.parser.head
            of = self._direct if head is None else self.endpoints(head)
            log.info("Bad request from %s: %s (%d)", name_of_client(of), error.reason, error.status)
        if exchange is not None:
            exchange.client_gone()
        if self._state is _DISCARDING:  # it was answered well; what came behind that is no reason to destroy the answer
            self._linger()
            return
        if self._protocol.begun:
            self.abort()
            return
        self._say_last(error.status, error.reason, error.headers)
        self._linger()

    def _turn_away(self, reason: str) -> None:
        """Answer unasked that this connection is one too many, and close."""
        self._say_last(503, reason, ((b"retry-after", b"%d" % client_limits.RETRY_SECONDS),))
        shared = self._shared
        if len(shared.lingering) < client_limits.LINGERING and not shared.open_files.nearly_out(self._transport):
            self._linger()
        else:
            self._close()

    def _say_last(self, status: int, reason: str, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        fields = render([PLAIN_TEXT, *headers])
        self._write(self._protocol.send_response(status, fields, f"{reason}\n".encode(), False, True))

    def _linger(self) -> None:
        """Close our side; the socket follows when the client has closed too, or after client_limits.LINGER_SECONDS."""
        self._discarded = 0
        self._to(_LINGERING if self._half_close(self._shared.lingering) else _CLOSED)

    def _linger_on(self, size: int) -> None:
        self._discarded += size
        if self._discarded > client_limits.DISCARDED_BYTES:
            self.abort()  # a client that goes on sending like this does not read

    def _close(self) -> None:
        if self._deadline is self._shared.keep_alive:
            self._set_deadline(None)
        self._closed()
        self._close_transport()

    def _closed(self) -> None:
        if self._state is not _CLOSED:
            self._to(_CLOSED)

"""One accepted socket that speaks HTTP/1: it feeds the protocol, makes exchanges of what comes, and writes what they
answer.

Exchanges follow each other on a connection: the next request is read only once the one before is answered, so
pipelined answers leave in order. While one is open, the socket is still read, to see the client go; reading stops
only when the request's body has used up its credit, or when a later request has come in already.

How long a connection lasts, and how it ends, is in `http1_lifetime`; what the connections of a server share is in
`http1_services`.
"""

from typing import Any

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import BodyData, RequestHead
from snakepit.http.fields import Fields, render
from snakepit.http.types import AppFile, Headers
from snakepit.server.exchanges.exchange import Exchange, OnChange
from snakepit.server.exchanges.websocket import WebSocketExchange
from snakepit.server.lifecycle import ConnectionState
from snakepit.server.net import client_limits
from snakepit.server.net.http1_lifetime import PLAIN_TEXT, Http1Lifetime
from snakepit.server.net.http1_services import Http1Services
from snakepit.server.net.transport import name_of_client
from snakepit.server.net.websocket import WebSocketConnection

EVENT_STREAM = b"content-type: text/event-stream"
"""What the fields of an event stream have (HTML, "Server-sent events")."""

_IDLE, _SERVING, _DISCARDING = ConnectionState.IDLE, ConnectionState.SERVING, ConnectionState.DISCARDING  # for speed
_READING_HEAD, _LINGERING, _CLOSED = ConnectionState.READING_HEAD, ConnectionState.LINGERING, ConnectionState.CLOSED


class Connection(Http1Lifetime):
    """A connection that speaks HTTP/1: one exchange after the other, each from its own request to its own answer."""

    __slots__ = ("_access_log", "_home", "_requests")

    def __init__(self, shared: Http1Services) -> None:
        super().__init__(shared)
        self._access_log = shared.access_log
        self._requests = 0  # that were answered, where their number is limited
        self._home: Any = None  # the worker that had the last exchange

    def __repr__(self) -> str:
        return f"<Connection {self.peer} {self._exchange}>"

    def data_received(self, data: bytes) -> None:
        if self._state is _LINGERING or self._state is _CLOSED:  # to compare their order takes longer
            self._linger_on(len(data))
            return
        parser = self._protocol.parser
        try:
            event = self._protocol.receive_data(data)
            if isinstance(event, RequestHead):
                shared = self._shared
                if event.demands_tls:
                    self._check_tls()
                exchange = self._exchange = shared.new_exchange(self, event, self._home)
                self._state = _SERVING
                if self._deadline is not shared.keep_alive:  # which looks for itself whether it is idle
                    self._set_deadline(None)
                exchange.destination.submit(exchange)
            elif event is not None:
                self._take_body(event)
        except RemoteProtocolError as error:
            self._refuse(error)
            return
        if event is None or event.more or parser.holds_next:
            self._settle()
        if self._all.stopping:
            self._limit_rest_of_request(more_came=bool(data))

    # -- what an exchange needs of it (exchanges.exchange.Client) --------------------------------------------------

    def send_continue(self) -> None:
        self._transport.write(self._protocol.send_informational(100))
        self._measure_body_anew()
        if self._all.stopping:
            self._limit_rest_of_request()

    def send_response(self, status: int, fields: Fields, body: bytes, more: bool) -> None:
        exchange, shared = self._exchange, self._shared
        if exchange is None:
            return
        protocol = self._protocol
        close = (
            self._all.draining
            # it was never told to go on, so it may send its body or not: what comes next is unknown
            or exchange.waits_for_continue
            or (shared.options.ends_connections and self._is_last())
        )
        data = protocol.send_response(status, fields, body, more, close)
        if self._access_log is not None and exchange.is_logged:
            self._access_log.add(name_of_client(exchange.endpoints), exchange.head, status)
        if len(data) == 1:
            self._transport.write(data[0])
        else:
            self._transport.writelines(data)
        if not more:
            self._answered()
        elif EVENT_STREAM in fields[0].lower():
            self._streams_events = True
            if self._all.draining:
                shared.loop.call_soon(self._end_events)

    def send_body(self, data: bytes, more: bool) -> None:
        if framed := self._protocol.send_body(data, more):
            self._transport.write(framed)
        if not more:
            self._answered()

    def send_error(self, status: int, reason: str, headers: Headers) -> None:
        exchange = self._exchange
        if exchange is None or self._state >= _LINGERING:
            return
        if not self._protocol.begun:
            fields, body = render([PLAIN_TEXT, *headers]), f"{reason}\n".encode()
            exchange.error_sent(fields, body)
            self.send_response(status, fields, body, False)
        else:
            self._exchange = None
            self.abort()

    def hold_little(self) -> None:
        self._transport.set_write_buffer_limits(high=0)

    def send_file(self, exchange: Exchange, status: int, fields: Fields, file: AppFile) -> OnChange:
        return self._shared.app_files(exchange, status, fields, file)

    def body_wanted(self) -> None:
        self._resume_reading()

    def open_websocket(
        self, session: WebSocketExchange, subprotocol: str | None, fields: Fields
    ) -> WebSocketConnection:
        """Answer the handshake, and leave the transport to a WebSocket."""
        shared, self._exchange = self._shared, None
        deflate = shared.options.new_deflate()
        lines = fields[0] + shared.options.common_lines(fields)
        self._transport.write(session.handshake.response(subprotocol, deflate, lines))
        client = name_of_client(session.endpoints)
        if shared.access_log is not None:
            shared.access_log.add(client, session.head, 101)
        self._closed()
        self._set_deadline(None)
        self._all.discard(self)
        opened = WebSocketConnection(shared.websockets, client, session, shared.options.new_websocket(deflate))
        opened.begin(self, self._protocol.parser.rest())
        return opened

    def report_fault(self, exchange: Exchange, fault: str, cut_off: bool = False) -> None:
        self._shared.report_fault(exchange, fault, cut_off)

    # -- its own ---------------------------------------------------------------------------------------------------

    def _on_writable(self) -> None:
        if self._exchange is not None:
            self._exchange.return_credit()
        elif self._state is _IDLE and not self._reading:  # the client had to read its answers first
            self._resume_reading()
            if self._protocol.parser.in_head:
                self._begin_next()

    def _check_tls(self) -> None:
        """Refuse a target of https that came without TLS, unless from a trusted proxy (RFC 9110 section 7.4)."""
        if self._proxy_headers is None and self._direct[2] != "https":
            raise RemoteProtocolError("this connection is not secure, as the request's target demands", 421)

    def _take_body(self, event: BodyData) -> None:
        """Take some more of a request's body."""
        if self._state is _DISCARDING:
            self._discard(len(event.data), event.more)
        elif self._exchange is not None:
            self._body_bytes += len(event.data)
            self._exchange.add_body(event.data, event.more)

    def _is_last(self) -> bool:
        """Count an answer, and tell whether it is the last; not while the client has sent the next request already."""
        self._requests += 1
        options = self._shared.options
        if not options.never_idle and (options.requests is None or self._requests < options.requests):
            return False
        return not self._protocol.parser.holds_next

    def _settle(self) -> None:
        """Read on or not, and see to it that what has begun goes on, where not just a whole request came."""
        exchange, parser = self._exchange, self._protocol.parser
        if exchange is not None:
            if not exchange.receives_body or parser.holds_next:
                self._pause_reading()
            if not exchange.request_complete and self._deadline is not self._shared.bodies and not self._all.stopping:
                self._set_deadline(self._shared.bodies)
                self._body_bytes = len(exchange.head.body)
        elif self._state is _DISCARDING:
            if parser.holds_next:
                self._pause_reading()
        elif self._state < _SERVING and parser.in_head:
            if self._state is _IDLE:
                self._to(_READING_HEAD)
            self._set_deadline(self._shared.heads, keep=True)

    def _discard(self, size: int, more: bool) -> None:
        self._discarded += size
        if not more:
            self._await_next_request()
        elif self._discarded > client_limits.DISCARDED_BYTES:
            self._linger()

    def _answered(self) -> None:
        """Go on from a complete answer."""
        exchange, self._exchange = self._exchange, None
        self._streams_events = False
        if exchange is None or self._state is not _SERVING:  # it ends
            return
        self._home = exchange.home
        if exchange.request_complete:
            self._await_next_request()
        elif exchange.waits_for_continue or self._all.draining:
            self._linger()
        else:
            self._to(_DISCARDING)
            self._discarded = 0
            self._set_deadline(self._shared.heads)
            self._resume_reading()

    def _await_next_request(self) -> None:
        shared, protocol = self._shared, self._protocol
        if self._all.draining or not protocol.next_cycle():
            self._close()
            return
        self._state = _IDLE
        self._idle_since = shared.loop.time()
        if self._deadline is not shared.keep_alive:
            self._set_deadline(shared.keep_alive)
        if not self.writable:  # it does not read its answers: more of them would pile up here
            self._pause_reading()
            if protocol.parser.in_head:
                self._set_deadline(None)
            return
        if not self._reading:
            self._resume_reading()
        if protocol.parser.in_head:
            self._begin_next()

    def _begin_next(self) -> None:
        """Begin with a pipelined request, of which something has come."""
        shared = self._shared
        self._to(_READING_HEAD)
        self._set_deadline(shared.heads)
        # not from within the answer to the one before, or a long row of refused ones would end in a RecursionError
        shared.loop.call_soon(self._look_at_next)

    def _look_at_next(self) -> None:
        if self._state is _READING_HEAD:
            self.data_received(b"")


class HttpConnections(Http1Services):
    """The HTTP/1 connections of a server."""

    def new_connection(self) -> Connection:
        """Make what speaks to a client that has connected."""
        return Connection(self)

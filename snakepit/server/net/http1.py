"""One accepted socket: it feeds the protocol, makes exchanges of what comes, and writes what they answer.

Exchanges follow each other on a connection: the next request is read only once the one before is answered, so
pipelined answers leave in order. While one is open, the socket is still read, to see the client go; reading stops
only when the request's body has used up its credit, or when a later request has come in already.

A connection that is closed before the whole request was read is closed in two steps: our side first, then, when the
client has closed too or its time to linger is over, the socket (see `transport.TransportShell`). The states of a
connection, and the moves between them, are in `snakepit.server.lifecycle`.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import BodyData, RequestHead
from snakepit.http.fields import Fields, render
from snakepit.http.types import AppFile, Endpoints, Headers
from snakepit.server.event_loop.deadlines import Deadlines, IdleDeadlines
from snakepit.server.exchanges.exchange import Exchange, OnChange
from snakepit.server.exchanges.websocket import WebSocketExchange
from snakepit.server.lifecycle import CONNECTION, ConnectionState, advance
from snakepit.server.net import client_limits
from snakepit.server.net.services import ConnectionServices
from snakepit.server.net.transport import TransportShell, direct_endpoints, has_known_peer, name_of_client, set_no_delay
from snakepit.server.net.websocket import WebSocketConnection, WebSockets

if TYPE_CHECKING:
    from snakepit.config.options import Config
    from snakepit.server.net.proxy_headers import ProxyHeaders
    from snakepit.server.routing.router import Finder

_PLAIN_TEXT = (b"content-type", b"text/plain; charset=utf-8")

EVENT_STREAM = b"content-type: text/event-stream"
"""What the fields of an event stream have (HTML, "Server-sent events")."""

_IDLE, _SERVING, _DISCARDING = ConnectionState.IDLE, ConnectionState.SERVING, ConnectionState.DISCARDING  # for speed
_READING_HEAD, _LINGERING, _CLOSED = ConnectionState.READING_HEAD, ConnectionState.LINGERING, ConnectionState.CLOSED


class Connection(TransportShell):
    """A connection that speaks HTTP/1: one exchange after the other, each from its own request to its own answer."""

    __slots__ = (
        "_access_log",
        "_all",
        "_body_bytes",
        "_direct",
        "_discarded",
        "_exchange",
        "_home",
        "_idle_since",
        "_protocol",
        "_proxy_headers",
        "_read_of",
        "_read_there",
        "_requests",
        "_shared",
        "_state",
        "_streams_events",
    )

    def __init__(self, shared: "HttpConnections") -> None:
        super().__init__(shared.stalls)
        self._shared = shared
        self._access_log = shared.access_log
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
        self._requests = 0  # that were answered, where their number is limited
        self._streams_events = False  # the response that is under way is an event stream
        self._home: Any = None  # the worker that had the last exchange
        self._idle_since = 0.0  # loop time; what its keep-alive time counts from

    def __repr__(self) -> str:
        return f"<Connection {self.peer} {self._exchange}>"

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------

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

    # -- what an exchange needs of it (exchanges.exchange.Client) -------------------------------------------------

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
            fields, body = render([_PLAIN_TEXT, *headers]), f"{reason}\n".encode()
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

    # -- deadlines, and the end of the server -----------------------------------------------------------------------

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

    # -- its own -------------------------------------------------------------------------------------------------

    def _to(self, state: ConnectionState) -> None:
        self._state = advance(CONNECTION, self._state, state)

    def _on_writable(self) -> None:
        if self._exchange is not None:
            self._exchange.return_credit()
        elif self._state is _IDLE and not self._reading:  # the client had to read its answers first
            self._resume_reading()
            if self._protocol.parser.in_head:
                self._begin_next()

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

    def _measure_body_anew(self) -> None:
        """Measure the rate of a body from now on, if it is measured."""
        if self._deadline is self._shared.bodies:
            self._set_deadline(self._shared.bodies)
            self._body_bytes = 0

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
        fields = render([_PLAIN_TEXT, *headers])
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


class HttpConnections(ConnectionServices):
    """The HTTP/1 connections of a server, and what they share: services, deadlines, and what becomes of WebSockets."""

    def __init__(
        self,
        config: "Config",
        router: "Finder",
        loop: asyncio.AbstractEventLoop,
        open_files: tuple[int, int] | None = None,
        *,
        secure: bool = False,
        beside: "HttpConnections | None" = None,
    ) -> None:
        super().__init__(config, router, loop, open_files, secure=secure, beside=beside)
        self._others: list[HttpConnections] = []
        if beside is not None:
            beside._others.append(self)
        options = self.options
        self.keep_alive = IdleDeadlines(
            loop, options.keep_alive_seconds, lambda connection: connection.idle_since, Connection.idle_too_long
        )
        self.heads = Deadlines(loop, options.head_seconds, Connection.head_too_slow)
        self.lingering = Deadlines(loop, client_limits.LINGER_SECONDS, Connection.linger_over)
        self.stalled = Deadlines(loop, client_limits.STALLED_SECONDS, Connection.client_stalled)
        self.bodies = Deadlines(
            loop, client_limits.BODY_SECONDS if options.body_rate else None, Connection.look_at_body
        )
        self._deadlines: list[Deadlines[Connection]] = [
            self.keep_alive, self.heads, self.lingering, self.stalled, self.bodies
        ]  # fmt: skip
        self.admission.watch(lambda: self.keep_alive, lambda: self.heads)
        self.websockets = WebSockets(options, self.connections, loop, self.log, self.stalls, self.admission.left)

    def new_connection(self) -> Connection:
        """Make what speaks to a client that has connected."""
        return Connection(self)

    def drain(self, gently: bool = False) -> None:
        """Close connections that carry no exchange, and the others as soon as they have answered.

        `gently`: another process serves now; see `Connections.drain`.
        """
        if not gently:
            for each in (self, *self._others):
                each._hurry()
        self.connections.drain(gently)

    def close(self) -> None:
        """Cut every connection that is left."""
        for each in (self, *self._others):
            for deadlines in each._deadlines:
                deadlines.close()
            each.websockets.close()
        self.stalls.close()
        self.connections.abort()

    async def finish(self) -> None:
        """Finish what is done with requests that are over."""

    def _hurry(self) -> None:
        """Give clients less time, since the server stops."""
        last = Deadlines(self.loop, client_limits.LAST_LINGER_SECONDS, Connection.linger_over)
        self.heads, self.lingering = self.stalled, last
        self._deadlines.append(last)
        self.websockets.hurry()

"""One accepted socket: it feeds the protocol, makes exchanges of what comes, and writes what they answer.

Exchanges follow each other on a connection: the next request is read only once the one before is answered, so
pipelined answers leave in order. While one is open, the socket is still read, to see the client go; reading stops
only when the request's body has used up its credit, or when a later request has come in already.

A connection that is closed before the whole request was read is closed in two steps: our side first, then, when the
client has closed too or LINGER is over, the socket. Closing at once would reset it, and a reset can destroy the
answer before the client has read it.
"""

import asyncio
import itertools
import logging
import socket
from typing import TYPE_CHECKING, Any, cast

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import BodyData, Event, RequestEnd, RequestHead
from snakepit.http.fields import Fields, render
from snakepit.http.types import Address, Endpoints, Headers
from snakepit.http.ws.handshake import check_handshake, wants_websocket
from snakepit.server.event_loop.deadlines import Deadlines
from snakepit.server.exchanges.exchange import Destination, Exchange
from snakepit.server.exchanges.websocket import WebSocketExchange
from snakepit.server.net.access_log import access_log
from snakepit.server.net.connections import Connections
from snakepit.server.net.open_files import OpenFiles
from snakepit.server.net.options import HttpOptions
from snakepit.server.net.websocket import WebSocketConnection, WebSockets

if TYPE_CHECKING:
    from snakepit.config.options import Config
    from snakepit.server.net.proxy_headers import ProxyHeaders

_PLAIN_TEXT = (b"content-type", b"text/plain; charset=utf-8")

EVENT_STREAM = b"content-type: text/event-stream"
"""What the fields of an event stream have (HTML, "Server-sent events")."""

LAST_REQUEST = 0.1
"""Seconds that a connection which is accepted as the server stops gets to send its request."""

STALLED = 0.5
"""Seconds that a client gets, when the server stops, to go on with a request that it has begun to send."""

LINGER, LAST_LINGER = 2.0, 0.25
"""Seconds that a client gets to read an answer to a request it has not finished sending, before the socket closes
under it (RFC 9112 section 9.6); and when the server stops."""

DISCARD = 1024 * 1024
"""Bytes of a request's body that are read and thrown away after the app answered without reading it, so that the
connection can be used again. Past that a new connection is cheaper for both sides."""


class Connection(asyncio.Protocol):
    """A client's connection, which speaks HTTP/1; see the module."""

    def __init__(self, shared: "HttpConnections") -> None:
        self._shared = shared
        self._all = shared.connections
        self._protocol = shared.options.new_protocol()
        self._exchange: Exchange | None = None
        self._deadline: Deadlines[Connection] | None = None
        self._transport: asyncio.Transport
        self._direct: Endpoints = None, None, "http", None  # of the socket
        self._proxy_headers: ProxyHeaders | None = None  # what reads them, if the peer is trusted
        self._read_of: Headers | None = None  # where they were read last
        self._read_there: Endpoints = self._direct
        self._reading = True
        self._writable = True
        self._discarding = False  # answered, and what is left of the request's body is thrown away
        self._discarded = 0
        self._closing = False
        self._streams_events = False  # the response that is under way is an event stream
        self._home: Any = None  # the worker that had the last exchange

    def __repr__(self) -> str:
        return f"<Connection {self.peer} {self._exchange}>"

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sock = transport.get_extra_info("socket")
        on_unix = False
        if sock is not None:
            if sock.fileno() >= self._shared.open_files.last:
                self._shared.open_files.ran_out()
            on_unix = sock.family == getattr(socket, "AF_UNIX", None)
            if not on_unix:
                # asyncio does this only for sockets made with an explicit IPPROTO_TCP, which accepted ones are not
                # where their listening socket was not. Without it a keep-alive client waits 40 ms for each answer.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._all.draining:
            self._drain_new()
        client = _address(transport.get_extra_info("peername"))
        self._direct = client, _address(transport.get_extra_info("sockname")), "http", None
        if client is not None or on_unix:  # otherwise it is gone already, and could be anybody
            self._proxy_headers = self._shared.options.proxy_headers_of(client)
        self._all.add(self)
        self._all.accepted += 1
        self._expect(self._shared.heads)

    def data_received(self, data: bytes) -> None:
        if self._closing:
            self._linger_on(len(data))
            return
        self._protocol.receive_data(data)
        self._advance()
        if self._all.stopping:
            self._limit_rest_of_request(more_came=True)

    def eof_received(self) -> bool:
        # A client that has shut down its side is taken to have gone, as everywhere: it can't be told from one that
        # closed, and an app that streams to nobody should hear of it.
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._expect(None)
        self._all.discard(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.client_gone()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        if self._exchange is not None:
            self._exchange.pay()

    # -- what an exchange needs of it (exchanges.exchange.Client) -------------------------------------------------

    @property
    def writable(self) -> bool:
        return self._writable

    @property
    def peer(self) -> str:
        """The address at the other end of the socket, for the log."""
        return _name(self._direct)

    def endpoints(self, head: RequestHead) -> Endpoints:
        if self._proxy_headers is None:
            return self._direct
        if head.headers is not self._read_of:  # a header block that was seen before is the same list
            self._read_there = self._proxy_headers.endpoints(head.headers, self._direct)
            self._read_of = head.headers
        return self._read_there

    def send_continue(self) -> None:
        self._protocol.send_informational(100)
        self._flush()
        if self._all.stopping:
            self._limit_rest_of_request()

    def send_response(self, status: int, fields: Fields, body: bytes, more: bool) -> None:
        exchange, shared = self._exchange, self._shared
        if exchange is None:
            return
        # a client that was never told to go on may send its body or not: nobody can say what comes next
        close = self._all.draining or exchange.waits_for_continue
        close = close or (shared.options.never_idle and not self._protocol.holds_next)
        self._protocol.send_response(status, fields, body, more, close)
        if shared.access_log is not None:
            shared.access_log.add(_name(exchange.endpoints), exchange.head, status)
        self._flush()
        if not more:
            self._answered()
        elif EVENT_STREAM in fields[0].lower():
            self._streams_events = True
            if self._all.draining:
                shared.loop.call_soon(self._end_events)

    def send_body(self, data: bytes, more: bool) -> None:
        self._protocol.send_body(data, more)
        self._flush()
        if not more:
            self._answered()

    def send_error(self, status: int, reason: str, headers: Headers) -> None:
        exchange = self._exchange
        if exchange is None or self._closing:
            return
        if self._protocol.can_answer:
            self.send_response(status, render([_PLAIN_TEXT, *headers]), f"{reason}\n".encode(), False)
        else:
            self._exchange = None
            self.abort()

    def body_wanted(self) -> None:
        self._read()

    def open_websocket(
        self, session: WebSocketExchange, subprotocol: str | None, fields: Fields
    ) -> WebSocketConnection:
        """Answer the handshake, and leave the transport to a WebSocket."""
        shared, self._exchange = self._shared, None
        deflate = shared.options.new_deflate()
        lines = fields[0] + shared.options.common_lines(fields)
        self._transport.write(session.handshake.response(subprotocol, deflate, lines))
        if shared.access_log is not None:
            shared.access_log.add(_name(session.endpoints), session.head, 101)
        self._expect(None)
        self._all.discard(self)
        protocol = shared.options.new_websocket(deflate)
        opened = WebSocketConnection(
            shared.websockets, self._transport, _name(session.endpoints), self._writable, session, protocol
        )
        self._transport.set_protocol(opened)
        opened.take_over(self._protocol.rest(), self._reading)
        return opened

    def report_fault(self, exchange: Exchange, fault: str, cut_off: bool = False) -> None:
        self._shared.log.log(
            logging.DEBUG if cut_off else logging.ERROR,
            "%s from %s %s in %s\n%s",
            exchange.asked_for,
            _name(exchange.endpoints),
            "timed out" if exchange.timed_out else "failed",
            exchange.served_by,
            fault,
        )

    # -- deadlines, and the end of the server -----------------------------------------------------------------------

    def idle_too_long(self) -> None:
        """The keep-alive time is over."""
        self._close()

    def head_too_slow(self) -> None:
        """The time for a request's head is over."""
        if self._protocol.in_head:
            self._refuse(RemoteProtocolError("the request's head took too long", 408))
        else:
            self._close()

    def drain(self, gently: bool = False) -> None:
        """Close now if nothing is going on, unless `gently`; otherwise the next response says that it is the last."""
        if self._streams_events:
            self._end_events()
        if gently:
            return
        if self._closing:
            if self._deadline is not None:
                self._expect(self._shared.lingering)
        elif self._discarding:
            self._linger()
        elif self._exchange is not None:
            self._limit_rest_of_request()
        elif self._protocol.in_head:
            self._expect(self._shared.heads)
        else:
            self._close()

    def client_stalled(self) -> None:
        """The server stops, and the client has not gone on with the request that it has begun."""
        if self._exchange is not None:
            self._exchange.stalled()
        else:
            self._close()

    def linger_over(self) -> None:
        """The client has had its time to read the answer, counted from when it was wholly written."""
        if self._transport.get_write_buffer_size():
            self._expect(self._shared.lingering)
        else:
            self.abort()

    def abort(self) -> None:
        """Close the socket without waiting for what is still to be written."""
        self._transport.abort()

    # -- its own -------------------------------------------------------------------------------------------------

    def _drain_new(self) -> None:
        """It was accepted in the moment of stopping: its request is on its way, if there is to be one."""
        if self._all.stopping:
            self._shared.loop.call_later(LAST_REQUEST, self.drain)

    def _limit_rest_of_request(self, more_came: bool = False) -> None:
        """While the server stops: limit the client's time for the rest of a body, anew with each piece that comes."""
        exchange = self._exchange
        if exchange is None or self._closing:
            return
        its_turn = not exchange.request_complete and not exchange.waits_for_continue and self._reading
        self._expect(self._shared.stalled if its_turn else None, keep=not more_came)

    def _end_events(self) -> None:
        """End a response that is an event stream and goes on: its client connects again."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None and self._streams_events and not self._closing:
            exchange.client_gone(stopping=True)
            self._close()

    def _advance(self) -> None:
        if self._closing:
            return
        try:
            events = self._protocol.events_received()
        except RemoteProtocolError as error:
            self._refuse(error)
            return
        if events:
            self._handle(events)
        exchange = self._exchange
        if exchange is None and not self._discarding:
            if self._protocol.in_head:
                self._expect(self._shared.heads, keep=True)
        elif (exchange is not None and not exchange.receives_body) or self._protocol.holds_next:
            self._reading_off()

    def _handle(self, events: list[Event]) -> None:
        new: Exchange | None = None
        pieces: list[bytes] = []
        more = True
        for event in events:
            if isinstance(event, BodyData):
                pieces.append(event.data)
            elif isinstance(event, RequestHead):
                try:
                    new = self._exchange = self._shared.new_exchange(self, event)
                except RemoteProtocolError as error:
                    self._refuse(error, self.endpoints(event))
                    return
            elif isinstance(event, RequestEnd):
                more = False
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if new is not None:
            self._submit(new, body, more)
        elif self._discarding:
            self._discard(len(body), more)
        elif self._exchange is not None:
            self._exchange.add_body(body, more)

    def _submit(self, exchange: Exchange, body: bytes, more: bool) -> None:
        self._expect(None)
        exchange.home = self._home
        exchange.begin(body, more)
        self._shared.destination.submit(exchange)

    def _discard(self, size: int, more: bool) -> None:
        self._discarded += size
        if not more:
            self._next()
        elif self._discarded > DISCARD:
            self._linger()

    def _answered(self) -> None:
        exchange, self._exchange = self._exchange, None
        self._streams_events = False
        if exchange is not None:
            self._home = exchange.home
        if self._closing:
            return
        if exchange is None or exchange.request_complete:
            self._next()
        elif exchange.waits_for_continue or self._all.draining:
            self._linger()
        else:
            self._discarding = True
            self._discarded = 0
            self._expect(self._shared.heads)
            self._read()

    def _next(self) -> None:
        self._discarding = False
        if self._all.draining or not self._protocol.next_cycle():
            self._close()
            return
        self._expect(self._shared.keep_alive)
        self._read()
        if self._protocol.in_head:
            # a pipelined request: not from within the answer to the one before, or a long row of refused ones
            # would end in a RecursionError
            self._shared.loop.call_soon(self._advance)

    def _refuse(self, error: RemoteProtocolError, endpoints: Endpoints | None = None) -> None:
        """Answer a request that can't be served, and close; `endpoints`: its own, if its head could be read."""
        log = self._shared.log
        exchange, self._exchange = self._exchange, None
        if log.isEnabledFor(logging.INFO):
            of = exchange.endpoints if exchange is not None else endpoints or self._direct
            log.info("Bad request from %s: %s (%d)", _name(of), error.reason, error.status)
        if exchange is not None:
            exchange.client_gone()
        if self._discarding:  # it was answered well; what came behind that is no reason to destroy the answer
            self._linger()
            return
        if not self._protocol.can_answer:
            self.abort()
            return
        fields = render([_PLAIN_TEXT, *error.headers])
        self._protocol.send_response(error.status, fields, f"{error.reason}\n".encode(), False, True)
        self._flush()
        self._linger()

    def _linger(self) -> None:
        """Close our side; the socket follows when the client has closed too, or after LINGER."""
        self._closing = True
        self._discarded = 0
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
            self._expect(self._shared.lingering)
            self._read()
        else:
            self._transport.close()

    def _linger_on(self, size: int) -> None:
        self._discarded += size
        if self._discarded > DISCARD:
            self.abort()  # a client that goes on sending like this does not read

    def _close(self) -> None:
        self._closing = True
        self._transport.close()

    def _flush(self) -> None:
        data = self._protocol.data_to_send()
        if len(data) == 1:
            self._transport.write(data[0])
        elif data:
            self._transport.writelines(data)

    def _expect(self, deadline: "Deadlines[Connection] | None", keep: bool = False) -> None:
        """Be subject to another deadline; `keep` leaves the time running if it is that one already."""
        if self._deadline is not deadline:
            if self._deadline is not None:
                self._deadline.discard(self)
        elif keep:
            return
        self._deadline = deadline
        if deadline is not None:
            deadline.add(self)

    def _read(self) -> None:
        if not self._reading and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()
            if self._all.stopping:
                self._limit_rest_of_request()

    def _reading_off(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()


class HttpConnections:
    """The HTTP connections of a server, and what they share: options, deadlines, logs, and the way to the workers.

    Args:
        destination: who answers, or sees to it.
        open_files: as for `OpenFiles`.
    """

    def __init__(
        self,
        config: "Config",
        destination: Destination,
        loop: asyncio.AbstractEventLoop,
        open_files: tuple[int, int] | None = None,
    ) -> None:
        self.destination = destination
        self.loop = loop
        self.log = logging.getLogger("snakepit.server")
        self.access_log = access_log(config.access_log, loop)
        self.open_files = OpenFiles(self.log, loop, open_files)
        self.options = options = HttpOptions(config)
        self.connections = Connections()
        self.websockets = WebSockets(options, self.connections, loop, self.log)
        self.keep_alive = Deadlines(loop, options.keep_alive_seconds, Connection.idle_too_long)
        self.heads = Deadlines(loop, options.head_seconds, Connection.head_too_slow)
        self.lingering = Deadlines(loop, LINGER, Connection.linger_over)
        self.stalled = Deadlines(loop, STALLED, Connection.client_stalled)
        self._deadlines = [self.keep_alive, self.heads, self.lingering, self.stalled]
        self._numbers = itertools.count(1)

    def new_connection(self) -> Connection:
        """What speaks to a client that has connected."""
        return Connection(self)

    def new_exchange(self, connection: Connection, head: RequestHead) -> Exchange:
        """Make an exchange with a number of its own. Raises RemoteProtocolError for a bad WebSocket handshake."""
        self.connections.requests += 1
        destination = self.destination
        if head.upgrade and self.options.websockets and destination.interface == "asgi" and wants_websocket(head):
            handshake, queue = check_handshake(head), self.options.ws_max_queue
            return WebSocketExchange(next(self._numbers), connection, destination, head, handshake, queue)
        return Exchange(next(self._numbers), connection, destination, head)

    def drain(self, gently: bool = False) -> None:
        """Close connections that carry no exchange, and the others as soon as they have answered.

        `gently`: another process serves now; see `Connections.drain`.
        """
        if not gently:
            self.heads, self.lingering = self.stalled, Deadlines(self.loop, LAST_LINGER, Connection.linger_over)
            self._deadlines.append(self.lingering)
            self.websockets.hurry()
        self.connections.drain(gently)

    def close(self) -> None:
        """Cut every connection that is left."""
        for deadlines in self._deadlines:
            deadlines.close()
        self.websockets.close()
        self.connections.abort()


def _name(endpoints: Endpoints) -> str:
    """The client, for the log."""
    client = endpoints[0]
    return f"{client[0]}:{client[1]}" if client is not None else "local"


def _address(name: object) -> Address:
    """A socket's name as ASGI wants it: (host, port), or None for a Unix socket or one that is gone."""
    if isinstance(name, tuple) and len(name) >= 2:
        return str(name[0]), int(name[1])
    return None

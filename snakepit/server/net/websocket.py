"""A socket that has become a WebSocket: it reads frames, answers pings, sends pings of its own, and writes messages.

All that is done here, in the main interpreter, so a worker that computes for a minute keeps its sockets: pings are
answered, and what the client says waits within bounds.

A session ends in one of these ways. The client closes: the close frame is answered, and the socket closed. The app or
the server closes: a close frame goes out, and the socket is closed when the client's comes, or after CLOSING seconds.
The client breaks the protocol, or does not answer a ping in time: it is told, and the socket is closed without waiting
for its close frame. Before it is told of a breach, the app may answer what it had said until then.

What the client still sends meanwhile is read and dropped, as closing a socket with unread data resets it, and a reset
can destroy the close frame before the client has read it.
"""

import asyncio
import logging
from typing import TYPE_CHECKING

from snakepit.http.fields import Fields
from snakepit.http.types import Headers
from snakepit.http.ws.close_codes import ABNORMAL, INTERNAL_ERROR, SERVICE_RESTART
from snakepit.http.ws.frames import Closed, Message, WebSocketProtocol
from snakepit.server.event_loop.deadlines import Deadlines
from snakepit.server.exchanges.websocket import WebSocketExchange
from snakepit.server.net.connections import Connections
from snakepit.server.net.options import HttpOptions

if TYPE_CHECKING:
    from snakepit.server.exchanges.exchange import Exchange

CLOSING, LAST_CLOSING = 10.0, 2.0
"""Seconds that a client gets to answer a close frame; and when the server stops."""

ANSWERING = 2.0
"""Seconds that an app gets to answer what a client said before it broke the protocol."""


class WebSocketConnection(asyncio.Protocol):
    """See the module. It takes over the transport of the HTTP connection on which the handshake was made."""

    __slots__ = (
        "_breach",
        "_client_is_through",
        "_closing",
        "_protocol",
        "_reading",
        "_session",
        "_shared",
        "_transport",
        "peer",
        "writable",
    )

    def __init__(
        self,
        shared: "WebSockets",
        transport: asyncio.Transport,
        peer: str,
        writable: bool,
        session: WebSocketExchange,
        protocol: WebSocketProtocol,
    ) -> None:
        self._shared = shared
        self._transport = transport
        self._protocol = protocol
        self._session: WebSocketExchange | None = session  # until it is over, for this side
        self._reading = True
        self._breach: Closed | None = None  # of the protocol; the app answers what came before
        self._closing = False  # our side is shut down
        self._client_is_through = False  # it has sent its close frame
        self.peer = peer
        self.writable = writable
        shared.connections.add(self)
        shared.pings.add(self)

    def __repr__(self) -> str:
        return f"<WebSocketConnection {self.peer} {self._session}>"

    def take_over(self, data: bytes, reading: bool) -> None:
        """Begin, with what came behind the handshake; `reading`: whether the transport is being read."""
        self._reading = reading
        if self._shared.connections.draining:
            self._shared.loop.call_soon(self.drain)
        elif data:
            self._shared.loop.call_soon(self.data_received, data)
        self._read()

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._closing or self._breach is not None:
            return
        self._shared.pongs.discard(self)  # whatever comes, the client lives
        self._protocol.receive_data(data)
        self.advance()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        for deadlines in (self._shared.pings, self._shared.pongs, self._shared.breaches, self._shared.closings):
            deadlines.discard(self)
        self._shared.connections.discard(self)
        self._end_session(ABNORMAL, "")
        self._protocol.end()

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        if self._session is not None:
            self._session.pay()

    # -- what a session needs of it (snakepit.server.exchanges.websocket.Socket) ----------------------------------

    def send_message(self, data: str | bytes) -> None:
        self._protocol.send_message(data)
        self._flush()

    def close(self, code: int, reason: str) -> None:
        """Begin to close; nothing more crosses in either direction."""
        self._session = None
        if self._closing:
            return
        if self._breach is not None:
            self._say_breach(self._breach)
            return
        self._protocol.send_close(code, reason)
        self._flush()
        self._shared.pings.discard(self)
        self._shared.pongs.discard(self)
        self._shared.closings.add(self)
        if self._protocol.pending:
            self.advance()
        self._read()

    def body_wanted(self) -> None:
        if self._protocol.pending:
            self.advance()
        if self._session is None or self._session.receives_body:
            self._read()

    def send_continue(self) -> None:
        """Nothing: the handshake is over."""

    def send_response(self, status: int, fields: Fields, body: bytes, more: bool) -> None:
        """Nothing: the handshake is over."""

    def send_body(self, data: bytes, more: bool) -> None:
        """Nothing: the handshake is over."""

    def send_error(self, status: int, reason: str, headers: Headers) -> None:
        self.close(INTERNAL_ERROR, "")

    def report_fault(self, exchange: "Exchange", fault: str, cut_off: bool = False) -> None:
        target = exchange.head.target.decode("latin-1")
        self._shared.log.error("WebSocket %s from %s failed in %s\n%s", target, self.peer, exchange.served_by, fault)

    # -- deadlines, and the end of the server -----------------------------------------------------------------------

    def ping(self) -> None:
        """It is time to ask whether the client is there."""
        self._protocol.send_ping()
        self._flush()
        self._shared.pings.add(self)
        if self not in self._shared.pongs:  # otherwise one before it was not answered, and its time goes on
            self._shared.pongs.add(self)

    def pong_overdue(self) -> None:
        """Nothing came since the ping."""
        if not self._reading:  # nothing could come: the app does not take what came before
            self._shared.pongs.add(self)
            return
        self._protocol.send_close(INTERNAL_ERROR, "keepalive ping timeout")
        self._flush()
        self._end_session(ABNORMAL, "keepalive ping timeout")
        self._finish()

    def answers_overdue(self) -> None:
        """The app has had its time to answer what came before the breach."""
        if self._breach is not None:
            self._say_breach(self._breach)

    def close_overdue(self) -> None:
        """The client has not answered our close frame, or not closed its side."""
        self.abort()

    def drain(self, gently: bool = False) -> None:
        """The server stops. Where another process serves, clients come back to that one."""
        if self._session is not None:
            self._end_session(SERVICE_RESTART, "")
            self.close(SERVICE_RESTART, "")
        elif self._client_is_through:
            self._transport.close()

    def abort(self) -> None:
        """Close the socket without waiting for what is still to be written."""
        self._transport.abort()

    # -- its own -------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Handle what came."""
        session = self._session
        while True:
            for event in self._protocol.events_received():
                if isinstance(event, Message):
                    if session is not None:
                        session.receive_message(event.data)
                elif isinstance(event, Closed):
                    self._closed(event)
                    return
            if session is not None and not session.receives_body:
                self._reading_off()
                break
            if not self._protocol.pending:
                break
        self._flush()

    def _closed(self, event: Closed) -> None:
        """The client closed, or broke the protocol."""
        if event.failed:
            if self._session is not None and self._session.client_broke(event.code, event.reason):
                self._breach = event
                self._shared.pings.discard(self)
                self._shared.pongs.discard(self)
                self._shared.breaches.add(self)
                self._flush()
                self._read()  # to see the client go
            else:
                self._say_breach(event)
            return
        self._end_session(event.code, event.reason)
        self._protocol.send_close(event.code, "")  # the answer, unless ours was first
        self._flush()
        self._client_is_through = True
        self._finish()

    def _say_breach(self, breach: Closed) -> None:
        self._end_session(breach.code, breach.reason)
        self._protocol.send_close(breach.code, breach.reason)
        self._flush()
        self._finish()

    def _finish(self) -> None:
        """Nothing more is to be said: shut down our side, and read on until the client has closed its own.

        When the server stops, not for one that has sent its close frame: nothing comes after that, and many leave the
        socket open until the server has closed it.
        """
        self._closing = True
        for deadlines in (self._shared.pings, self._shared.pongs, self._shared.breaches):
            deadlines.discard(self)
        at_once = self._client_is_through and self._shared.connections.draining
        if self._transport.can_write_eof() and not self._transport.is_closing() and not at_once:
            self._transport.write_eof()
            self._shared.closings.add(self)
            self._read()
        else:
            self._transport.close()

    def _end_session(self, code: int, reason: str) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.client_closed(code, reason)

    def _flush(self) -> None:
        data = self._protocol.data_to_send()
        if len(data) == 1:
            self._transport.write(data[0])
        elif data:
            self._transport.writelines(data)

    def _read(self) -> None:
        if not self._reading and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()
            if self in self._shared.pongs:  # the answer may wait among what was not read
                self._shared.pongs.add(self)

    def _reading_off(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()


class WebSockets:
    """What the WebSocket connections of a server share: the deadlines, and a place in the set of all connections."""

    def __init__(
        self,
        options: HttpOptions,
        connections: Connections,
        loop: asyncio.AbstractEventLoop,
        log: logging.Logger,
    ) -> None:
        self.connections = connections
        self.loop = loop
        self.log = log
        self.pings = Deadlines(loop, options.ping_seconds, WebSocketConnection.ping)
        self.pongs = Deadlines(loop, options.pong_seconds, WebSocketConnection.pong_overdue)
        self.breaches = Deadlines(loop, ANSWERING, WebSocketConnection.answers_overdue)
        self.closings = Deadlines(loop, CLOSING, WebSocketConnection.close_overdue)

    def hurry(self) -> None:
        """Give clients less time to answer a close frame, since the server stops."""
        last = Deadlines(self.loop, LAST_CLOSING, WebSocketConnection.close_overdue)
        self.closings.move_to(last)
        self.closings.close()
        self.closings = last

    def close(self) -> None:
        """Cancel every deadline."""
        for deadlines in (self.pings, self.pongs, self.breaches, self.closings):
            deadlines.close()

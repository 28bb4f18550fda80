"""Connections that speak WebSocket: read frames, answer pings, send pings, and write messages.

All this happens in the main interpreter, so a worker that computes for a minute keeps its sockets: pings are answered,
and messages of the client wait within bounds.

A session ends in one of these ways. The client closes: the close frame is answered, and the socket closed. The app or
the server closes: a close frame goes out, and the socket is closed when the client's comes, or after CLOSING seconds.
The client breaks the protocol, or does not answer a ping in time: it gets a close frame, and the socket is closed
without waiting for the client's. After a breach, the app may first answer the earlier messages.

Data that the client still sends meanwhile is read and dropped (see `transport.TransportShell`). The states are in
`snakepit.server.lifecycle`.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from snakepit.http.ws.close_codes import ABNORMAL, INTERNAL_ERROR, SERVICE_RESTART
from snakepit.http.ws.frames import Closed, Message, WebSocketProtocol
from snakepit.server.event_loop.deadlines import Deadlines
from snakepit.server.exchanges.websocket import WebSocketExchange
from snakepit.server.lifecycle import WEBSOCKET, WebSocketState, advance
from snakepit.server.net.connections import Connections
from snakepit.server.net.options import HttpOptions
from snakepit.server.net.transport import TransportShell
from snakepit.server.net.write_stalls import WriteStalls

if TYPE_CHECKING:
    from snakepit.server.exchanges.exchange import Exchange

CLOSING, LAST_CLOSING = 10.0, 2.0
"""Seconds for a client to answer a close frame: usually, and when the server stops."""

ANSWERING = 2.0
"""Seconds for an app to answer the messages that a client sent before it broke the protocol."""


class WebSocketConnection(TransportShell):
    """A connection that speaks WebSocket: one session, on the transport of the HTTP connection that it began on."""

    __slots__ = ("_breach", "_client_is_through", "_peer", "_protocol", "_session", "_shared", "_state")

    def __init__(
        self, shared: "WebSockets", peer: str, session: WebSocketExchange, protocol: WebSocketProtocol
    ) -> None:
        super().__init__(shared.stalls)
        self._shared = shared
        self._protocol = protocol
        self._session: WebSocketExchange | None = session  # until it is over, for this side
        self._state = WebSocketState.OPEN
        self._breach: Closed | None = None  # of the protocol; the app answers what came before
        self._client_is_through = False  # it has sent its close frame
        self._peer = peer

    def __repr__(self) -> str:
        return f"<WebSocketConnection {self.peer} {self._session}>"

    @property
    def peer(self) -> str:
        """The client's name for the log."""
        return self._peer

    def begin(self, http: TransportShell, data: bytes) -> None:
        """Take the transport of the HTTP connection, and handle the data that came after the handshake."""
        self._take_over(http)
        self._shared.connections.add(self)
        self._set_deadline(self._shared.pings)
        if self._shared.connections.draining:
            self._shared.loop.call_soon(self.drain)
        elif data:
            self._shared.loop.call_soon(self.data_received, data)
        self._resume_reading()

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._state >= WebSocketState.BREACHED:
            return
        self._shared.pongs.discard(self)  # any data show that the client is alive
        self._protocol.receive_data(data)
        self._handle_received()

    def eof_received(self) -> bool:
        if self.unsent:
            self._stalls.add(self)  # asyncio closes the transport now, and waits for what is left
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._state is not WebSocketState.CLOSED:
            self._to(WebSocketState.CLOSED)
        self._shared.pongs.discard(self)
        self._set_deadline(None)
        self._stalls.discard(self)
        self._shared.connections.discard(self)
        self._shared.left(self._transport)
        self._end_session(ABNORMAL, "")
        self._protocol.end()

    # -- what a session needs of it (snakepit.server.exchanges.websocket.Socket) ----------------------------------

    def send_message(self, data: str | bytes) -> None:
        self._protocol.send_message(data)
        self._write(self._protocol.data_to_send())

    def close(self, code: int, reason: str) -> None:
        """Begin to close; no more messages cross in either direction."""
        self._session = None
        if self._state >= WebSocketState.LINGERING:
            return
        if self._breach is not None:
            self._tell_breach(self._breach)
            return
        self._protocol.send_close(code, reason)
        self._to(WebSocketState.CLOSING)
        self._write(self._protocol.data_to_send())
        self._shared.pongs.discard(self)
        self._set_deadline(self._shared.closings)
        if self._protocol.pending:
            self._handle_received()
        self._resume_reading()

    def body_wanted(self) -> None:
        if self._protocol.pending:
            self._handle_received()
        if self._session is None or self._session.receives_body:
            self._resume_reading()

    def report_fault(self, exchange: "Exchange", fault: str, cut_off: bool = False) -> None:
        target = exchange.head.target.decode("latin-1")
        self._shared.log.error("WebSocket %s from %s failed in %s\n%s", target, self.peer, exchange.served_by, fault)
        if self._shared.connections.on_fault is not None:
            self._shared.connections.on_fault(exchange, fault)

    # -- deadlines, and the end of the server -----------------------------------------------------------------------

    @property
    def phase(self) -> str:
        return "websocket" if self._state is WebSocketState.OPEN else "lingering"

    def ping(self) -> None:
        """Ping the client, and again after the same time."""
        self._protocol.send_ping()
        self._write(self._protocol.data_to_send())
        self._set_deadline(self._shared.pings)
        if self not in self._shared.pongs:  # otherwise an earlier one was not answered, and its time goes on
            self._shared.pongs.add(self)

    def pong_overdue(self) -> None:
        """Close, since nothing came since the ping."""
        if not self._reading:  # nothing could come: the app does not take the earlier messages
            self._shared.pongs.add(self)
            return
        self._protocol.send_close(INTERNAL_ERROR, "keepalive ping timeout")
        self._end_session(ABNORMAL, "keepalive ping timeout")
        self._finish()

    def answers_overdue(self) -> None:
        """Close, since the app's time to answer the messages before the breach is over."""
        if self._breach is not None:
            self._tell_breach(self._breach)

    def close_overdue(self) -> None:
        """Cut the connection, since the client has not answered the close frame, or not closed its side."""
        self.abort()

    def drain(self, gently: bool = False) -> None:
        """Close, since the server stops. If another process serves, clients reconnect to that one."""
        if self._session is not None:
            self._end_session(SERVICE_RESTART, "")
            self.close(SERVICE_RESTART, "")
        elif self._client_is_through:
            self._close_transport()
        elif self._deadline is not None:  # it closes already, and has less time for that now
            self._set_deadline(self._shared.closings, keep=True)

    # -- its own -------------------------------------------------------------------------------------------------

    def _to(self, state: WebSocketState) -> None:
        self._state = advance(WEBSOCKET, self._state, state)

    def _on_writable(self) -> None:
        if self._session is not None:
            self._session.return_credit()

    def _on_reading_resumed(self) -> None:
        if self in self._shared.pongs:  # the answer may be in data that was not read yet
            self._shared.pongs.add(self)

    def _handle_received(self) -> None:
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
                self._pause_reading()
                break
            if not self._protocol.pending:
                break
        self._write(self._protocol.data_to_send())

    def _closed(self, event: Closed) -> None:
        """Called when the client has closed, or broke the protocol."""
        if event.failed:
            if self._session is not None and self._session.client_broke(event.code, event.reason):
                self._breach = event
                self._to(WebSocketState.BREACHED)
                self._shared.pongs.discard(self)
                self._set_deadline(self._shared.breaches)
                self._write(self._protocol.data_to_send())
                self._resume_reading()  # to notice when the client leaves
            else:
                self._tell_breach(event)
            return
        self._end_session(event.code, event.reason)
        self._protocol.send_close(event.code, "")  # the answer, unless ours was first
        self._client_is_through = True
        self._finish()

    def _tell_breach(self, breach: Closed) -> None:
        self._end_session(breach.code, breach.reason)
        self._protocol.send_close(breach.code, breach.reason)
        self._finish()

    def _finish(self) -> None:
        """Write the remaining frames, and close this side.

        When the server stops, close both sides of a client that has sent its close frame: nothing comes after that, and
        many clients leave the socket open until the server has closed it.
        """
        self._write(self._protocol.data_to_send())
        self._shared.pongs.discard(self)
        self._set_deadline(None)
        if self._client_is_through and self._shared.connections.draining:
            self._close_transport()
            lingers = False
        else:
            lingers = self._half_close(self._shared.closings)
        self._to(WebSocketState.LINGERING if lingers else WebSocketState.CLOSED)

    def _end_session(self, code: int, reason: str) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.client_closed(code, reason)


class WebSockets:
    """The services of WebSocket connections: deadlines, and the set of all connections.

    Args:
        left: called with the transport of a connection that is no more.
    """

    def __init__(
        self,
        options: HttpOptions,
        connections: Connections,
        loop: asyncio.AbstractEventLoop,
        log: logging.Logger,
        stalls: WriteStalls,
        left: Callable[[asyncio.BaseTransport], object],
    ) -> None:
        self.stalls = stalls
        self.left = left
        self.connections = connections
        self.loop = loop
        self.log = log
        self.pings = Deadlines(loop, options.ping_seconds, WebSocketConnection.ping)
        self.pongs = Deadlines(loop, options.pong_seconds, WebSocketConnection.pong_overdue)
        self.breaches = Deadlines(loop, ANSWERING, WebSocketConnection.answers_overdue)
        self.closings = Deadlines(loop, CLOSING, WebSocketConnection.close_overdue)
        self._deadlines = [self.pings, self.pongs, self.breaches, self.closings]

    def hurry(self) -> None:
        """Give clients less time to answer a close frame, since the server stops; they are drained next."""
        self.closings = Deadlines(self.loop, LAST_CLOSING, WebSocketConnection.close_overdue)
        self._deadlines.append(self.closings)

    def close(self) -> None:
        """Cancel every deadline."""
        for deadlines in self._deadlines:
            deadlines.close()

"""One WebSocket session, from the main interpreter's side: an exchange that the app may accept, and that then goes on.

Until the app accepts it is an HTTP exchange like any other: it waits, comes back from workers that die, is refused, or
gets the app's own denial. Once accepted (RESPONDING), messages cross both ways against credit: the client's socket is
not read while the app has not received what came, and the app's `send` waits while the client does not read.
"""

from typing import TYPE_CHECKING, Any, Protocol

from snakepit.http.fields import Fields
from snakepit.http.ws.close_codes import INTERNAL_ERROR, NORMAL
from snakepit.server.exchanges.exchange import Client, Destination, Exchange, HttpClient
from snakepit.server.lifecycle import ExchangeState
from snakepit.wire import envelopes
from snakepit.wire.envelopes import LARGE, WINDOW, Envelope

if TYPE_CHECKING:
    from snakepit.http.events import RequestHead
    from snakepit.http.ws.handshake import Handshake

MESSAGE, _OPEN = envelopes.MESSAGE, ExchangeState.RESPONDING  # looked up once: they are needed for each message

SWITCHED = 101
"""The status of a session on a WebSocket (RFC 9110 section 15.2.2): it is as long as its client likes."""


class WebSocketClient(Client, Protocol):
    """The client of a session that the app has accepted."""

    def send_message(self, data: str | bytes) -> None:
        """Write a whole message."""

    def close(self, code: int, reason: str) -> None:
        """Write a close frame; the client's, or a deadline, ends the connection."""


class HandshakeClient(HttpClient, Protocol):
    """The client of a session that has not been accepted yet."""

    def open_websocket(self, session: "WebSocketExchange", subprotocol: str | None, fields: Fields) -> WebSocketClient:
        """Write the 101 response; from now on the connection speaks WebSocket."""


class WebSocketExchange(Exchange):
    """One WebSocket session, which begins as a request.

    Args:
        waiting: how many messages may wait for the app.
    """

    def __init__(
        self,
        number: int,
        client: HandshakeClient,
        destination: Destination,
        head: "RequestHead",
        handshake: "Handshake",
        waiting: int,
        home: Any = None,
    ) -> None:
        super().__init__(number, client, destination, head, home)
        client_address, server, scheme, root_path, tls = self.endpoints
        self.endpoints = client_address, server, scheme.replace("http", "ws"), root_path, tls
        self.handshake = handshake
        self._begun_on = client
        self._socket: WebSocketClient | None = None
        self._least_cost = WINDOW // waiting

    def __repr__(self) -> str:
        return f"<WebSocketExchange {self.number} {self.head.target!r} {self.state.name}>"

    # -- from the connection -------------------------------------------------------------------------------------

    def receive_message(self, data: str | bytes) -> None:
        """Pass on a message from the client."""
        if self._worker is not None and self.state is _OPEN:
            size = len(data)
            self._upstream -= size if size > self._least_cost else self._least_cost
            self._worker.post(envelopes.message(self.number, data), size > LARGE)

    def client_closed(self, code: int, reason: str) -> None:
        """Tell the app that the client closed, or was cut off."""
        if self._worker is not None and not self.answered:
            self._worker.post(envelopes.close(self.number, code, reason))
            self._to(ExchangeState.ABANDONED)

    def client_broke(self, code: int, reason: str) -> bool:
        """Tell the app that the client broke the protocol; return whether it may answer what came before."""
        if self._worker is None or self.state is not ExchangeState.RESPONDING:
            return False
        self._worker.post(envelopes.breach(self.number, code, reason))
        return True

    # -- from the worker -----------------------------------------------------------------------------------------

    def handle(self, envelope: Envelope) -> None:
        """Do what an envelope says that is about WebSocket sessions only."""
        kind = envelope[0]
        if kind == MESSAGE:
            if self._socket is not None and self.state is _OPEN:
                self._socket.send_message(envelope[2])
                self._sent(envelope[2], True)
        elif kind == envelopes.ACCEPT:
            if self.state is ExchangeState.ASSIGNED:
                self._to(ExchangeState.RESPONDING)
                self.status = SWITCHED
                self._client = self._socket = self._begun_on.open_websocket(self, envelope[2], envelope[3])
                self._switched()
                del self._begun_on, self._http  # with its parser: some KiB for each socket
        elif kind == envelopes.CLOSE and self._socket is not None and self.state is ExchangeState.RESPONDING:
            self._to(ExchangeState.ANSWERED)
            self._socket.close(envelope[2], envelope[3])

    def respond_body(self, data: bytes, more: bool) -> None:
        """Send on some of the app's own denial. An accepted session has no response whose body this could be."""
        if self._socket is None:
            super().respond_body(data, more)

    def done(self, fault: str | None, cut_off: bool = False) -> None:
        """Hear that the app is through. A session that is still open is closed."""
        socket = self._socket
        if socket is None or self.state is not ExchangeState.RESPONDING:
            super().done(fault, cut_off)
            return
        self._close_socket(socket, INTERNAL_ERROR if fault is not None else NORMAL)
        if fault is not None:
            socket.report_fault(self, fault)

    def lost(self, status: int = 500) -> None:
        """Hear that the worker died over it, or hangs."""
        if self._socket is not None and self.state is ExchangeState.RESPONDING:
            self._close_socket(self._socket, INTERNAL_ERROR)
        else:
            super().lost(status)

    def _switched(self) -> None:
        """For those that watch: the app has accepted."""

    def _close_socket(self, socket: WebSocketClient, code: int) -> None:
        self._worker = None
        self._to(ExchangeState.CLOSED)
        socket.close(code, "")

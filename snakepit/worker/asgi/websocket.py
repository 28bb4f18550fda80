"""One WebSocket session of an ASGI app (ASGI specification, "WebSocket" 2.5).

The main interpreter has checked the handshake, and speaks the protocol; here are the app's `receive` and `send`. Until
the app accepts, the exchange is one of HTTP: it can be denied with any response (the extension
`websocket.http.response`), or with 403 by `websocket.close`.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from snakepit.errors import ClientDisconnected, LocalProtocolError
from snakepit.http.fields import NONE, render
from snakepit.http.ws.close_codes import ABNORMAL, NORMAL, SERVICE_RESTART
from snakepit.wire import envelopes
from snakepit.wire.envelopes import LARGE, WINDOW, Envelope, cost
from snakepit.worker.asgi.exchange import COMPLETE, START, AsgiExchange
from snakepit.worker.asgi.heads import as_pairs

if TYPE_CHECKING:
    from snakepit.worker.asgi.host import ExchangeHost
    from snakepit.worker.asgi.lifespan import Message
    from snakepit.worker.error_page.answers import ErrorPages

_ASGI = {"version": "3.0", "spec_version": "2.5"}

_SERVERS_OWN = {
    b"upgrade",
    b"connection",
    b"sec-websocket-accept",
    b"sec-websocket-extensions",
    b"sec-websocket-protocol",
}
_DENIAL = "websocket."  # what the extension's messages have in front of those of HTTP


class AsgiWebSocket(AsgiExchange):
    """One WebSocket session, and the app's `receive` and `send` for it."""

    def __init__(self, worker: "ExchangeHost[AsgiExchange]", envelope: Envelope) -> None:
        super().__init__(worker, envelope)
        self._connected = False  # the app has received websocket.connect
        self._accepted = False
        self._close: tuple[int, str] | None = None  # once the session is over, for every reason
        self._answering = False  # the client broke the protocol; what it said before may still be answered
        self._messages: deque[str | bytes] = deque()
        self._least_cost = WINDOW // worker.ws_max_queue
        offered = (value for name, value in self.scope["headers"] if name == b"sec-websocket-protocol")
        subprotocols = [name.strip() for value in offered for name in value.decode("latin-1").split(",")]
        extensions: dict[str, Any] = {"websocket.http.response": {}}
        if "tls" in self.scope.get("extensions", ()):
            extensions["tls"] = self.scope["extensions"]["tls"]
        del self.scope["method"]
        self.scope.update(
            {
                "type": "websocket",
                "asgi": _ASGI.copy(),
                "subprotocols": [name for name in subprotocols if name],
                "extensions": extensions,
            }
        )

    async def receive(self) -> "Message":
        """ASGI's `receive`: websocket.connect, then messages, then websocket.disconnect."""
        if not self._connected:
            self._connected = True
            return {"type": "websocket.connect"}
        while not self._messages:
            if self._close is not None:
                code, reason = self._close
                if self._answering:
                    self._answering, self._disconnected = False, True
                    self._worker.end.post(envelopes.close(self.number, code, reason))
                return {"type": "websocket.disconnect", "code": code, "reason": reason}
            await self._wait()
        data = self._messages.popleft()
        self._owed += max(len(data), self._least_cost)
        if self._owed >= WINDOW // 2 and self._close is None:
            self._worker.end.post(envelopes.credit(self.number, self._owed))
            self._owed = 0
        return {"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data}

    async def send(self, message: "Message") -> None:
        """ASGI's `send`. Raises LocalProtocolError for what makes no sense.

        Once the client has left, a message raises ClientDisconnected, or whoever never receives would go on for ever;
        everything else does nothing, for it is how an app tidies up.
        """
        kind = message["type"]
        if self._disconnected:
            if kind == "websocket.send":
                raise ClientDisconnected("the client has closed the connection")
            return
        is_open = self._accepted and (self._close is None or self._answering)
        if is_open and kind == "websocket.send":
            await self._send_message(message)
            return
        undecided = self._expected == START and not self._accepted and self._close is None
        if kind == "websocket.close" and (is_open or undecided):
            await self._send_close(message)
        elif kind == "websocket.accept" and undecided:
            self._accept(message)
        elif kind.startswith("websocket.http.response.") and not self._accepted:
            await super().send({**message, "type": kind.removeprefix(_DENIAL)})
            if self._expected is COMPLETE:
                self._over(ABNORMAL, "")
        else:
            raise LocalProtocolError(f"{kind!r} is not a message that can be sent {self._phase()}")

    def add_message(self, data: str | bytes) -> None:
        """Add a message, which came."""
        if self._close is None:
            self._messages.append(data)
            self._wake()

    def client_closed(self, code: int, reason: str) -> None:
        """Note that the client, or the server, has closed."""
        self._disconnected = True
        self._over(code, reason)
        self._wake()

    def client_broke(self, code: int, reason: str) -> None:
        """Note that the client broke the protocol: nothing more comes, but what came before may be answered."""
        if self._close is None:
            self._answering = True
            self._over(code, reason)

    def disconnect(self, stopping: bool = False) -> None:
        """Note that the client has gone before the app has accepted."""
        self.client_closed(ABNORMAL, "")

    def _accept(self, message: "Message") -> None:
        subprotocol = message.get("subprotocol")
        if subprotocol is not None and subprotocol not in self.scope["subprotocols"]:
            raise LocalProtocolError(f"the client did not offer the subprotocol {subprotocol!r}")
        fields = NONE
        if headers := message.get("headers"):
            pairs = as_pairs(headers)
            for name, _ in pairs:
                if name.lower() in _SERVERS_OWN:
                    raise LocalProtocolError(f"the header {name!r} of a handshake is the server's to send")
            fields = render(pairs)
        self._accepted = True
        self._worker.end.post(envelopes.accept(self.number, subprotocol, fields))

    async def _send_message(self, message: "Message") -> None:
        data = _data(message)
        while self._credit <= 0:
            await self._wait()
            if self._disconnected:
                raise ClientDisconnected("the client has closed the connection")
            if self._close is not None and not self._answering:
                raise LocalProtocolError("the app closed the WebSocket while it was sending")
        self._credit -= cost(data)
        self._worker.end.post(envelopes.message(self.number, data), len(data) > LARGE)

    async def _send_close(self, message: "Message") -> None:
        if not self._accepted:
            self._complete((403, NONE, None), b"")
            self._over(ABNORMAL, "")
            return
        code, reason = message.get("code"), message.get("reason") or ""
        if code is None:
            code = NORMAL
        if not isinstance(code, int) or not (code in _CLOSE_CODES or 3000 <= code < 5000):
            raise LocalProtocolError(f"{code!r} is not a code that a WebSocket can be closed with")
        if len(_encoded(reason)) > 123:
            raise LocalProtocolError("a WebSocket's close reason must have at most 123 bytes of UTF-8")
        self._answering = False
        self._over(code, reason)
        self._worker.end.post(envelopes.close(self.number, code, reason))

    def _over(self, code: int, reason: str) -> None:
        if self._close is None:
            self._close = code, reason
            self._wake()

    def _unfinished(self) -> str | None:
        if self._expected is COMPLETE or self._accepted or self._disconnected:
            return None
        return "the app returned without accepting or closing the WebSocket"

    def _show(self, error: BaseException, pages: "ErrorPages") -> None:
        """Show nothing: browsers show nothing of the answer to a handshake."""

    def _post_done(self, trouble: str | None) -> None:
        if self._accepted and self._close is None and self._worker.stopping and trouble is None:
            self._worker.end.post(envelopes.close(self.number, SERVICE_RESTART, ""))
        super()._post_done(trouble)

    def _phase(self) -> str:
        if self._close is not None:
            return "after the WebSocket was closed"
        if self._accepted:
            return "after 'websocket.accept'"
        return "before 'websocket.accept'" if self._expected == START else "within a denial"

    TOLD_OF: ClassVar[dict[int, Callable[..., None]]] = {
        **AsgiExchange.TOLD_OF,
        envelopes.DISCONNECT: disconnect,
        envelopes.MESSAGE: add_message,
        envelopes.CLOSE: client_closed,
        envelopes.BREACH: client_broke,
    }


_CLOSE_CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


def _data(message: "Message") -> str | bytes:
    """Return a message's data, as what can be sent."""
    data: Any = message.get("bytes")
    if data is None:
        text = message.get("text")
        if type(text) is str and (text.isascii() or _encoded(text)):
            return text
        if isinstance(text, str):
            return str(_encoded(text), "utf-8")
    elif isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise LocalProtocolError("'websocket.send' needs 'text' of type str or 'bytes'")


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise LocalProtocolError(f"text that can't be sent: {error}") from None

"""Connections that add to requests and responses what the server knows of them: IDs, traces, and how long they took.

These are kinds of their own, which are made where an option asks for it, so that they cost nothing elsewhere.
"""

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

from snakepit.http.fields import Fields
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.exchanges.watched import WatchedExchange
from snakepit.server.net.http1 import Connection, HttpConnections
from snakepit.server.net.request_ids import identify
from snakepit.server.net.tracing import Tracing

if TYPE_CHECKING:
    from snakepit.config.options import Config
    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.websocket import HandshakeClient, WebSocketExchange
    from snakepit.server.net.websocket import WebSocketConnection
    from snakepit.server.routing.router import Finder


class AnnotatedConnection(Connection):
    """A connection that adds fields to responses."""

    __slots__ = ("_annotate",)

    def __init__(self, shared: "AnnotatedConnections") -> None:
        super().__init__(shared)
        self._annotate = shared.annotate

    def send_response(self, status: int, fields: Fields, body: bytes, more: bool) -> None:
        exchange = self._exchange
        if exchange is not None:
            fields = self._annotate(fields, exchange)
        super().send_response(status, fields, body, more)

    def open_websocket(
        self, session: "WebSocketExchange", subprotocol: str | None, fields: Fields
    ) -> "WebSocketConnection":
        return super().open_websocket(session, subprotocol, self._annotate(fields, session))

    def report_fault(self, exchange: Exchange, fault: str, cut_off: bool = False) -> None:
        if exchange.request_id:
            fault = f"Request ID: {exchange.request_id.decode('ascii')}\n{fault}"
        super().report_fault(exchange, fault, cut_off)


class AnnotatedConnections(HttpConnections):
    """The HTTP/1 connections of a server that adds fields to responses."""

    def __init__(
        self,
        config: "Config",
        router: "Finder",
        loop: asyncio.AbstractEventLoop,
        open_files: tuple[int, int] | None = None,
        *,
        secure: bool = False,
    ) -> None:
        super().__init__(config, router, loop, open_files, secure=secure)
        self.identifies, self._tells_times = config.request_id, config.server_timing
        self.tracing = Tracing(", ".join(app.name for app in config.routed)) if config.otel else None
        if self._tells_times or self.tracing is not None:
            self.watch_exchanges(*filter(None, [self.tracing]))  # or none, so that only their times are known

    def new_connection(self) -> Connection:
        return AnnotatedConnection(self)

    def new_exchange(self, client: "HandshakeClient", head: "RequestHead", home: Any) -> Exchange:
        request_id = identify(head, client.is_trusted) if self.identifies else b""
        span = self.tracing.begin(head) if self.tracing is not None else None
        exchange = super().new_exchange(client, head, home)
        exchange.request_id = request_id
        if span is not None and isinstance(exchange, WatchedExchange):
            exchange.span = span
        return exchange

    async def finish(self) -> None:
        if self.tracing is not None:
            await self.tracing.close()

    def annotate(self, fields: Fields, exchange: Exchange) -> Fields:
        """Return the fields of a response with those that are to be added."""
        if self.identifies:
            fields = _with_id(fields, exchange)
        return _with_times(fields, exchange) if self._tells_times else fields


def _with_id(fields: Fields, exchange: Exchange) -> Fields:
    """Return the fields of a response with the ID of its request, unless the app has set that field."""
    lines, flags, length = fields
    if b"x-request-id:" in lines.lower():
        return fields
    return b"%sx-request-id: %s\r\n" % (lines, exchange.request_id), flags, length


def _with_times(fields: Fields, exchange: Exchange) -> Fields:
    """Return the fields of a response with how long it waited and was worked at (W3C Server Timing)."""
    assigned_at = exchange.assigned_at if isinstance(exchange, WatchedExchange) else None
    if assigned_at is None:  # no worker had it
        return fields
    lines, flags, length = fields
    queued, worked = (assigned_at - exchange.began) * 1000, (monotonic() - assigned_at) * 1000
    return b"%sserver-timing: queue;dur=%.3f, app;dur=%.3f\r\n" % (lines, queued, worked), flags, length


def connections_for(config: "Config") -> type[HttpConnections]:
    """Return the kind of HTTP/1 connections that a server's options need."""
    return AnnotatedConnections if config.request_id or config.server_timing or config.otel else HttpConnections

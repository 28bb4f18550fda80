"""Connections that tell more of each request than the default access log: how long it took, who answered, and its ID.

These are kinds of their own, which are made where an option asks for it, so that what they find out costs nothing
elsewhere.
"""

import asyncio
import logging
import time
from time import perf_counter
from typing import TYPE_CHECKING, Any

from snakepit.http.events import RequestHead
from snakepit.http.fields import NO_BODY, Fields
from snakepit.logs import ReadyLines
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.exchanges.websocket import HandshakeClient, WebSocketExchange
from snakepit.server.net.http1 import Connection, HttpConnections
from snakepit.server.net.request_ids import id_of, identify
from snakepit.server.net.request_lines import AnsweredRequest, MakeLine, lines_by_format, request_as_json
from snakepit.server.net.websocket import WebSocketConnection

if TYPE_CHECKING:
    from snakepit.config.options import Config
    from snakepit.server.routing.router import Finder


class RequestLog:
    """An access log that gets all that is known of a request. The lines of one turn of the loop are one text.

    With handlers of the operator's own each line is a record of the logger `snakepit.access`.
    """

    def __init__(self, logger: logging.Logger, make_line: MakeLine, loop: asyncio.AbstractEventLoop) -> None:
        self._logger = logger
        self._make_line = make_line
        self._loop = loop
        self._lines: list[str] = []
        handler = logger.handlers[0] if len(logger.handlers) == 1 else None
        self._handler = handler if isinstance(handler, ReadyLines) and not logger.filters else None

    def add(self, request: AnsweredRequest) -> None:
        """Log a request."""
        if self._handler is None:
            self._logger.info("%s", self._make_line(request))
            return
        if not self._lines:
            self._loop.call_soon(self.flush)
        self._lines.append(self._make_line(request))

    def flush(self) -> None:
        """Write the collected lines."""
        text = "\n".join([*self._lines, ""])
        self._lines.clear()
        if self._handler is not None:
            self._handler.write(text)


def line_maker(config: "Config") -> MakeLine | None:
    """Return what makes lines of the access log, if not the default ones are asked for."""
    if not config.access_log:
        return None
    if config.access_log_format:
        return lines_by_format(config.access_log_format)
    return request_as_json if config.log_format == "json" and config.log_config is None else None


class ObservedConnection(Connection):
    """A connection that tells the request log of each request."""

    __slots__ = ("_began", "_identifies", "_log")

    def __init__(self, shared: "ObservedConnections") -> None:
        super().__init__(shared)
        self._log = shared.request_log
        self._identifies = shared.identifies
        self._began = 0.0

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            self._began = perf_counter()
        super().data_received(data)

    def send_response(self, status: int, fields: Fields, body: bytes, more: bool) -> None:
        exchange = self._exchange
        if exchange is not None and self._identifies:
            fields = _with_id(fields, exchange)
        super().send_response(status, fields, body, more)
        if exchange is not None:
            length = fields[2] if fields[2] is not None or more else len(body)
            bodiless = status in NO_BODY or exchange.head.method == "HEAD"
            self._tell(exchange, status, 0 if bodiless else length, fields)

    def open_websocket(
        self, session: WebSocketExchange, subprotocol: str | None, fields: Fields
    ) -> WebSocketConnection:
        if self._identifies:
            fields = _with_id(fields, session)
        self._tell(session, 101, 0, fields)
        return super().open_websocket(session, subprotocol, fields)

    def report_fault(self, exchange: Exchange, fault: str, cut_off: bool = False) -> None:
        if self._identifies:
            fault = f"Request ID: {id_of(exchange.head).decode('ascii')}\n{fault}"
        super().report_fault(exchange, fault, cut_off)

    def _tell(self, exchange: Exchange, status: int, length: int | None, fields: Fields) -> None:
        if self._log is not None:
            client, _, scheme, _, _ = exchange.endpoints
            seconds = perf_counter() - self._began
            head, served_by = exchange.head, exchange.served_by
            request_id = id_of(head).decode("ascii") if self._identifies else ""
            self._log.add(
                AnsweredRequest(
                    client, scheme, head, status, length, fields[0], time.time(), seconds, served_by, request_id
                )
            )


def _with_id(fields: Fields, exchange: Exchange) -> Fields:
    """Return the fields of a response with the ID of its request, unless the app has set that field."""
    lines, flags, length = fields
    if b"x-request-id:" in lines.lower():
        return fields
    return b"%sx-request-id: %s\r\n" % (lines, id_of(exchange.head)), flags, length


class ObservedConnections(HttpConnections):
    """The HTTP/1 connections of a server that tells more of each request."""

    def __init__(
        self,
        config: "Config",
        router: "Finder",
        loop: asyncio.AbstractEventLoop,
        open_files: tuple[int, int] | None = None,
        *,
        secure: bool = False,
        beside: HttpConnections | None = None,
    ) -> None:
        super().__init__(config, router, loop, open_files, secure=secure, beside=beside)
        logger = logging.getLogger("snakepit.access")
        make_line = line_maker(config)
        self.identifies = config.request_id
        self.request_log: RequestLog | None = None
        if isinstance(beside, ObservedConnections):
            self.request_log = beside.request_log
        elif make_line is not None and logger.isEnabledFor(logging.INFO):
            self.request_log = RequestLog(logger, make_line, loop)
        if make_line is not None:
            self.access_log = None  # no line twice

    def new_connection(self) -> Connection:
        return ObservedConnection(self)

    def new_exchange(self, client: HandshakeClient, head: RequestHead, home: Any) -> Exchange:
        if self.identifies:
            identify(head, client.is_trusted)
        return super().new_exchange(client, head, home)


def http_connections(
    config: "Config",
    router: "Finder",
    loop: asyncio.AbstractEventLoop,
    open_files: tuple[int, int] | None = None,
    *,
    secure: bool = False,
    beside: HttpConnections | None = None,
) -> HttpConnections:
    """Make the HTTP/1 connections of a server, of the kind that its options need."""
    kind = ObservedConnections if config.request_id or line_maker(config) is not None else HttpConnections
    return kind(config, router, loop, open_files, secure=secure, beside=beside)

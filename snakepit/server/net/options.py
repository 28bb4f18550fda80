"""How HTTP and WebSocket are spoken to clients: what follows from the options, for all connections of a server."""

from typing import TYPE_CHECKING

from snakepit.config.extra_fields import parse_field
from snakepit.config.trusted_proxies import TrustedProxies, header_names
from snakepit.http.events import Limits
from snakepit.http.h1.choice import parser_factory
from snakepit.http.h1.protocol import Http1Protocol
from snakepit.http.ws.deflate import Deflate
from snakepit.http.ws.frames import WebSocketProtocol
from snakepit.server.net.common_fields import CommonFields
from snakepit.server.net.proxy_headers import ProxyHeaders

if TYPE_CHECKING:
    from snakepit.config.options import Config
    from snakepit.http.fields import Fields
    from snakepit.http.types import Address


class HttpOptions:
    """Makes the protocols of connections, and knows the limits of time, in seconds; None: no limit."""

    def __init__(self, config: "Config") -> None:
        self.keep_alive_seconds = config.timeout_keep_alive
        self.head_seconds = config.timeout_request_head
        self.ping_seconds = config.ws_ping_interval or None
        self.pong_seconds = config.ws_ping_timeout or None
        self.never_idle = not config.timeout_keep_alive  # no connection is kept open for a request that may come
        self.websockets = config.ws != "none"
        self.ws_max_queue = config.ws_max_queue
        self._ws_max_size = config.ws_max_size
        self._ws_deflate = config.ws_per_message_deflate
        self._parser = parser_factory(
            config.http,
            Limits(head=config.limit_request_head, fields=config.limit_request_fields, body=config.limit_request_body),
        )
        self._common = CommonFields(
            date=config.date_header, server=config.server_header, extra=[*map(parse_field, config.header)]
        )
        self._proxy_headers: ProxyHeaders | None = None
        if config.proxy_headers:
            self._proxy_headers = ProxyHeaders(
                TrustedProxies(config.forwarded_allow_ips), header_names(config.trusted_proxy_headers)
            )

    def new_protocol(self) -> Http1Protocol:
        """Make the HTTP/1 of one connection."""
        return Http1Protocol(self._parser(), self._common)

    def new_deflate(self) -> Deflate | None:
        """Make the compression for one WebSocket, yet to be agreed on; None if there is to be none."""
        return Deflate(self._ws_max_size) if self._ws_deflate else None

    def new_websocket(self, deflate: Deflate | None) -> WebSocketProtocol:
        """Make the frames of one WebSocket."""
        return WebSocketProtocol(self._ws_max_size, deflate)

    def common_lines(self, fields: "Fields") -> bytes:
        """Return the fields that the server adds to a response's own."""
        return self._common.lines(fields[1])

    def proxy_headers_of(self, peer: "Address") -> ProxyHeaders | None:
        """Return what reads the proxy headers of a peer; None if they are not to be read. No peer: a Unix socket."""
        if self._proxy_headers is None or not self._proxy_headers.trusts(peer[0] if peer is not None else None):
            return None
        return self._proxy_headers

"""Settings for HTTP and WebSocket on all connections of a server, derived from the options."""

from typing import TYPE_CHECKING

from snakepit.config.extra_fields import parse_field
from snakepit.config.trusted_proxies import TrustedProxies, header_names
from snakepit.http.events import Limits
from snakepit.http.h1.choice import parser_factory
from snakepit.http.h1.protocol import Http1Protocol
from snakepit.http.ws.deflate import Deflate
from snakepit.http.ws.frames import WebSocketProtocol
from snakepit.server.net.admission import Addresses
from snakepit.server.net.common_fields import CommonFields
from snakepit.server.net.proxy_headers import ProxyHeaders

if TYPE_CHECKING:
    from snakepit.config.options import Config
    from snakepit.http.fields import Fields
    from snakepit.http.types import Address


_HSTS = b"strict-transport-security"
"""RFC 6797 section 6.1. It is for HTTPS only (section 7.2)."""


class HttpOptions:
    """The factory of connections' protocols, and the time limits, in seconds; None: no limit.

    `secure`: for connections over TLS.
    """

    def __init__(self, config: "Config", secure: bool = False) -> None:
        self.keep_alive_seconds = config.timeout_keep_alive
        self.head_seconds = config.timeout_request_head
        self.ping_seconds = config.ws_ping_interval or None
        self.pong_seconds = config.ws_ping_timeout or None
        self.write_seconds = config.timeout_write or None
        self.body_rate = config.min_request_body_rate  # bytes a second; 0: any
        self.requests = config.limit_keep_alive_requests  # on one connection; None: any number
        self.never_idle = not config.timeout_keep_alive  # no connection is kept open for a possible next request
        self.ends_connections = self.never_idle or self.requests is not None
        self.websockets = config.ws != "none"
        self.ws_max_queue = config.ws_max_queue
        self._ws_max_size = config.ws_max_size
        self._ws_deflate = config.ws_per_message_deflate
        self._parser = parser_factory(
            config.http,
            Limits(
                head=config.limit_request_head,
                fields=config.limit_request_fields,
                body=None if config.apps else config.limit_request_body,  # several apps have their own
            ),
        )
        extra = [*map(parse_field, config.header)]
        if secure and config.hsts and all(name != _HSTS for name, _ in extra):
            extra.append((_HSTS, b"max-age=%d" % config.hsts))
        self._common = CommonFields(date=config.date_header, server=config.server_header, extra=extra)
        self._per_address = config.limit_connections_per_address
        self._proxies = TrustedProxies(config.forwarded_allow_ips)
        self._proxy_headers: ProxyHeaders | None = None
        if config.proxy_headers:
            self._proxy_headers = ProxyHeaders(self._proxies, header_names(config.trusted_proxy_headers))

    def new_addresses(self) -> Addresses | None:
        """Make what counts the connections of each address; None if it may have any number."""
        return Addresses(self._per_address, self._proxies) if self._per_address is not None else None

    def new_protocol(self) -> Http1Protocol:
        """Make the HTTP/1 of one connection."""
        return Http1Protocol(self._parser(), self._common)

    def new_deflate(self) -> Deflate | None:
        """Make the compression for one WebSocket, before the handshake; None if it is turned off."""
        return Deflate(self._ws_max_size) if self._ws_deflate else None

    def new_websocket(self, deflate: Deflate | None) -> WebSocketProtocol:
        """Make the frames of one WebSocket."""
        return WebSocketProtocol(self._ws_max_size, deflate)

    def common_lines(self, fields: "Fields") -> bytes:
        """Return the fields that the server adds to a response's own."""
        return self._common.lines(fields[1])

    def proxy_headers_of(self, peer: "Address") -> ProxyHeaders | None:
        """Return the reader of a peer's proxy headers; None if they must not be read. No peer: a Unix socket."""
        if self._proxy_headers is None or not self._proxy_headers.trusts(peer[0] if peer is not None else None):
            return None
        return self._proxy_headers

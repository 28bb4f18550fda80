"""Sends clients that speak plain HTTP to HTTPS."""

import re
from typing import TYPE_CHECKING

from snakepit.http.target import host_of, origin_form
from snakepit.server.responders.responder import Responder, answer

if TYPE_CHECKING:
    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Exchange

_HTTPS = 443

_HOST = re.compile(rb"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
"""What is sent back of a host that a client has named: a name, or an address. In anything else a browser might find
another host than this server has found."""


class HttpsRedirect(Responder):
    """A responder that sends all requests to the same host and path over HTTPS (RFC 9110 section 15.4.9).

    Args:
        port: on which this server speaks HTTPS.
    """

    def __init__(self, port: int) -> None:
        self._port = b"" if port == _HTTPS else b":%d" % port

    def takes(self, head: "RequestHead") -> bool:
        return True

    def submit(self, exchange: "Exchange") -> None:
        head = exchange.head
        host = _without_port(host_of(head.target, head.headers))
        if not _HOST.fullmatch(host):
            exchange.refuse(400, "This port sends clients to HTTPS, and the request does not say to which host", [])
            return
        path = head.target if head.target.startswith(b"/") else origin_form(head.target)
        location = b"https://" + host + self._port + (path if path.startswith(b"/") else b"/")
        text = b"Use " + location + b"\n"
        answer(exchange, 308, [(b"location", location), (b"content-type", b"text/plain; charset=utf-8")], text)

    def withdraw(self, exchange: "Exchange") -> None:
        pass


def _without_port(host: bytes) -> bytes:
    """Return a host without its port; an IPv6 address has brackets around it (RFC 3986 section 3.2.2)."""
    name, colon, port = host.rpartition(b":")
    return name if colon and not port.endswith(b"]") else host

"""The opening handshake of a WebSocket (RFC 6455 section 4)."""

import re
from dataclasses import dataclass
from typing import Protocol

from wsproto.utilities import generate_accept_token

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import RequestHead
from snakepit.http.fields import TOKEN
from snakepit.http.types import Headers

VERSION = b"13"
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")  # 16 bytes in base64


class Extension(Protocol):
    """An extension of the protocol that the server can agree to."""

    def accept(self, offer: str, /) -> bool | str | None:
        """Answer an offer: returns the agreed parameters; None if the offer is not acceptable."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """A client's request for a WebSocket: the values that the answer depends on."""

    key: bytes
    offers: tuple[str, ...]
    """Extensions, in the client's order."""

    def response(self, subprotocol: str | None, deflate: Extension | None, fields: bytes) -> bytes:
        """Write the 101 response; `fields`: lines of more header fields. Tells `deflate` the agreed parameters."""
        lines = [
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
            generate_accept_token(self.key),
            b"\r\n",
        ]
        if subprotocol is not None:
            lines.append(b"Sec-WebSocket-Protocol: %s\r\n" % subprotocol.encode("ascii"))
        if deflate is not None:
            for offer in self.offers:
                parameters = deflate.accept(offer)
                if isinstance(parameters, str):
                    lines.append(b"Sec-WebSocket-Extensions: %s\r\n" % parameters.encode("ascii"))
                    break
        return b"".join((*lines, fields, b"\r\n"))


def wants_websocket(head: RequestHead) -> bool:
    """Tell whether a request asks to become a WebSocket. HTTP/1.0 can't (RFC 9110 section 7.8)."""
    return head.http_version == "1.1" and b"websocket" in _options(head.headers, b"upgrade")


def check_handshake(head: RequestHead) -> Handshake:
    """Read a request that asks for a WebSocket. Raises RemoteProtocolError, with 400 or 426."""
    headers = head.headers
    if head.method != "GET":
        raise RemoteProtocolError("a WebSocket handshake must be a GET request")
    if b"upgrade" not in _options(headers, b"connection"):
        raise RemoteProtocolError("a WebSocket handshake must say Connection: Upgrade")
    versions = _values(headers, b"sec-websocket-version")
    if versions != [VERSION]:
        raise RemoteProtocolError(
            "only WebSocket version 13 is spoken here",
            426 if versions else 400,
            ((b"upgrade", b"websocket"), (b"sec-websocket-version", VERSION)),
        )
    keys = _values(headers, b"sec-websocket-key")
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise RemoteProtocolError("a WebSocket handshake must have one Sec-WebSocket-Key of 16 bytes in base64")
    if any(name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers):
        raise RemoteProtocolError("a WebSocket handshake must have no body")
    for protocol in _elements(headers, b"sec-websocket-protocol"):
        if not TOKEN.fullmatch(protocol):
            raise RemoteProtocolError("a WebSocket handshake's subprotocols must be tokens")
    offers = [offer.decode("latin-1") for offer in _elements(headers, b"sec-websocket-extensions")]
    return Handshake(keys[0], tuple(offers))


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value.strip() for known, value in headers if known == name]


def _elements(headers: Headers, name: bytes) -> list[bytes]:
    """Return a list-valued field's elements, over all its lines (RFC 9110 section 5.6.1)."""
    elements = (element.strip() for value in _values(headers, name) for element in value.split(b","))
    return [element for element in elements if element]


def _options(headers: Headers, name: bytes) -> set[bytes]:
    return {element.lower() for element in _elements(headers, name)}

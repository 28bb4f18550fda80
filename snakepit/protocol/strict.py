"""What every protocol library must refuse alike, so that no two parts of a deployment read one request differently.

RFC 9112 lets a server be lenient in places that request smuggling lives on. Here a request that another server might
read differently gets 400.
"""

from snakepit.envelopes import Headers
from snakepit.errors import RemoteProtocolError
from snakepit.protocol.interface import Limits

_HTTP_VERSIONS = {b"1.0": "1.0", b"1.1": "1.1"}


def http_version(version: bytes) -> str:
    """The version of a request line ("1.1"); raises RemoteProtocolError with 505 for any but 1.0 and 1.1."""
    known = _HTTP_VERSIONS.get(version)
    if known is None:
        raise RemoteProtocolError(f"HTTP/{version.decode('latin-1')} is not supported", 505)
    return known


def check_line_ends(before: bytes, head: bytes) -> None:
    """Refuse a line feed without a carriage return before it (RFC 9112 section 2.2 only allows to accept it).

    `head` is some of a request's head, and `before` the byte that came before it, if any did.
    """
    if head.count(b"\n") != (before + head).count(b"\r\n"):
        raise RemoteProtocolError("a line of the request's head ends with a bare line feed")


def check_head(method: str, headers: Headers, limits: Limits) -> bool:
    """Refuse what must not reach an app; returns whether the client waits for 100 (Continue).

    Raises RemoteProtocolError: 405 for CONNECT, 431 for too many fields, 413 for a body that is announced as too
    long, 417 for an expectation that is not 100-continue, 400 for both Content-Length and Transfer-Encoding
    (RFC 9112 section 6.1).
    """
    if method == "CONNECT":
        raise RemoteProtocolError("CONNECT is for proxies", 405, ((b"allow", b"GET, HEAD, POST, PUT, DELETE"),))
    if len(headers) > limits.fields:
        raise RemoteProtocolError(f"more than {limits.fields} header fields", 431)
    length = None
    chunked = expects_continue = False
    for name, value in headers:
        if name == b"content-length":
            length = value
        elif name == b"transfer-encoding":
            chunked = True
        elif name == b"expect":
            if value.lower() != b"100-continue":
                raise RemoteProtocolError("the only known expectation is 100-continue", 417)
            expects_continue = True
    if length is not None:
        if chunked:
            raise RemoteProtocolError("both Content-Length and Transfer-Encoding")
        if limits.body is not None and int(length) > limits.body:
            raise too_long(limits.body)
    return expects_continue


def too_long(limit: int) -> RemoteProtocolError:
    """The error for a body over the limit."""
    return RemoteProtocolError(f"the request's body is longer than {limit} bytes", 413)

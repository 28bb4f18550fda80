"""Checks for all parsers, so that no two parts of a deployment read one request differently.

RFC 9112 lets a server be lenient in places that make request smuggling possible. Snakepit answers 400 to a request that
another server might read differently.
"""

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import Limits
from snakepit.http.fields import has_controls
from snakepit.http.types import Headers

_HEAD_END = b"\r\n\r\n"
_SCHEMES = (b"http://", b"https://")
_HTTP_VERSIONS = {b"1.0": "1.0", b"1.1": "1.1"}


def http_version(version: bytes) -> str:
    """Return the version of a request line ("1.1"); raises RemoteProtocolError with 505 for all except 1.0 and 1.1."""
    known = _HTTP_VERSIONS.get(version)
    if known is None:
        raise RemoteProtocolError(f"HTTP/{version.decode('latin-1')} is not supported", 505)
    return known


class HeadCheck:
    """A check of a request's head as it comes, in pieces of any size, before a library parses it.

    Refuses a head over the limit; a line feed without a carriage return before it (RFC 9112 section 2.2 allows to
    accept one; it does not demand it); and control characters (RFC 9110 section 5.5).
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.restart()

    def restart(self) -> None:
        """Prepare for a new head."""
        self._size = 0
        self._last = b""  # up to three bytes that came before: the head's end may be split
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Check received bytes, up to the head's end. Raises RemoteProtocolError."""
        if self._ended:
            return
        before = self._last
        seen = before + data
        end = seen.find(_HEAD_END)
        self._ended = end >= 0
        head = seen[len(before) : end + len(_HEAD_END)] if self._ended else data
        self._last = seen[-3:]
        self._size += len(head)
        if self._size > self._limit:
            raise RemoteProtocolError(f"the request's head is longer than {self._limit} bytes", 431)
        if head.count(b"\n") != (before[-1:] + head).count(b"\r\n"):
            raise bare_line_feed()
        if has_controls(head):
            raise control_character()


EMPTY_LINES = b"\r\n" * 4
"""The most that is ignored before a request line. RFC 9112 section 2.2 asks for one at least, which some clients send
after a body; other servers accept any number, and some clients send more than one. The bound also limits the bytes that
are kept."""

NOT_BEGUN = tuple(EMPTY_LINES[:size] for size in range(len(EMPTY_LINES) + 1))
"""What may come before a request begins: the empty lines before it, or some of them."""


def without_empty_lines(data: bytes) -> bytes:
    """Return the received bytes of a request without EMPTY_LINES before it. `data` must be more than NOT_BEGUN."""
    for _ in range(EMPTY_LINES.count(b"\r\n")):
        data = data.removeprefix(b"\r\n")
    return data


def control_character() -> RemoteProtocolError:
    """Make the error for a control character in a head or a trailer."""
    return RemoteProtocolError("a control character in a header field or the request line")


def bare_line_feed() -> RemoteProtocolError:
    """Make the error for a line that ends with a line feed only."""
    return RemoteProtocolError("a line ends with a bare line feed")


def check_head(method: str, target: bytes, headers: Headers, limits: Limits) -> bool:
    """Refuse a head that must not reach an app; returns whether the client waits for 100 (Continue).

    Raises RemoteProtocolError: 405 for CONNECT, 431 for too many fields, 413 for a body that is announced as too
    long, 417 for an expectation that is not 100-continue, 400 for both Content-Length and Transfer-Encoding
    (RFC 9112 section 6.1), and for a target that has none of the forms of RFC 9112 section 3.2.
    """
    if method == "CONNECT":
        raise RemoteProtocolError("CONNECT is for proxies", 405, ((b"allow", b"GET, HEAD, POST, PUT, DELETE"),))
    is_path = target.startswith(b"/") or (target == b"*" and method == "OPTIONS")
    if not is_path and not target[:8].lower().startswith(_SCHEMES):
        raise RemoteProtocolError("the request's target must be a path or a URL")
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


def keeps_alive(version: str, headers: Headers) -> bool:
    """Tell whether a request leaves the connection open (RFC 9112 section 9.3): 1.1 unless it says close, 1.0 if asked.

    A request of HTTP/1.0 with a Transfer-Encoding never does: a proxy that forwarded it may not have known where it
    ends (RFC 9112 section 6.1).
    """
    if version == "1.0" and any(name == b"transfer-encoding" for name, _ in headers):
        return False
    options = {
        option.strip().lower() for name, value in headers if name == b"connection" for option in value.split(b",")
    }
    return b"close" not in options if version == "1.1" else b"keep-alive" in options and b"close" not in options


def too_long(limit: int) -> RemoteProtocolError:
    """Make the error for a body over the limit."""
    return RemoteProtocolError(f"the request's body is longer than {limit} bytes", 413)

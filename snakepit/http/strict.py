"""Checks for all parsers, so that no two parts of a deployment read one request differently.

RFC 9112 lets a server be lenient in places that make request smuggling possible. Snakepit answers 400 to a request that
another server might read differently.
"""

import re

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import Limits
from snakepit.http.fields import TOKEN, has_controls
from snakepit.http.target import authority_of, is_host
from snakepit.http.types import Headers

_HEAD_END = b"\r\n\r\n"
LENGTH_DIGITS = 18
"""Digits of a Content-Length: more than any body has, and few enough that nothing overflows."""

_HTTP_VERSIONS = {b"1.0": "1.0", b"1.1": "1.1"}


def http_version(version: bytes) -> str:
    """Return the version of a request line ("1.1"); raises RemoteProtocolError with 505 for all except 1.0 and 1.1."""
    known = _HTTP_VERSIONS.get(version)
    if known is None:
        raise RemoteProtocolError(f"HTTP/{version.decode('latin-1')} is not supported", 505)
    return known


_REQUEST_LINE = re.compile(rb"%b [!-~]+ HTTP/[0-9]\.[0-9]" % TOKEN.pattern)
_LAST_CODING = re.compile(rb"(?i:\r\ntransfer-encoding):(?:[^\r]*,)?[ \t]*([^\r,]*?)[ \t]*(?=\r\n)")


class HeadCheck:
    """A check of a request's head as it comes, in pieces of any size, before a library parses it.

    Refuses a head over the limit; a request line that is none, as soon as its end has come; a line feed without a
    carriage return before it (RFC 9112 section 2.2 allows to accept one; it does not demand it); folded lines (section
    5.2 leaves the choice); and control characters (RFC 9110 section 5.5).
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head = bytearray()
        self._line_checked = False
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Check received bytes, up to the head's end. Raises RemoteProtocolError."""
        if self._ended:
            return
        head, before = self._head, len(self._head)
        head += data
        end = head.find(_HEAD_END, max(before - 3, 0))
        self._ended = end >= 0
        if self._ended:
            del head[end + len(_HEAD_END) :]
        if len(head) > self._limit:
            self._refuse_length()
        new = bytes(head[before:])
        if new.count(b"\n") != head.count(b"\r\n", max(before - 1, 0)):
            raise bare_line_feed()
        if has_controls(new):
            raise control_character()
        if head.find(b"\r\n ", max(before - 2, 0)) >= 0 or head.find(b"\r\n\t", max(before - 2, 0)) >= 0:
            raise RemoteProtocolError("a line of the head begins with white space")
        if not self._line_checked and (end := head.find(b"\r\n", max(before - 1, 0))) >= 0:
            self._line_checked = True
            if not _REQUEST_LINE.fullmatch(head, 0, end):
                raise RemoteProtocolError(f"illegal request line: {bytes(head[: min(end, 100)])!r}")

    def chunked_is_last(self) -> bool:
        """Tell whether the last transfer coding of the head is chunked, so that the body's end can be found."""
        codings = _LAST_CODING.findall(self._head)
        return bool(codings) and codings[-1].lower() == b"chunked"

    def _refuse_length(self) -> None:
        limit = self._limit
        if self._head.find(b"\r\n", 0, limit) >= 0:
            raise RemoteProtocolError(f"the request's head is longer than {limit} bytes", 431)
        raise RemoteProtocolError(f"the request line is longer than {limit} bytes", 414)


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
    (RFC 9112 section 6.1), for a Host that is no host, and for a target that has none of the forms of RFC 9112 section
    3.2.
    """
    if method == "CONNECT":
        raise RemoteProtocolError("CONNECT is for proxies", 405, ((b"allow", b"GET, HEAD, POST, PUT, DELETE"),))
    if not target.startswith(b"/") and not (target == b"*" and method == "OPTIONS"):
        authority = authority_of(target)
        if authority is None:
            raise RemoteProtocolError("the request's target must be a path or a URL")
        if not authority or not is_host(authority):
            raise RemoteProtocolError("the request's target names no host, or more than a host and a port")
    if b"#" in target:
        raise RemoteProtocolError("the request's target has a fragment")
    if len(headers) > limits.fields:
        raise RemoteProtocolError(f"more than {limits.fields} header fields", 431)
    length = None
    chunked = expects_continue = False
    for name, value in headers:
        if name == b"content-length":
            length = value
        elif name == b"transfer-encoding":
            chunked = True
        elif name == b"host":
            if not is_host(value):
                raise RemoteProtocolError("the Host field is not a host and a port")
        elif name == b"expect":
            if value.lower() != b"100-continue":
                raise RemoteProtocolError("the only known expectation is 100-continue", 417)
            expects_continue = True
    if length is not None:
        if chunked:
            raise RemoteProtocolError("both Content-Length and Transfer-Encoding")
        if len(length) > LENGTH_DIGITS:
            raise RemoteProtocolError("bad Content-Length")
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

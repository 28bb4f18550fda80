"""Responses as bytes (RFC 9112 sections 4 to 7): the head, the framing of the body, and whether the connection stays.

The app's fields go out as they are, but for those that say how the message is framed: these are the server's. A field
name is looked at once and remembered, since apps use a few dozen of them.
"""

import re
from enum import Enum, auto
from http import HTTPStatus
from typing import Protocol

from snakepit.envelopes import Headers
from snakepit.errors import LocalProtocolError

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode("ascii")) for status in HTTPStatus}
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_NAMES_KEPT = 1024  # an app could make names up without end
_NO_BODY = (204, 304)


class _Kind(Enum):
    PLAIN = auto()
    CONTENT_LENGTH = auto()
    TRANSFER_ENCODING = auto()
    CONNECTION = auto()
    DATE = auto()
    SERVER = auto()


_KINDS = {
    b"content-length": _Kind.CONTENT_LENGTH,
    b"transfer-encoding": _Kind.TRANSFER_ENCODING,
    b"connection": _Kind.CONNECTION,
    b"date": _Kind.DATE,
    b"server": _Kind.SERVER,
}
_names: dict[bytes, tuple[bytes, _Kind]] = {}


class CommonFields(Protocol):
    """The fields that the server adds to a response that lacks them."""

    def lines(self, *, has_date: bool, has_server: bool) -> bytes:
        """Whole lines, each with its line end."""


class _Framing(Enum):
    NONE = auto()
    """No body on the wire, whatever the app sends: HEAD, 204, 304."""
    LENGTH = auto()
    CHUNKED = auto()
    UNTIL_CLOSE = auto()


class ResponseWriter:
    """One response. `keep_alive` says, once it has begun, whether the connection can carry another."""

    def __init__(self, common: CommonFields) -> None:
        self._common = common
        self.restart()

    def restart(self) -> None:
        """Make ready for the next response."""
        self.begun = False
        self.ended = False
        self.keep_alive = True
        self._framing = _Framing.NONE
        self._left = 0  # bytes of body still to come, where the length is known

    def begin(
        self, status: int, headers: Headers, length: int | None, *, is_head: bool, http_version: str, keep_alive: bool
    ) -> bytes:
        """The response's head. Raises LocalProtocolError for fields that can't be sent.

        `length`: of the body, where the caller knows it. `keep_alive`: what the client and the server want.
        """
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
        announced: int | None = None
        has_date = has_server = False
        for name, value in headers:
            prefix, kind = _names.get(name) or _learn(name)
            if kind is not _Kind.PLAIN:
                if kind is _Kind.CONTENT_LENGTH:
                    announced = _content_length(value, announced)
                    continue
                if kind is _Kind.TRANSFER_ENCODING:
                    _check_coding(value)
                    continue
                if kind is _Kind.CONNECTION:
                    options = [option.strip() for option in value.lower().split(b",")]
                    keep_alive = keep_alive and b"close" not in options
                    if b"close" in options or b"keep-alive" in options:
                        continue
                has_date = has_date or kind is _Kind.DATE
                has_server = has_server or kind is _Kind.SERVER
            lines.append(prefix + value + b"\r\n")
        count = len(lines)
        text = b"".join(lines)
        if text.count(b"\n") != count or text.count(b"\r") != count or b"\0" in text:
            raise _illegal(f"Illegal header value {_culprit(headers)!r}")
        self._frame(status, length if announced is None else announced, announced is not None, is_head, http_version)
        self.keep_alive = keep_alive and self._framing is not _Framing.UNTIL_CLOSE
        self.begun = True
        return text + self._common.lines(has_date=has_date, has_server=has_server) + self._framing_lines(http_version)

    def _frame(self, status: int, length: int | None, announced: bool, is_head: bool, http_version: str) -> None:
        self._announce = b""
        if status in _NO_BODY or is_head:
            self._framing = _Framing.NONE
            if length is not None and announced and status != 204:
                self._announce = b"content-length: %d\r\n" % length
        elif length is not None:
            self._framing = _Framing.LENGTH
            self._left = length
            self._announce = b"content-length: %d\r\n" % length
        elif http_version == "1.0":
            self._framing = _Framing.UNTIL_CLOSE
        else:
            self._framing = _Framing.CHUNKED
            self._announce = b"transfer-encoding: chunked\r\n"

    def _framing_lines(self, http_version: str) -> bytes:
        if not self.keep_alive:
            return self._announce + b"connection: close\r\n\r\n"
        if http_version == "1.0":
            return self._announce + b"connection: keep-alive\r\n\r\n"
        return self._announce + b"\r\n"

    def body(self, data: bytes) -> bytes:
        """Some of the body, framed. Raises LocalProtocolError if that is more than was announced."""
        framing = self._framing
        if framing is _Framing.LENGTH:
            self._left -= len(data)
            if self._left < 0:
                raise _illegal("Too much data for declared Content-Length")
            return data
        if framing is _Framing.CHUNKED and data:
            return b"%x\r\n%b\r\n" % (len(data), data)
        return data if framing is _Framing.UNTIL_CLOSE else b""

    def end(self) -> bytes:
        """The end of the body. Raises LocalProtocolError if that is less than was announced."""
        if self._framing is _Framing.LENGTH and self._left:
            raise _illegal("Too little data for declared Content-Length")
        self.ended = True
        return b"0\r\n\r\n" if self._framing is _Framing.CHUNKED else b""


def informational(status: int) -> bytes:
    """An interim response (RFC 9110 section 15.2) without fields."""
    return _STATUS_LINES[status] + b"\r\n"


def _learn(name: bytes) -> tuple[bytes, _Kind]:
    if not _TOKEN.fullmatch(name):
        raise _illegal(f"Illegal header name {name!r}")
    known = (name + b": ", _KINDS.get(name.lower(), _Kind.PLAIN))
    if len(_names) < _NAMES_KEPT:
        _names[name] = known
    return known


def _content_length(value: bytes, before: int | None) -> int:
    if not value.isdigit() or (before is not None and int(value) != before):
        raise _illegal(f"bad Content-Length {value!r}")
    return int(value)


def _check_coding(value: bytes) -> None:
    if value.lower() != b"chunked":
        raise _illegal("Only Transfer-Encoding: chunked is supported")


def _culprit(headers: Headers) -> bytes:
    return next((value for _, value in headers if any(bad in value for bad in (b"\r", b"\n", b"\0"))), b"")


def _illegal(what: str) -> LocalProtocolError:
    return LocalProtocolError(f"the app sent an illegal response: {what}")

"""Responses as bytes (RFC 9112 sections 4 to 7): the head, the framing of the body, whether the connection stays."""

from enum import Enum, auto
from http import HTTPStatus
from typing import Protocol

from snakepit.http.fields import ANNOUNCED, CLOSE, NO_BODY, Fields, wrong_length

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode("ascii")) for status in HTTPStatus}

JOINED = 16 * 1024
"""Bytes; a body up to this size is put behind its head, a larger one is written beside it without being copied."""


class FieldSource(Protocol):
    """Makes the fields that the server adds to a response that lacks them."""

    def lines(self, flags: int) -> bytes:
        """Return whole lines, each with its line end, for a response whose own fields have these `flags`."""


class _Framing(Enum):
    NONE = auto()
    """No body on the wire, whatever the app sends: HEAD, 204, 304."""
    LENGTH = auto()
    CHUNKED = auto()
    UNTIL_CLOSE = auto()


class ResponseWriter:
    """One response. `keep_alive` says, once it has begun, whether the connection can carry another."""

    __slots__ = ("_common", "_framing", "_left", "begun", "ended", "keep_alive")

    def __init__(self, common: FieldSource) -> None:
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
        self,
        status: int,
        fields: Fields,
        body: bytes,
        more: bool,
        *,
        is_head: bool,
        http_version: str,
        keep_alive: bool,
    ) -> list[bytes]:
        """Write the response's head and the first of its body, in one piece if that saves more than copying costs.

        `keep_alive`: what the client and the server want. Raises LocalProtocolError where the body's length is wrong;
        then nothing has begun, and another response may.
        """
        lines, flags, length = fields
        if length is None and not more:
            length = len(body)
        framing, announce = _Framing.LENGTH, b""
        if status in NO_BODY or is_head:
            framing = _Framing.NONE
            if length is not None and flags & ANNOUNCED and status != 204:
                announce = b"content-length: %d\r\n" % length
        elif length is not None:
            size = len(body)
            if size > length or (size < length and not more):
                raise wrong_length(size > length)
            self._left = length
            announce = b"content-length: %d\r\n" % length
        elif http_version == "1.0":
            framing = _Framing.UNTIL_CLOSE
        else:
            framing, announce = _Framing.CHUNKED, b"transfer-encoding: chunked\r\n"
        self._framing = framing
        if flags & CLOSE or framing is _Framing.UNTIL_CLOSE:
            keep_alive = False
        self.keep_alive = keep_alive
        self.begun = True
        if not keep_alive:
            announce += b"connection: close\r\n"
        elif http_version == "1.0":
            announce += b"connection: keep-alive\r\n"
        head = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        data = self.body(body, more)
        if len(data) > JOINED:
            return [b"".join((head, lines, self._common.lines(flags), announce, b"\r\n")), data]
        return [b"".join((head, lines, self._common.lines(flags), announce, b"\r\n", data))]

    def body(self, data: bytes, more: bool) -> bytes:
        """Frame some of the body. Raises LocalProtocolError if that is more, or in the end less, than announced."""
        framing = self._framing
        if framing is _Framing.LENGTH:
            self._left -= len(data)
            if self._left and (self._left < 0 or not more):
                raise wrong_length(self._left < 0)
            self.ended = not more
            return data
        self.ended = not more
        if framing is _Framing.CHUNKED:
            chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            return chunk if more else chunk + b"0\r\n\r\n"
        return data if framing is _Framing.UNTIL_CLOSE else b""


def informational(status: int) -> bytes:
    """Write an interim response (RFC 9110 section 15.2) without fields."""
    return _STATUS_LINES[status] + b"\r\n"

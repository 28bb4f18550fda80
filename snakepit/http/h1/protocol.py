"""HTTP/1.1 and 1.0 on one connection: a parser of requests, a writer of responses, and the order between them.

Nothing here does I/O. `receive_data` takes received bytes and returns their event; the `send_*` methods return the
bytes for the client.
"""

from enum import Enum, auto
from http import HTTPStatus
from typing import Protocol

from snakepit.errors import LocalProtocolError
from snakepit.http.events import Event, RequestHead
from snakepit.http.fields import ANNOUNCED, CLOSE, NO_BODY, Fields, wrong_length

JOINED = 16 * 1024
"""Bytes; a body up to this size is joined with its head; a larger one is written separately, without copying it."""

_STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode("ascii")) for status in HTTPStatus}

_NOT_READ = RequestHead("", b"", "1.1", [], False, keep_alive=False)
"""Stands for a head that could not be read: the answer is a refusal, and the connection ends."""


class RequestParser(Protocol):
    """A parser that reads one request after the other; the interface of all parsers."""

    head: RequestHead | None
    """The head of the current request, once it is complete."""
    ended: bool
    """Whether the current request is complete. Nothing more comes then, until `restart`."""
    in_head: bool
    """Whether a part of a head has come; or, after `restart`, bytes that have not been parsed yet."""
    holds_next: bool
    """Whether bytes that belong to a later request have come already."""

    def feed(self, data: bytes) -> Event | None:
        """Feed received bytes, and return their event, if any: one at most. Nothing may be fed after an error.

        Raises RemoteProtocolError, which carries the status to answer with.
        """

    def restart(self) -> None:
        """Go on to the next request. `feed` then parses what has come of it, even if it is fed no bytes."""

    def rest(self) -> bytes:
        """Return the bytes after the end of the current request."""


class FieldSource(Protocol):
    """A source of the fields that the server adds to responses that lack them."""

    def lines(self, flags: int) -> bytes:
        """Return whole lines, each with its line end, for a response whose own fields have these `flags`."""


class _Framing(Enum):
    NONE = auto()
    """No body on the wire, even if the app sends one: HEAD, 204, 304."""
    LENGTH = auto()
    CHUNKED = auto()
    UNTIL_CLOSE = auto()


_LENGTH = _Framing.LENGTH  # looked up once: for each response


class Http1Protocol:
    """HTTP/1 on one connection.

    `receive_data` is the parser's `feed`. `keep_alive` says, once a response has begun, whether the connection can
    carry another.
    """

    __slots__ = ("_common", "_framing", "_left", "begun", "ended", "keep_alive", "parser", "receive_data")

    def __init__(self, parser: RequestParser, common: FieldSource) -> None:
        self.parser = parser
        self.receive_data = parser.feed
        self.begun = False
        self.ended = False
        self.keep_alive = True
        self._common = common
        self._framing = _Framing.NONE
        self._left = 0  # bytes of body still to come, where the length is known

    def send_informational(self, status: int) -> bytes:
        """Write an interim response (RFC 9110 section 15.2) without header fields."""
        return _STATUS_LINES[status] + b"\r\n"

    def send_response(self, status: int, fields: Fields, body: bytes, more: bool, close: bool) -> list[bytes]:
        """Write a response's head and the first part of its body, which is left out if the response can't have a body.

        `close`: the connection ends with this response. The result is one piece, if that saves more than copying costs,
        or else two. Raises LocalProtocolError if the body is longer than announced or, without `more`, shorter; then
        nothing has begun, and another response may begin.
        """
        if self.begun:
            raise LocalProtocolError("a response has begun already")
        head = self.parser.head or _NOT_READ
        lines, flags, length = fields
        size = len(body)
        if length is None and not more:
            length = size
        if length is None or status in NO_BODY or head.method == "HEAD":
            announce, body = self._begin_without_length(status, flags, length, head, body, more)
            size = len(body)
            close = close or self._framing is _Framing.UNTIL_CLOSE
        else:
            if size != length and (size > length or not more):
                raise wrong_length(size > length)
            self._framing, self._left, self.ended = _LENGTH, length - size, not more
            announce = b"content-length: %d\r\n" % length
        self.begun = True
        if close or flags & CLOSE or not head.keep_alive:
            self.keep_alive = False
            announce += b"connection: close\r\n"
        elif head.http_version == "1.0":
            announce += b"connection: keep-alive\r\n"
        try:
            status_line = _STATUS_LINES[status]
        except KeyError:
            status_line = b"HTTP/1.1 %d \r\n" % status
        if size > JOINED:
            return [b"".join((status_line, lines, self._common.lines(flags), announce, b"\r\n")), body]
        return [b"".join((status_line, lines, self._common.lines(flags), announce, b"\r\n", body))]

    def _begin_without_length(
        self, status: int, flags: int, length: int | None, head: RequestHead, body: bytes, more: bool
    ) -> tuple[bytes, bytes]:
        """Choose the framing of a response without a body, or with one whose length does not end it.

        Returns the lines that announce it, and the first of the body as it is sent.
        """
        announce = b""
        if status in NO_BODY or head.method == "HEAD":
            self._framing = _Framing.NONE
            if length is not None and flags & ANNOUNCED and status != 204:
                announce = b"content-length: %d\r\n" % length
        elif head.http_version == "1.0":
            self._framing = _Framing.UNTIL_CLOSE
        else:
            self._framing = _Framing.CHUNKED
            announce = b"transfer-encoding: chunked\r\n"
        return announce, self.send_body(body, more)

    def send_body(self, data: bytes, more: bool) -> bytes:
        """Write some of the body. Raises LocalProtocolError if it is longer, or at its end shorter, than announced."""
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

    def next_cycle(self) -> bool:
        """Prepare for the next request; returns False if the connection can't carry one."""
        if not (self.ended and self.keep_alive and self.parser.ended):
            return False
        self.begun = self.ended = False
        self.parser.restart()
        return True

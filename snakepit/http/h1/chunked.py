"""Reads a chunked body (RFC 9112 section 7.1), as strictly as its grammar: no reading of it but one.

Libraries accept spaces behind a chunk's size, bare carriage returns in extensions, and extensions of any length. All of
these have made servers and proxies see different requests in the same bytes.
"""

import re

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import Limits
from snakepit.http.fields import TOKEN
from snakepit.http.strict import bare_line_feed, control_character, too_long

_QUOTED = rb'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_EXTENSION = rb"[\t ]*+;[\t ]*+%b(?:[\t ]*+=[\t ]*+(?:%b|%b))?+" % (TOKEN.pattern, TOKEN.pattern, _QUOTED)
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16}+)((?:%b)*+)" % _EXTENSION)
"""The line before a chunk, without its end. 16 digits are 64 bits, more than any body has."""

_TRAILER = re.compile(rb"%b:[\t -~\x80-\xff]*" % TOKEN.pattern)
_NO_CONTROLS = re.compile(rb"[\t -~\x80-\xff]*")


class ChunkedBody:
    """A reader of one chunked body, which comes in pieces of any size.

    Extensions and trailers are checked and left out: nobody has agreed on what an extension means, and a trailer taken
    for a header field could say what only a head may (RFC 9110 section 6.5.1).
    """

    def __init__(self, limits: Limits) -> None:
        self.ended = False
        self.rest = b""
        """Received and not read: a part of a line, or the bytes behind the body."""
        self._limits = limits
        self._received = 0  # bytes of the body
        self._left = 0  # bytes of the chunk to come
        self._chunk_ends = False  # the next line is the end of a chunk's data
        self._extensions = 0  # bytes of them, less the body's
        self._trailers: int | None = None  # how many have come; None: their part has not begun
        self._trailers_size = 0

    def feed(self, data: bytes) -> bytes:
        """Take received bytes, and return those of the body among them. Raises RemoteProtocolError."""
        if self.rest:
            data = self.rest + data
        body: list[bytes] = []
        at = 0
        while not self.ended and at < len(data):
            if self._left:
                piece = data[at : at + self._left]
                body.append(piece)
                at += len(piece)
                self._left -= len(piece)
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._check_begun(data, at)
                break
            if data[end - 1 : end] != b"\r" or end == at:
                raise bare_line_feed()
            self._take_line(data[at : end - 1])
            at = end + 1
        self.rest = data[at:]
        return body[0] if len(body) == 1 else b"".join(body)

    def _check_begun(self, data: bytes, at: int) -> None:
        """Refuse the beginning of a line that can't become a good one."""
        if self._chunk_ends and data[at : at + 2] != b"\r":
            raise _longer_than_it_says()
        if len(data) - at + self._trailers_size > self._limits.head and data[at:] != b"\r":  # which ends the trailers
            raise self._too_long()

    def _take_line(self, line: bytes) -> None:
        if self._chunk_ends:
            if line:
                raise _longer_than_it_says()
            self._chunk_ends = False
        elif self._trailers is None:
            self._begin_chunk(line)
        elif line:
            self._take_trailer(line, self._trailers + 1)
        else:
            self.ended = True

    def _begin_chunk(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise RemoteProtocolError(f"illegal chunk header: {line[:100]!r}")
        size = int(found[1], 16)
        limit = self._limits.body
        self._received += size
        if limit is not None and self._received > limit:
            raise too_long(limit)
        self._extensions = max(0, self._extensions + len(found[2]) - size)
        # a line that comes in pieces is refused at this length, with its CR, before its end has come
        if self._extensions > self._limits.head or len(line) >= self._limits.head:
            raise self._too_long()
        self._left = size
        if size:
            self._chunk_ends = True
        else:
            self._trailers = 0

    def _take_trailer(self, line: bytes, number: int) -> None:
        if not _TRAILER.fullmatch(line):
            if not _NO_CONTROLS.fullmatch(line):
                raise control_character()
            raise RemoteProtocolError(f"illegal trailer: {line[:100]!r}")
        self._trailers = number
        self._trailers_size += len(line) + 2
        if number > self._limits.fields or self._trailers_size > self._limits.head:
            raise self._too_long()

    def _too_long(self) -> RemoteProtocolError:
        if self._trailers is None:
            return RemoteProtocolError("the extensions of a body's chunks are too long")
        return RemoteProtocolError("the trailers are too long, or too many", 431)


def _longer_than_it_says() -> RemoteProtocolError:
    return RemoteProtocolError("a chunk is longer than it says")

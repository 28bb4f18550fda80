"""The fast path for ordinary requests, which are nearly all: a clean head, and a body of known length.

A head is read once all of it is there. If its header block is known, or lines of it are, these are not read again
(`known_fields`). Heads of HTTP/1.0 and with unusual methods are parsed as a whole. `H11Parser` gets every unusual
request, including those with errors, from its first byte. So with every parser the same code refuses a request, with
the same status, and clients can't exploit differences between parsers.
"""

import re

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import BodyData, Event, Limits, RequestHead
from snakepit.http.fields import TOKEN, has_controls
from snakepit.http.h1.h11_parser import METHODS, H11Parser
from snakepit.http.h1.known_fields import NOT_ORDINARY, KnownFields, NotOrdinary
from snakepit.http.strict import NOT_BEGUN

_HEAD_END = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"(%b) (/[!-\"$-~]*) HTTP/1\.([01])\r\n" % TOKEN.pattern)


class CleanHeadParser:
    """A parser that reads ordinary requests itself, and leaves all others to h11. See `protocol.RequestParser`."""

    def __init__(self, limits: Limits, known: KnownFields) -> None:
        self._limits = limits
        self._known = known
        self._rest = b""  # received and not parsed: part of a head, or bytes after the request's end
        self._left = 0  # bytes of body to come
        self._slow: H11Parser | None = None  # reads this request instead of this parser
        self.head: RequestHead | None = None
        self.ended = self.in_head = self.holds_next = False

    def feed(self, data: bytes) -> Event | None:
        if self.head is not None:
            return self._feed_body(data)
        if self._slow is not None:
            return self._feed_slow(data)
        if self._rest:
            data = self._rest + data
        end = data.find(_HEAD_END) + len(_HEAD_END)
        if end < len(_HEAD_END):
            return self._wait_for_more(data)
        line = _REQUEST_LINE.match(data)
        if line is None or end > self._limits.head:
            return self._leave(data)
        name, target, minor = line.groups()
        method = METHODS.get(name)
        try:
            if method is not None and minor == b"1":
                block = data[line.end() : end]
                headers, keep_alive, length = self._known.get(block) or self._known.read(block, self._limits)
                head = RequestHead(method, target, "1.1", headers, False, keep_alive)
            else:
                head, length = self._parse(data[:end])
        except NotOrdinary:
            return self._leave(data)
        self.head = head
        self.in_head = False
        if not length and end == len(data):
            self._rest = b""
            self.ended = True
        else:
            head.body = self._take_body(data[end:], length)
            head.more = self._left > 0
        return head

    def restart(self) -> None:
        self.head = None
        self.ended = False
        if self._slow is not None:
            self._rest = self._slow.rest()
            self._slow = None
        if self._rest:
            self.in_head = self._rest not in NOT_BEGUN
            self.holds_next = False

    def rest(self) -> bytes:
        return self._slow.rest() if self._slow is not None else self._rest

    def _wait_for_more(self, data: bytes) -> Event | None:
        self.in_head = data not in NOT_BEGUN
        if self.in_head and (
            len(data) > self._limits.head
            or not is_clean(data[:-1] if data.endswith(b"\r") else data)
            or (b"\r\n" in data and not _REQUEST_LINE.match(data))
        ):
            return self._leave(data)
        self._rest = data
        return None

    def _feed_body(self, data: bytes) -> Event | None:
        if self._slow is not None:
            return self._feed_slow(data)
        if self.ended:
            self._rest += data
            self.holds_next = self._rest not in NOT_BEGUN
            return None
        if not data:
            return None
        return BodyData(self._take_body(data, self._left), self._left > 0)

    def _take_body(self, data: bytes, left: int) -> bytes:
        """Return the next bytes of the body, of which so many are to come, and keep the bytes after it."""
        body = data if len(data) <= left else data[:left]
        self._left = left - len(body)
        self.ended = not self._left
        self._rest = data[len(body) :]
        self.holds_next = self.ended and self._rest not in NOT_BEGUN
        return body

    def _leave(self, data: bytes) -> Event | None:
        self._slow = H11Parser(self._limits)
        self._rest = b""
        return self._feed_slow(data)

    def _feed_slow(self, data: bytes) -> Event | None:
        assert self._slow is not None
        slow = self._slow
        try:
            return slow.feed(data)
        finally:
            self.head, self.ended = slow.head, slow.ended
            self.in_head, self.holds_next = slow.in_head, slow.holds_next

    def _parse(self, head: bytes) -> tuple[RequestHead, int]:
        """Read a head of HTTP/1.0, or with an unusual method, by h11 or by the parser of a subclass."""
        lines = head.lower().split(b"\r\n")
        if any(line.partition(b":")[0] in NOT_ORDINARY for line in lines):
            raise NotOrdinary  # before it is parsed twice
        try:
            event = H11Parser(self._limits).feed(head)
        except RemoteProtocolError:
            raise NotOrdinary from None
        assert isinstance(event, RequestHead)
        if not event.more:
            return event, 0
        event.more = False
        return event, next(int(value) for name, value in event.headers if name == b"content-length")


def is_clean(head: bytes) -> bool:
    """Tell whether a head, or the beginning of one, has only line ends of CR LF, no folded lines and controls."""
    line_ends = head.count(b"\r\n")
    return (
        head.count(b"\n") == line_ends
        and head.count(b"\r") == line_ends
        and head[:1] > b" "
        and not has_controls(head)
        and b"\r\n " not in head
        and b"\r\n\t" not in head
    )

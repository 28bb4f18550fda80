"""The requests that are nearly all: a clean head, and a body of known length. What is out of the ordinary is for h11.

A head is looked at once all of it is there. If its header block was seen before, it is not parsed again. Whatever is
unusual about a request, an error included, is left to `H11Parser` from its first byte: so a request is refused, and
with which status, by the same code whatever parses the heads, and no two of them can be played off against each other.
"""

import re

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import BodyData, Event, Limits, RequestEnd, RequestHead
from snakepit.http.fields import has_controls
from snakepit.http.h1.h11_parser import METHODS, H11Parser
from snakepit.http.strict import NOT_BEGUN
from snakepit.http.types import Headers

_HEAD_END = b"\r\n\r\n"
_END = RequestEnd()
_REQUEST_LINE = re.compile(rb"([!-~]+) (/[!-~]*) HTTP/1\.([01])\r\n")
NOT_ORDINARY = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
"""Fields that make a request one for `H11Parser`."""


class NotOrdinary(Exception):
    """Raised for a request that `H11Parser` is to read."""


class KnownFields:
    """Header blocks that were parsed and found good, for the clients that send the same one with every request.

    Shared by all connections. What follows from a block and a request line of HTTP/1.1 is kept: the header fields,
    whether the connection stays, and the length of the body.
    """

    KEPT = 512
    LARGEST = 4096  # bytes; a longer block is not kept, so that all of them take 2 MiB at the most

    def __init__(self) -> None:
        self._blocks: dict[bytes, tuple[Headers, bool, int]] = {}
        self.get = self._blocks.get

    def add(self, block: bytes, headers: Headers, keep_alive: bool, length: int) -> None:
        """Keep a block, in place of the one that was kept for longest if there are too many."""
        if len(block) <= self.LARGEST:
            if len(self._blocks) >= self.KEPT:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[block] = headers, keep_alive, length


class CleanHeadParser:
    """Parses ordinary requests itself, and leaves all others to h11."""

    def __init__(self, limits: Limits, known: KnownFields) -> None:
        self._limits = limits
        self._known = known
        self._rest = b""  # came and not parsed: some of a head, or what follows the request's end
        self._begin()

    def _begin(self) -> None:
        self._slow: H11Parser | None = None  # reads this request in our stead
        self._events: list[Event] = []
        self._left = 0  # bytes of body to come
        self._ended = False
        self._head_done = False

    def feed(self, data: bytes) -> None:
        if self._slow is not None:
            self._slow.feed(data)
        elif self._ended:
            self._rest += data
        elif self._head_done:
            self._take_body(data)
        else:
            self._take_head(self._rest + data if self._rest else data)

    def events(self) -> list[Event]:
        if self._slow is not None:
            return self._slow.events()
        events, self._events = self._events, []
        return events

    def rest(self) -> bytes:
        return self._slow.rest() if self._slow is not None else self._rest

    def restart(self) -> None:
        waiting = self.rest()
        self._begin()
        self._rest = b""
        if waiting:
            self.feed(waiting)

    @property
    def ended(self) -> bool:
        return self._slow.ended if self._slow is not None else self._ended

    @property
    def in_head(self) -> bool:
        if self._slow is not None:
            return self._slow.in_head
        if self._head_done:  # but nobody has asked for it yet
            return bool(self._events) and isinstance(self._events[0], RequestHead)
        return self._rest not in NOT_BEGUN

    @property
    def holds_next(self) -> bool:
        return self._slow.holds_next if self._slow is not None else self._ended and self._rest not in NOT_BEGUN

    def _take_head(self, data: bytes) -> None:
        end = data.find(_HEAD_END) + len(_HEAD_END)
        if end >= len(_HEAD_END):
            head = data[:end] if end < len(data) else data
            try:
                event, self._left = self._read(head)
            except NotOrdinary:
                self._leave(data)
                return
            self._head_done = True
            self._rest = b""
            self._events.append(event)
            self._take_body(data[end:])
        elif data not in NOT_BEGUN and (
            len(data) > self._limits.head or not is_clean(data[:-1] if data.endswith(b"\r") else data)
        ):
            self._leave(data)
        else:
            self._rest = data

    def _take_body(self, data: bytes) -> None:
        if self._left:
            body, data = (data, b"") if len(data) <= self._left else (data[: self._left], data[self._left :])
            self._left -= len(body)
            if body:
                self._events.append(BodyData(body))
        if not self._left:
            self._ended = True
            self._rest = data
            self._events.append(_END)

    def _leave(self, data: bytes) -> None:
        self._slow = H11Parser(self._limits)
        self._slow.feed(data)
        self._rest = b""

    def _read(self, head: bytes) -> tuple[RequestHead, int]:
        """Return a head's event, and its body's length. Raises NotOrdinary."""
        line = _REQUEST_LINE.match(head)
        if line is None or len(head) > self._limits.head:
            raise NotOrdinary
        name, target, minor = line.groups()
        method = METHODS.get(name)
        if method is None or minor == b"0":
            return self._parse(head)
        block = head[line.end() :]
        known = self._known.get(block)
        if known is None:
            event, length = self._parse(head)
            self._known.add(block, event.headers, event.keep_alive, length)
            return event, length
        headers, keep_alive, length = known
        return RequestHead(method, target, "1.1", headers, False, keep_alive), length

    def _parse(self, head: bytes) -> tuple[RequestHead, int]:
        """Read a head whose header block is not known, by h11 or what a subclass has in its place."""
        lines = head.lower().split(b"\r\n")
        if any(line.partition(b":")[0] in NOT_ORDINARY for line in lines):
            raise NotOrdinary  # before it is parsed twice
        parser = H11Parser(self._limits)
        parser.feed(head)
        try:
            event, *rest = parser.events()
        except RemoteProtocolError:
            raise NotOrdinary from None
        assert isinstance(event, RequestHead)
        if rest:
            return event, 0
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

"""Parses requests by h11: the reference, and the parser for unusual requests.

h11 keeps the client's state machine and the body's framing. This module adds what h11 leaves to its caller: the limits,
and the strictness of `snakepit.http.strict`. A new h11 connection reads each request (making one takes a microsecond),
since h11's own cycle also needs the responses, which do not go through h11: writing them with it took as long as
parsing.
"""

from collections import deque

import h11

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import BodyData, Event, Limits, RequestHead
from snakepit.http.fields import has_controls
from snakepit.http.strict import (
    NOT_BEGUN,
    HeadCheck,
    bare_line_feed,
    check_head,
    control_character,
    http_version,
    keeps_alive,
    too_long,
    without_empty_lines,
)

METHODS = {name.encode("ascii"): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
"""The usual methods as text, by their bytes, so that they need not be decoded each time."""


class H11Parser:
    """A parser of any request, by h11. See `protocol.RequestParser`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._begin(b"")

    def _begin(self, waiting: bytes) -> None:
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.head)
        self._check = HeadCheck(self._limits.head)
        self._body_received = 0
        self._before = waiting  # came, and was not looked at, or may be empty lines before the request
        self._fed = False  # bytes of the current request have been looked at
        self._chunked = False
        self._tail: deque[bytes] = deque()  # what came last of a chunked body, to look at its trailers
        self._tail_size = 0
        self.head: RequestHead | None = None
        self.ended = self.holds_next = False
        self.in_head = waiting not in NOT_BEGUN

    def feed(self, data: bytes) -> Event | None:
        if not self._fed:
            data = self._before + data
            if data in NOT_BEGUN:
                self._before = data
                return None
            data = without_empty_lines(data)
        if not self.ended:
            self._look_at(data)
        if data:  # to h11 an empty one is the end
            self._connection.receive_data(data)
        event = None if self.ended else self._next_event()
        self.in_head = self._connection.their_state is h11.IDLE
        self.holds_next = self.ended and self.rest() not in NOT_BEGUN
        return event

    def _look_at(self, data: bytes) -> None:
        self._fed = True
        self._check.feed(data)
        self._tail.append(data)
        self._tail_size += len(data)
        while self._tail_size - len(self._tail[0]) > self._limits.head:
            self._tail_size -= len(self._tail.popleft())

    def _next_event(self) -> Event | None:
        """Make one event of everything that h11 finds in the received bytes."""
        head: RequestHead | None = None
        pieces: list[bytes] = []
        ended = False
        try:
            while not ended:
                event = self._connection.next_event()
                if isinstance(event, h11.Data):
                    pieces.append(self._body(event))
                elif isinstance(event, h11.Request):
                    head = self._head(event)
                elif isinstance(event, h11.EndOfMessage):
                    # What follows is a later request, or can be ignored if the connection closes.
                    self._check_trailers(event)
                    ended = True
                else:
                    break
        except h11.RemoteProtocolError as error:
            # without its traceback: one of h11's frames holds the error itself, and others hold the whole connection
            cause = error.with_traceback(None)
            raise RemoteProtocolError(_readable(str(error)), error.error_status_hint) from cause
        self.ended = ended
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if head is not None:
            self.head = head
            head.body, head.more = body, not ended
            return head
        return BodyData(body, not ended) if pieces or ended else None

    def restart(self) -> None:
        self._begin(self.rest())

    def rest(self) -> bytes:
        return self._connection.trailing_data[0]

    def _head(self, event: h11.Request) -> RequestHead:
        version = http_version(event.http_version)
        headers = list(event.headers)
        method = METHODS.get(event.method) or event.method.decode("ascii")
        self._chunked = any(name == b"transfer-encoding" for name, _ in headers)
        expects_continue = check_head(method, event.target, headers, self._limits) and version == "1.1"
        return RequestHead(
            method,
            event.target,
            version,
            headers,
            expects_continue,
            keep_alive=keeps_alive(version, headers),
            upgrade=any(name == b"upgrade" for name, _ in headers),
        )

    def _body(self, event: h11.Data) -> bytes:
        self._body_received += len(event.data)
        limit = self._limits.body
        if limit is not None and self._body_received > limit:
            raise too_long(limit)
        return bytes(event.data)

    def _check_trailers(self, event: h11.EndOfMessage) -> None:
        """Refuse bare line feeds around a chunked body's trailers, and control characters in them: h11 accepts both."""
        if not self._chunked:
            return
        if any(has_controls(value) for _, value in event.headers):
            raise control_character()
        seen = b"".join(self._tail)
        end = len(seen) - len(self.rest())
        for _ in range(len(list(event.headers)) + 2):  # the last chunk's line, the trailers, the empty line
            line_feed = seen.rfind(b"\n", 0, end)
            if line_feed >= 0 and seen[line_feed - 1 : line_feed] != b"\r":
                raise bare_line_feed()
            end = max(line_feed, 0)


def _readable(reason: str) -> str:
    """Make h11's messages readable: it shows refused lines as bytearray(b'...')."""
    before, found, line = reason.partition("bytearray(b")
    return before + line.removesuffix(")") if found else reason

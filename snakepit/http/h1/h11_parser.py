"""Parses requests by h11: the reference, and the parser for unusual requests.

h11 reads the head, and keeps the framing of a body whose length is known; `chunked` reads the other bodies. This module
adds what h11 leaves to its caller: the limits, and the strictness of `snakepit.http.strict`. A new h11 connection reads
each request (making one takes a microsecond), since h11's own cycle also needs the responses, which do not go through
h11: writing them with it took as long as parsing.
"""

import h11

from snakepit.errors import RemoteProtocolError
from snakepit.http.events import BodyData, Event, Limits, RequestHead
from snakepit.http.h1.chunked import ChunkedBody
from snakepit.http.strict import (
    NOT_BEGUN,
    HeadCheck,
    check_head,
    http_version,
    keeps_alive,
    too_long,
    without_empty_lines,
)
from snakepit.http.target import with_host_of

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
        self._chunks: ChunkedBody | None = None  # reads the body, if it is chunked
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
        self._fed = True
        event: Event | None = None
        if self._chunks is not None:
            event = self._feed_chunks(self._chunks, data)
        else:
            if not self.ended:
                self._check.feed(data)
            if data:  # to h11 an empty one is the end
                self._connection.receive_data(data)
            if not self.ended:
                event = self._next_event()
        self.in_head = self._connection.their_state is h11.IDLE
        self.holds_next = self.ended and self.rest() not in NOT_BEGUN
        return event

    def _feed_chunks(self, chunks: ChunkedBody, data: bytes) -> Event | None:
        if self.ended:
            chunks.rest += data
            return None
        body = chunks.feed(data)
        self.ended = chunks.ended
        return BodyData(body, not self.ended) if body or self.ended else None

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
                    if self._chunks is not None:
                        pieces.append(self._chunks.feed(self._connection.trailing_data[0]))
                        ended = self._chunks.ended
                        break
                elif isinstance(event, h11.EndOfMessage):
                    # What follows is a later request, or can be ignored if the connection closes.
                    ended = True
                else:
                    break
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            if status == 501 and not self._check.chunked_is_last():
                status = 400  # RFC 9112 section 6.3: where the body ends can't be known
            # without its traceback: one of h11's frames holds the error itself, and others hold the whole connection
            cause = error.with_traceback(None)
            raise RemoteProtocolError(_readable(str(error)), status) from cause
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
        if self._chunks is not None:
            return self._chunks.rest
        return self._connection.trailing_data[0]

    def _head(self, event: h11.Request) -> RequestHead:
        version = http_version(event.http_version)
        headers = list(event.headers)
        method = METHODS.get(event.method) or event.method.decode("ascii")
        expects_continue = check_head(method, event.target, headers, self._limits) and version == "1.1"
        if any(name == b"transfer-encoding" for name, _ in headers):
            self._chunks = ChunkedBody(self._limits)
        return RequestHead(
            method,
            event.target,
            version,
            with_host_of(event.target, headers),
            expects_continue,
            keep_alive=keeps_alive(version, headers),
            upgrade=any(name == b"upgrade" for name, _ in headers),
            demands_tls=event.target[:6].lower() == b"https:",
        )

    def _body(self, event: h11.Data) -> bytes:
        self._body_received += len(event.data)
        limit = self._limits.body
        if limit is not None and self._body_received > limit:
            raise too_long(limit)
        return bytes(event.data)


def _readable(reason: str) -> str:
    """Make h11's messages readable: it shows refused lines as bytearray(b'...')."""
    before, found, line = reason.partition("bytearray(b")
    return before + line.removesuffix(")") if found else reason

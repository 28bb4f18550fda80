"""HTTP/1 through h11: the reference, and what runs when nothing faster is installed.

h11 keeps both sides' state machines and all of the framing. This module adds what h11 leaves to its caller: the
limits, the strictness of `snakepit.protocol.strict`, and bodies that must not be sent (HEAD, 204, 304).
"""

from collections import deque
from http import HTTPStatus

import h11

from snakepit.envelopes import Headers
from snakepit.errors import LocalProtocolError, RemoteProtocolError
from snakepit.protocol.interface import BodyData, Event, Limits, RequestEnd, RequestHead
from snakepit.protocol.strict import HeadCheck, bare_line_feed, check_head, http_version, too_long

_REASONS = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
_METHODS = {name.encode("ascii"): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
_END = h11.EndOfMessage()


class H11Protocol:
    """See `snakepit.protocol.interface.ServerProtocol`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head)
        self._output: list[bytes] = []
        self._body_received = 0
        self._is_head = False  # the request in hand has the method HEAD
        self._bodyless = False  # the response in hand has no body on the wire, whatever the app sends
        self._fed = False  # bytes of the current request have come
        self._ended = False  # the current request is complete
        self._check = HeadCheck(limits.head)
        self._refusal: RemoteProtocolError | None = None  # found while feeding, to be raised when events are asked for
        self._chunked = False
        self._tail: deque[bytes] = deque()  # what came last of a chunked body, to look at its trailers
        self._tail_size = 0

    def receive_data(self, data: bytes) -> None:
        if not self._ended:
            self._feed(data)
        self._connection.receive_data(data)

    def _feed(self, data: bytes) -> None:
        self._fed = True
        try:
            self._check.feed(data)
        except RemoteProtocolError as error:
            self._refusal = error
        self._tail.append(data)
        self._tail_size += len(data)
        while self._tail_size - len(self._tail[0]) > self._limits.head:
            self._tail_size -= len(self._tail.popleft())

    def receive_eof(self) -> None:
        self._connection.receive_data(b"")

    def events_received(self) -> list[Event]:
        if self._refusal is not None:
            raise self._refusal
        events: list[Event] = []
        try:
            while not self._ended:
                event = self._connection.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return events
                if isinstance(event, h11.Data):
                    events.append(self._body(event))
                elif isinstance(event, h11.Request):
                    events.append(self._head(event))
                elif isinstance(event, h11.EndOfMessage):
                    # What follows is a later request, or nothing to care for where the connection closes.
                    self._ended = True
                    self._check_trailers(event)
                    events.append(RequestEnd())
                elif isinstance(event, h11.ConnectionClosed):
                    break
        except h11.RemoteProtocolError as error:
            raise RemoteProtocolError(str(error), error.error_status_hint) from error
        return events

    def send_informational(self, status: int) -> None:
        self._send(h11.InformationalResponse(status_code=status, headers=[], reason=_REASONS[status]))

    def send_response(self, status: int, headers: Headers, length: int | None, close: bool) -> None:
        self._bodyless = self._is_head or status in (204, 304)
        if length is not None and not self._bodyless and not _announces_length(headers):
            headers = [*headers, (b"content-length", b"%d" % length)]
        if close:
            headers = [*headers, (b"connection", b"close")]
        try:
            event = h11.Response(status_code=status, headers=headers, reason=_REASONS.get(status, b""))
        except h11.LocalProtocolError as error:
            raise LocalProtocolError(f"the app sent an illegal response: {error}") from error
        self._send(event)

    def send_body(self, data: bytes) -> None:
        if data and not self._bodyless:
            self._send(h11.Data(data=data))

    def send_end(self) -> None:
        self._send(_END)

    def data_to_send(self) -> bytes:
        output = self._output
        data = output[0] if len(output) == 1 else b"".join(output)
        output.clear()
        return data

    def next_cycle(self) -> bool:
        connection = self._connection
        if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
            return False
        connection.start_next_cycle()
        self._body_received = 0
        self._is_head = self._fed = self._ended = False
        self._check.restart()
        self._tail.clear()
        self._tail_size = 0
        waiting, _ = connection.trailing_data
        if waiting:
            self._feed(waiting)
        return True

    @property
    def can_answer(self) -> bool:
        return self._connection.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    @property
    def in_head(self) -> bool:
        return self._fed and self._connection.their_state is h11.IDLE

    @property
    def holds_next(self) -> bool:
        return self._ended and bool(self._connection.trailing_data[0])

    def _check_trailers(self, event: h11.EndOfMessage) -> None:
        """Refuse bare line feeds around a chunked body's trailers: h11 takes them for line ends there, too."""
        if not self._chunked:
            return
        seen = b"".join(self._tail)
        end = len(seen) - len(self._connection.trailing_data[0])
        for _ in range(len(list(event.headers)) + 2):  # the last chunk's line, the trailers, the empty line
            line_feed = seen.rfind(b"\n", 0, end)
            if line_feed >= 0 and seen[line_feed - 1 : line_feed] != b"\r":
                raise bare_line_feed()
            end = max(line_feed, 0)

    def _head(self, event: h11.Request) -> RequestHead:
        version = http_version(event.http_version)
        headers = list(event.headers)
        method = _METHODS.get(event.method) or event.method.decode("ascii")
        self._is_head = method == "HEAD"
        self._chunked = any(name == b"transfer-encoding" for name, _ in headers)
        expects_continue = check_head(method, event.target, headers, self._limits)
        return RequestHead(method, event.target, version, headers, expects_continue and version == "1.1")

    def _body(self, event: h11.Data) -> BodyData:
        self._body_received += len(event.data)
        limit = self._limits.body
        if limit is not None and self._body_received > limit:
            raise too_long(limit)
        return BodyData(bytes(event.data))

    def _send(self, event: h11.Event) -> None:
        try:
            data = self._connection.send(event)
        except h11.LocalProtocolError as error:
            raise LocalProtocolError(f"the app sent an illegal response: {error}") from error
        if data:
            self._output.append(data)


def _announces_length(headers: Headers) -> bool:
    return any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in headers)

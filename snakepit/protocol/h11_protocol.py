"""HTTP/1 through h11: the reference, and what runs when nothing faster is installed.

h11 keeps both sides' state machines and all of the framing. This module adds what h11 leaves to its caller: the
limits, the strictness of `snakepit.protocol.strict`, and bodies that must not be sent (HEAD, 204, 304).
"""

from http import HTTPStatus

import h11

from snakepit.envelopes import Headers
from snakepit.errors import LocalProtocolError, RemoteProtocolError
from snakepit.protocol.interface import BodyData, Event, Limits, RequestEnd, RequestHead
from snakepit.protocol.strict import check_head, check_line_ends, http_version, too_long

_REASONS = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
_METHODS = {name.encode("ascii"): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
_END = h11.EndOfMessage()
_HEAD_END = b"\r\n\r\n"


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
        self._last = b""  # up to three bytes before what comes next, while a head is being read

    def receive_data(self, data: bytes) -> None:
        if self._connection.their_state is h11.IDLE:
            self._check_line_ends(data)
        self._fed = True
        self._connection.receive_data(data)

    def receive_eof(self) -> None:
        self._connection.receive_data(b"")

    def events_received(self) -> list[Event]:
        events: list[Event] = []
        try:
            while True:
                event = self._connection.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return events
                if isinstance(event, h11.Data):
                    events.append(self._body(event))
                elif isinstance(event, h11.Request):
                    events.append(self._head(event))
                elif isinstance(event, h11.EndOfMessage):
                    events.append(RequestEnd())
                elif isinstance(event, h11.ConnectionClosed):
                    return events
        except h11.RemoteProtocolError as error:
            raise RemoteProtocolError(str(error), error.error_status_hint) from error

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
        self._last = b""
        self._is_head = False
        waiting, _ = connection.trailing_data
        self._fed = bool(waiting)
        if waiting:
            self._check_line_ends(waiting)
        return True

    @property
    def can_answer(self) -> bool:
        return self._connection.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    @property
    def in_head(self) -> bool:
        return self._fed and self._connection.their_state is h11.IDLE

    @property
    def holds_next(self) -> bool:
        return self._connection.their_state is h11.DONE and bool(self._connection.trailing_data[0])

    def _check_line_ends(self, data: bytes) -> None:
        # The head may end within `data`, behind which a body may hold any bytes at all; and a line end may be
        # split between two calls.
        before = self._last
        seen = before + data
        end = seen.find(_HEAD_END)
        head = seen if end < 0 else seen[: end + len(_HEAD_END)]
        self._last = seen[-3:]
        check_line_ends(before[-1:], head[len(before) :])

    def _head(self, event: h11.Request) -> RequestHead:
        version = http_version(event.http_version)
        headers = list(event.headers)
        method = _METHODS.get(event.method) or event.method.decode("ascii")
        self._is_head = method == "HEAD"
        expects_continue = check_head(method, headers, self._limits)
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

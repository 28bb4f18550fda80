"""HTTP/1.1 and 1.0 on one connection: a parser for what comes, a writer for what goes, and the turn between them."""

from typing import Protocol

from snakepit.errors import LocalProtocolError
from snakepit.http.events import Event, RequestHead
from snakepit.http.fields import Fields
from snakepit.http.h1.writer import FieldSource, ResponseWriter, informational


class RequestParser(Protocol):
    """Makes events of one request after the other, whichever library does the work."""

    def feed(self, data: bytes) -> None:
        """Take bytes; never raises."""

    def events(self) -> list[Event]:
        """Return what has come of the current request. Raises RemoteProtocolError."""

    def restart(self) -> None:
        """Go on to the next request; the current one has ended."""

    def rest(self) -> bytes:
        """Return what came after the current request's end."""

    @property
    def ended(self) -> bool:
        """Whether the current request is complete."""

    @property
    def in_head(self) -> bool:
        """Whether some of the current request's head has come, but not all of it."""

    @property
    def holds_next(self) -> bool:
        """Whether bytes that belong to a later request have come already."""


_NOT_READ = RequestHead("", b"", "1.1", [], False, keep_alive=False)
"""Stands for a head that could not be read and is answered all the same: with a refusal, and the connection ends."""


class Http1Protocol:
    """Speaks HTTP/1 on one connection, with the four verbs of `snakepit.http.events`."""

    def __init__(self, parser: RequestParser, common: FieldSource) -> None:
        self._parser = parser
        self._writer = ResponseWriter(common)
        self._output: list[bytes] = []
        self._head: RequestHead | None = None  # of the request in hand, once it is there

    def receive_data(self, data: bytes) -> None:
        self._parser.feed(data)

    def events_received(self) -> list[Event]:
        events = self._parser.events()
        if events and isinstance(events[0], RequestHead):
            self._head = events[0]
        return events

    def send_informational(self, status: int) -> None:
        self._output.append(informational(status))

    def send_response(self, status: int, fields: Fields, body: bytes, more: bool, close: bool) -> None:
        if self._writer.begun:
            raise LocalProtocolError("a response has begun already")
        head = self._head or _NOT_READ
        self._output += self._writer.begin(
            status,
            fields,
            body,
            more,
            is_head=head.method == "HEAD",
            http_version=head.http_version,
            keep_alive=head.keep_alive and not close,
        )

    def send_body(self, data: bytes, more: bool) -> None:
        if data := self._writer.body(data, more):
            self._output.append(data)

    def data_to_send(self) -> list[bytes]:
        data, self._output = self._output, []
        return data

    def next_cycle(self) -> bool:
        writer = self._writer
        if not (writer.ended and writer.keep_alive and self._parser.ended):
            return False
        self._head = None
        writer.restart()
        self._parser.restart()
        return True

    def rest(self) -> bytes:
        return self._parser.rest()

    @property
    def can_answer(self) -> bool:
        return not self._writer.begun

    @property
    def in_head(self) -> bool:
        return self._parser.in_head

    @property
    def holds_next(self) -> bool:
        return self._parser.holds_next

"""What a connection needs of an HTTP/1 protocol, whichever library is behind it.

The contract has four verbs: feed what came with `receive_data`, ask `events_received` what it meant, answer with the
`send_*` methods, and write what `data_to_send` returns.
"""

from dataclasses import dataclass, field
from typing import Protocol

from snakepit.http.fields import Fields
from snakepit.http.types import Headers


@dataclass(slots=True)
class RequestHead:
    """A request's head (RFC 9112 section 3). Header names are in lower case, in the order they came."""

    method: str
    target: bytes
    http_version: str
    headers: Headers
    expects_continue: bool
    keep_alive: bool = field(default=True, compare=False)
    """Whether the client wants the connection to stay (RFC 9112 section 9.3)."""
    upgrade: bool = field(default=False, compare=False)
    """Whether there is an Upgrade field."""


@dataclass(slots=True)
class BodyData:
    """Some bytes of the request's body, free of any transfer coding."""

    data: bytes


@dataclass(slots=True)
class RequestEnd:
    """The request is complete."""


type Event = RequestHead | BodyData | RequestEnd


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may be: bytes of head, number of header fields, bytes of body (None: no limit)."""

    head: int = 64 * 1024
    fields: int = 100
    body: int | None = None


class ServerProtocol(Protocol):
    """One connection's HTTP/1, seen from the server."""

    def receive_data(self, data: bytes) -> None:
        """Take bytes that came from the client."""

    def events_received(self) -> list[Event]:
        """Return what came since the last call. After a RequestEnd nothing more comes until `next_cycle`.

        Raises RemoteProtocolError, which carries the status to answer with; nothing can be read after that.
        """

    def send_informational(self, status: int) -> None:
        """Send an interim response (RFC 9110 section 15.2) without header fields."""

    def send_response(self, status: int, fields: Fields, body: bytes, more: bool, close: bool) -> None:
        """Send a response's head and the first of its body, which is left out where the response can have none.

        `close` says that the connection ends with this response. Raises LocalProtocolError where the body is longer
        than announced or, without `more`, shorter; then nothing was sent, and another response may be.
        """

    def send_body(self, data: bytes, more: bool) -> None:
        """Send some of the body. Raises LocalProtocolError as `send_response` does."""

    def data_to_send(self) -> list[bytes]:
        """Return what the client must get, in pieces: what was sent since the last call."""

    def next_cycle(self) -> bool:
        """Make ready for the next request; False where the connection can't carry one."""

    def rest(self) -> bytes:
        """Return what came after the request in hand, for whoever takes the connection over."""

    @property
    def can_answer(self) -> bool:
        """Whether a response may still be sent: none was begun for the current request."""

    @property
    def in_head(self) -> bool:
        """Whether some of a request's head has come, but not all of it."""

    @property
    def holds_next(self) -> bool:
        """Whether bytes that belong to a later request have come already."""

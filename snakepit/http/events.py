"""The events that parsers make of a client's bytes, and the limits of a request."""

from dataclasses import dataclass, field

from snakepit.http.types import Headers


@dataclass(slots=True)
class RequestHead:
    """A request's head (RFC 9112 section 3), and as much of its body as came with it.

    Header names are in lower case, in the order they came.
    """

    method: str
    target: bytes
    http_version: str
    headers: Headers
    expects_continue: bool
    keep_alive: bool = field(default=True, compare=False)
    """Whether the client wants the connection to stay (RFC 9112 section 9.3)."""
    upgrade: bool = field(default=False, compare=False)
    """Whether there is an Upgrade field."""
    demands_tls: bool = field(default=False, compare=False)
    """Whether the target is a URL of https."""
    body: bytes = b""
    more: bool = False
    """Whether more of the body will come, as BodyData."""

    @property
    def path(self) -> str:
        """The target without its query, in which there may be secrets: for people."""
        return self.target.partition(b"?")[0].decode("latin-1")


@dataclass(slots=True)
class BodyData:
    """Some bytes of the request's body, free of any transfer coding; not `more`: the request is complete."""

    data: bytes
    more: bool


type Event = RequestHead | BodyData


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a request: bytes of head, number of header fields, bytes of body (None: no limit)."""

    head: int = 64 * 1024
    fields: int = 100
    body: int | None = None

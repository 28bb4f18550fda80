"""A case: a requirement, bytes that try it, and the ways in which a server may take them."""

from dataclasses import dataclass

from conformance.verdicts import Way
from conformance.wire import CANARY, Outcome

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
"""A request in another one's body, or behind it: whoever answers it can be made to answer for others."""


@dataclass(frozen=True, slots=True)
class Case:
    """A case. The first of `ways` is what Snakepit does, the others are as good.

    `interface`: which apps it is for; empty: both. `note`: why Snakepit does so, where one may ask.
    """

    name: str
    section: str
    demand: str
    sent: bytes
    ways: tuple[Way, ...]
    interface: str = ""
    note: str = ""
    is_head: bool = False
    alone: bool = False
    """Whether no request follows, where the client may send none."""

    @property
    def stream(self) -> bytes:
        """All that is sent."""
        return self.sent if self.alone else self.sent + CANARY

    def is_met_by(self, outcome: Outcome) -> bool:
        """Tell whether a server has done one of the things that it may."""
        return any(way.holds(outcome) for way in self.ways)


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that concern the same part of HTTP."""

    title: str
    cases: tuple[Case, ...]


def get(target: bytes = b"/", *lines: bytes, version: bytes = b"HTTP/1.1", method: bytes = b"GET") -> bytes:
    """Write a request without a body; with no `lines`, its only field is a Host."""
    return b"\r\n".join((b"%b %b %b" % (method, target, version), *(lines or (b"Host: a",)), b"", b""))


def post(*lines: bytes, body: bytes = b"hello", version: bytes = b"HTTP/1.1") -> bytes:
    """Write a request with a body, with these fields beside its Host."""
    return get(b"/", b"Host: a", *lines, version=version, method=b"POST") + body


def chunked(body: bytes, *lines: bytes) -> bytes:
    """Write a request with this for its chunks."""
    return post(b"Transfer-Encoding: chunked", *lines, body=body)

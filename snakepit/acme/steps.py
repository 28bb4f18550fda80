"""What the protocol asks of its surroundings: requests, pauses, and challenges that have to be answered.

The protocol is generators. Each yields a step, and is sent what came of it: the response to a request, else None. So
it needs no sockets, no clock and no thread, and tests play the CA.
"""

import json
import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from snakepit.acme.problems import CaUnreachable, shown

MOST_RETRY_AFTER = 7 * 24 * 3600.0
"""Seconds; a CA that wants to be left alone for longer is asked again after that. The longest limits of Let's Encrypt
are a week."""

type ChallengeKind = Literal["http-01", "tls-alpn-01"]


@dataclass(frozen=True, slots=True)
class Request:
    """A request to the CA."""

    method: Literal["GET", "HEAD", "POST"]
    url: str
    body: bytes | None = None
    accept: str = "application/json"


@dataclass(frozen=True, slots=True)
class Response:
    """The CA's response.

    Args:
        headers: with names in lower case.
        retry_after: seconds, from Retry-After; None if there is none.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Time to let pass, in seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Challenge:
    """A challenge that must be answered from now on, until all steps are done.

    Args:
        name: the domain or address that the CA connects to.
        key_authorization: the answer (RFC 8555 section 8.1).
    """

    kind: ChallengeKind
    name: str
    token: str
    key_authorization: str


type Step = Request | Pause | Challenge
type Steps[T] = Generator[Step, Response | None, T]


def answer_to(request: Request) -> Steps[Response]:
    """Ask the CA, and return its response, whatever its status is."""
    response = yield request
    assert response is not None
    return response


def pause(seconds: float) -> Steps[None]:
    """Let time pass."""
    yield Pause(seconds)


def seconds_of(retry_after: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header names, by number or by date (RFC 9110 section 10.2.3)."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:20]), MOST_RETRY_AFTER)
    try:
        seconds = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), MOST_RETRY_AFTER) if math.isfinite(seconds) else None


class Members:
    """A JSON object that the CA sent, whose members are checked as they are read. Raises CaUnreachable."""

    def __init__(self, found: Any, what: str) -> None:
        if not isinstance(found, dict):
            raise CaUnreachable(f"{what} is no JSON object")
        self._found = found
        self._what = what

    @classmethod
    def of(cls, response: Response, what: str) -> "Members":
        """Return the object in a response's body."""
        try:
            return cls(json.loads(response.body), what)
        except (ValueError, RecursionError):
            raise CaUnreachable(f"{what} is not JSON") from None

    def text(self, name: str) -> str:
        """Return a member that is a string."""
        found = self._found.get(name)
        if not isinstance(found, str):
            raise CaUnreachable(f"{what_of(self._what, name)} is missing")
        return found

    def url(self, name: str) -> str:
        """Return a member that is a URL."""
        return checked_url(self.text(name), what_of(self._what, name))

    def optional_url(self, name: str) -> str | None:
        """Return a member that is a URL; None if it is not there."""
        return None if self._found.get(name) is None else self.url(name)

    def list(self, name: str) -> "list[Any]":
        """Return a member that is a list; empty if it is not there."""
        found = self._found.get(name, [])
        if not isinstance(found, list):
            raise CaUnreachable(f"{what_of(self._what, name)} is no list")
        return found

    def get(self, name: str) -> Any:
        """Return a member of any type; None if it is not there."""
        return self._found.get(name)


def what_of(what: str, name: str) -> str:
    """Name a member for an error."""
    return f"{name!r} in {what}"


def checked_url(url: str, what: str) -> str:
    """Return a URL of the CA's, which has to be https (RFC 8555 section 6.1)."""
    if not url.startswith("https://") or not url.isascii() or not url.isprintable() or " " in url:
        raise CaUnreachable(f"{what} is no https URL: {shown(url)}")
    return url

"""What may go wrong with a CA, as errors, and the problem documents by which it says so (RFC 7807, RFC 8555 6.7)."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from snakepit.errors import SnakepitError

_PREFIX = "urn:ietf:params:acme:error:"

MOST_TEXT = 500
"""Characters of a text by the CA that get into the log."""

MOST_SUBPROBLEMS = 10
"""Subproblems whose text gets into the log: there is one for each name at most, and an order has few."""


class AcmeError(SnakepitError):
    """A certificate can't be had now; the message says why.

    Args:
        reason: one sentence.
        retry_after: seconds for which the CA wants to be left alone; None: it says nothing about that.
    """

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class CaUnreachable(AcmeError):
    """The CA's server could not be reached, or did not answer as one."""


class ChallengeFailed(AcmeError):
    """The CA could not convince itself that this server answers for the name: another challenge may do that."""


class AcmeStopped(AcmeError):
    """The server stops, so this work does."""

    def __init__(self) -> None:
        super().__init__("the server stops")


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document.

    Args:
        kind: the type, without the prefix of those that RFC 8555 lists; empty if there is none.
        detail: a sentence for people.
        status: the HTTP status.
        instance: a URL for people, as with userActionRequired (RFC 8555 section 7.3.3).
        identifier: the name that a subproblem is about.
        subproblems: problems with single names (RFC 8555 section 6.7.1).
    """

    kind: str
    detail: str
    status: int = 0
    instance: str = ""
    identifier: str = ""
    subproblems: tuple["Problem", ...] = ()

    def __str__(self) -> str:
        said = ": ".join(part for part in (self.identifier, self.kind, self.detail) if part)
        said = said or f"status {self.status} without a reason"
        more = "; ".join(str(one) for one in self.subproblems[:MOST_SUBPROBLEMS])
        return f"{said}{f' ({more})' if more else ''}{f'; see {self.instance}' if self.instance else ''}"

    def kinds(self) -> Iterator[str]:
        """Yield the kinds of this problem and of those below."""
        yield self.kind
        for one in self.subproblems:
            yield from one.kinds()


class CaRefused(AcmeError):
    """The CA answered with an error."""

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(f"the CA says {problem}", retry_after)
        self.problem = problem


def problem_of(body: bytes, status: int) -> Problem:
    """Return the problem in the body of an error; never raises, as a proxy in between may send anything."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    return problem_from(found, status)


def problem_from(found: Any, status: int = 0) -> Problem:
    """Return the problem that a JSON value describes; what it leaves out, or has of a wrong type, is empty."""
    if not isinstance(found, dict):
        return Problem("", f"status {status}" if status else "", status)
    below = found.get("subproblems")
    identifier = found.get("identifier")
    return Problem(
        shown(found.get("type")).removeprefix(_PREFIX).replace("about:blank", ""),
        shown(found.get("detail")) or shown(found.get("title")),
        status,
        shown(found.get("instance")),
        shown(identifier.get("value")) if isinstance(identifier, dict) else "",
        tuple(_below(below)) if isinstance(below, list) else (),
    )


def _below(found: Iterable[Any]) -> Iterator[Problem]:
    for one in found:
        if isinstance(one, dict):  # subproblems have none of their own (RFC 8555 section 6.7.1)
            yield problem_from({key: value for key, value in one.items() if key != "subproblems"})


def shown(text: object) -> str:
    """Return a text of the CA's in a form that fits a line of the log; empty if it is none."""
    if not isinstance(text, str):
        return ""
    line = "".join(char if char.isprintable() else " " for char in text[: MOST_TEXT + 1]).strip()
    return line if len(text) <= MOST_TEXT else f"{line[:MOST_TEXT]}…"

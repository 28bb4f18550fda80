"""What a server may do with a request of a case: refuse it, or read it in one way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from conformance.wire import Outcome


class Way(Protocol):
    """One of the things that a server may do."""

    def holds(self, outcome: Outcome) -> bool:
        """Tell whether the server has done this."""

    def __str__(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Refuse:
    """A refusal with one of these statuses, after which nothing else is answered, unless the connection `may_go_on`.

    To close without an answer is a refusal, too: nobody can take it for anything else.
    """

    statuses: tuple[int, ...]
    may_go_on: bool = False

    def holds(self, outcome: Outcome) -> bool:
        answers = outcome.answers
        if outcome.strange:
            return False
        if not answers:
            return outcome.closed
        rest_is_well = len(answers) == 1 or (self.may_go_on and len(answers) == 2 and answers[1].is_canary)
        return answers[0].status in self.statuses and rest_is_well

    def __str__(self) -> str:
        return " or ".join(map(str, self.statuses)) + ("" if self.may_go_on else ", closes")


@dataclass(frozen=True, slots=True)
class Read:
    """A reading: the app was told just this of the request, in one request, and the connection goes on as it must.

    `then`: "next" where the connection has to go on with the canary, "close" where it may not, "either".
    """

    words: str
    told: dict[str, Any] = field(default_factory=dict)
    then: str = "either"
    paths: tuple[str, ...] = ()  # of the requests, if it is more than one
    also: Callable[[Outcome], bool] = lambda outcome: True

    def holds(self, outcome: Outcome) -> bool:
        answers = outcome.answers
        goes_on = bool(answers) and answers[-1].is_canary
        own = answers[:-1] if goes_on else answers
        if outcome.strange or (goes_on and self.then == "close") or (not goes_on and self.then == "next"):
            return False
        if not goes_on and not outcome.closed and self.then != "close":
            return False
        if len(own) != max(1, len(self.paths)) or any(answer.status != 200 for answer in own):
            return False
        if self.paths and tuple((answer.seen or {}).get("path") for answer in own) != self.paths:
            return False
        return _fits(own[0].seen, self.told) and self.also(outcome)

    def __str__(self) -> str:
        return self.words


def _fits(seen: dict[str, Any] | None, told: dict[str, Any]) -> bool:
    if not told:
        return True
    if seen is None:
        return False
    for key, value in told.items():
        if key == "fields":
            if any(_plain(seen["fields"].get(name)) != _plain(text) for name, text in value.items()):
                return False
        elif seen[key] != value:
            return False
    return True


def _plain(value: str | None) -> str | None:
    """Return the value of a field without what joining lines may add."""
    return None if value is None else value.replace(", ", ",")


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing: the server takes what comes for the rest of the request, and waits."""

    def holds(self, outcome: Outcome) -> bool:
        return not outcome.answers and not outcome.closed

    def __str__(self) -> str:
        return "waits for the rest"


@dataclass(frozen=True, slots=True)
class Switch:
    """Another protocol: HTTP/2, which begins with a frame of settings, at once or after 101."""

    def holds(self, outcome: Outcome) -> bool:
        return bool(outcome.strange) and all(answer.status == 101 for answer in outcome.answers)

    def __str__(self) -> str:
        return "goes on with HTTP/2"


@dataclass(frozen=True, slots=True)
class Clean:
    """An answer in which nothing is injected, whatever the app said: made harmless, or refused with 500."""

    words: str = "500, and the app's error in the log"
    only_refused: bool = True

    def holds(self, outcome: Outcome) -> bool:
        own = [answer for answer in outcome.answers if not answer.is_canary]
        if outcome.strange or len(own) > 1:
            return False
        if not own:
            return outcome.closed
        answer = own[0]
        if self.only_refused:
            return answer.status == 500
        controls = any(byte < 0x20 and byte not in b"\t" for line in answer.raw_head.split(b"\r\n") for byte in line)
        names = [name for name, _ in answer.fields]
        return not controls and all(not name.startswith("inject") and name for name in names)

    def __str__(self) -> str:
        return self.words

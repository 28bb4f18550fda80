"""Answers health checks: whether the server runs, and whether its apps have workers that react."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol

from snakepit.http.accept import names
from snakepit.http.target import is_among, split_target
from snakepit.server.responders.responder import LateResponder, answer, refuses_method

if TYPE_CHECKING:
    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Exchange

_NOT_KEPT = (b"cache-control", b"no-store")
_TEXT, _JSON = b"text/plain; charset=utf-8", b"application/json"


@dataclass(frozen=True, slots=True)
class AppHealth:
    """Whether an app can answer requests; `reason`: why it can't."""

    name: str
    ready: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a server can answer requests: `reason` says why none of them, `apps` whether those for each app."""

    apps: Sequence[AppHealth] = ()
    reason: str = ""

    @property
    def ready(self) -> bool:
        """Whether it can answer the requests for all apps."""
        return not self.reason and all(app.ready for app in self.apps)


type Told = Callable[[Health], None]
"""Gets what was found out."""


class Readiness(Protocol):
    """Finds out whether a server can answer requests."""

    def ask(self, told: Told) -> None:
        """Find it out, and call back, at once or soon."""


class HealthChecks(LateResponder):
    """A responder that answers health checks. It needs no worker.

    Args:
        livez: the path at which it says that the server runs; empty: none.
        readyz: the path at which it says whether the apps have workers that react; empty: none.
    """

    def __init__(self, livez: str, readyz: str, readiness: Readiness) -> None:
        super().__init__()
        self._readyz = readyz.encode()
        self._paths = frozenset(path.encode() for path in (livez, readyz) if path)
        self._readiness = readiness

    def takes(self, head: "RequestHead") -> bool:
        return is_among(head.target, self._paths)

    def submit(self, exchange: "Exchange") -> None:
        exchange.is_logged = self.is_logged
        if refuses_method(exchange, "Health is asked for with GET"):
            return
        if split_target(exchange.head.target)[0] == self._readyz:
            self.keep(exchange)
            self._readiness.ask(lambda health: self._found(exchange, health))
        else:
            _reply(exchange, 200, "alive\n", {"status": "alive"})

    def _found(self, exchange: "Exchange", health: Health) -> None:
        if not self.take(exchange):
            return
        status = "ready" if health.ready else "not ready"
        reasons = [health.reason, *(f"{app.name}: {app.reason}" for app in health.apps if not app.ready)]
        text = "".join(f"{line}\n" for line in (status, *filter(None, reasons)))
        facts = {"status": status, "reason": health.reason, "apps": [asdict(app) for app in health.apps]}
        _reply(exchange, 200 if health.ready else 503, text, facts)


def _reply(exchange: "Exchange", status: int, text: str, facts: object) -> None:
    as_json = names(exchange.head.headers, _JSON)
    body = (json.dumps(facts) if as_json else text).encode("utf-8", "backslashreplace")
    answer(exchange, status, [(b"content-type", _JSON if as_json else _TEXT), _NOT_KEPT], body)

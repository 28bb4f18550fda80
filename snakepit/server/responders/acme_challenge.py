"""Answers a CA that checks by plain HTTP whether this server has a name (RFC 8555 section 8.3)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from snakepit.http.target import origin_form
from snakepit.server.responders.responder import LateResponder, answer, refuses_method

if TYPE_CHECKING:
    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Exchange

PREFIX = b"/.well-known/acme-challenge/"
"""The beginning of the paths that CAs ask for."""

type FindAnswer = Callable[[str, Callable[[str | None], None]], None]
"""Calls back with the answer to the challenge with a token; None: there is no such challenge."""


class AcmeChallenge(LateResponder):
    """A responder that answers challenges.

    Args:
        find: finds the answer, which may have to be read from a file.
    """

    def __init__(self, find: FindAnswer) -> None:
        super().__init__()
        self._find = find

    def takes(self, head: "RequestHead") -> bool:
        return _path(head).startswith(PREFIX)

    def submit(self, exchange: "Exchange") -> None:
        if refuses_method(exchange, "Challenges are asked for with GET"):
            return
        self.keep(exchange)
        token = _path(exchange.head).removeprefix(PREFIX).partition(b"?")[0].decode("latin-1")
        self._find(token, lambda found: self._found(exchange, found))

    def _found(self, exchange: "Exchange", found: str | None) -> None:
        if not self.take(exchange):
            return
        if found is None:
            exchange.refuse(404, "No CA asks this server for that", [])
            return
        answer(exchange, 200, [(b"content-type", b"application/octet-stream")], found.encode())


def _path(head: "RequestHead") -> bytes:
    return head.target if head.target.startswith(b"/") else origin_form(head.target)

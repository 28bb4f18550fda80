"""Answers a CA that checks by plain HTTP whether this server has a name (RFC 8555 section 8.3)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from snakepit.http.fields import render
from snakepit.http.target import origin_form
from snakepit.server.responders.responder import Responder

if TYPE_CHECKING:
    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Exchange

PREFIX = b"/.well-known/acme-challenge/"
"""The beginning of the paths that CAs ask for."""

type FindAnswer = Callable[[str, Callable[[str | None], None]], None]
"""Calls back with the answer to the challenge with a token; None: there is no such challenge."""


class AcmeChallenge(Responder):
    """A responder that answers challenges.

    Args:
        find: finds the answer, which may have to be read from a file.
    """

    def __init__(self, find: FindAnswer) -> None:
        self._find = find
        self._kept: set[Exchange] = set()

    def takes(self, head: "RequestHead") -> bool:
        return _path(head).startswith(PREFIX)

    def submit(self, exchange: "Exchange") -> None:
        head = exchange.head
        if head.method not in ("GET", "HEAD"):
            exchange.refuse(405, "Challenges are asked for with GET", [(b"allow", b"GET, HEAD")])
            return
        exchange.mark_waiting()
        self._kept.add(exchange)
        token = _path(head).removeprefix(PREFIX).partition(b"?")[0].decode("latin-1")
        self._find(token, lambda answer: self._found(exchange, answer))

    def withdraw(self, exchange: "Exchange") -> None:
        self._kept.discard(exchange)

    def _found(self, exchange: "Exchange", answer: str | None) -> None:
        if exchange not in self._kept:
            return
        self._kept.discard(exchange)
        if answer is None:
            exchange.refuse(404, "No CA asks this server for that", [])
            return
        body = answer.encode()
        fields = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % len(body))]
        exchange.reply(200, render(fields), b"" if exchange.head.method == "HEAD" else body)


def _path(head: "RequestHead") -> bytes:
    return head.target if head.target.startswith(b"/") else origin_form(head.target)

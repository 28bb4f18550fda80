"""Answers Prometheus, and whoever else reads its text."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from snakepit.http.fields import render
from snakepit.http.target import split_target
from snakepit.server.responders.responder import Responder

if TYPE_CHECKING:
    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Exchange

type Write = Callable[[str], tuple[str, bytes]]
"""Writes the metrics in a form that this value of an Accept field asks for; returns the content type, and the text."""

type Gather = Callable[[Callable[[], None]], None]
"""Gathers what is to be written, and calls back."""


class MetricsPage(Responder):
    """A responder that answers with metrics.

    Args:
        path: where.
        gather: called before `write`.
    """

    def __init__(self, path: str, write: Write, gather: Gather) -> None:
        self._path = path.encode()
        self._write = write
        self._gather = gather
        self._kept: set[Exchange] = set()

    def takes(self, head: "RequestHead") -> bool:
        return split_target(head.target)[0] == self._path

    def submit(self, exchange: "Exchange") -> None:
        head = exchange.head
        if head.method not in ("GET", "HEAD"):
            exchange.refuse(405, "Metrics are asked for with GET", [(b"allow", b"GET, HEAD")])
            return
        exchange.mark_waiting()
        self._kept.add(exchange)
        self._gather(lambda: self._answer(exchange))

    def withdraw(self, exchange: "Exchange") -> None:
        self._kept.discard(exchange)

    def _answer(self, exchange: "Exchange") -> None:
        if exchange not in self._kept:
            return
        self._kept.discard(exchange)
        head = exchange.head
        accept = b",".join(value for name, value in head.headers if name == b"accept")
        kind, text = self._write(accept.decode("latin-1"))
        fields = [
            (b"content-type", kind.encode()),
            (b"cache-control", b"no-store"),
            (b"content-length", b"%d" % len(text)),
        ]
        exchange.reply(200, render(fields), b"" if head.method == "HEAD" else text)

"""Answers Prometheus, and whoever else reads its text."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from snakepit.http.target import is_among
from snakepit.server.responders.responder import LateResponder, answer, refuses_method

if TYPE_CHECKING:
    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Exchange

type Write = Callable[[str], tuple[str, bytes]]
"""Writes the metrics in a form that this value of an Accept field asks for; returns the content type, and the text."""

type Gather = Callable[[Callable[[], None]], None]
"""Gathers what is to be written, and calls back."""


class MetricsPage(LateResponder):
    """A responder that answers with metrics.

    Args:
        path: where.
        gather: called before `write`.
    """

    def __init__(self, path: str, write: Write, gather: Gather) -> None:
        super().__init__()
        self._paths = frozenset((path.encode(),))
        self._write = write
        self._gather = gather

    def takes(self, head: "RequestHead") -> bool:
        return is_among(head.target, self._paths)

    def submit(self, exchange: "Exchange") -> None:
        exchange.is_logged = self.is_logged
        if refuses_method(exchange, "Metrics are asked for with GET"):
            return
        self.keep(exchange)
        self._gather(lambda: self._answer(exchange))

    def _answer(self, exchange: "Exchange") -> None:
        if not self.take(exchange):
            return
        accept = b",".join(value for name, value in exchange.head.headers if name == b"accept")
        kind, text = self._write(accept.decode("latin-1"))
        answer(exchange, 200, [(b"content-type", kind.encode()), (b"cache-control", b"no-store")], text)

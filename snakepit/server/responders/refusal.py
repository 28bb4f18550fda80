"""Answers every request with the same error."""

from typing import TYPE_CHECKING

from snakepit.server.responders.responder import Responder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Destination, Exchange


class Refusal(Responder):
    """A responder that refuses all requests. It can also stand in the place of an app.

    Args:
        retry_after: seconds that clients are asked to wait (RFC 9110 section 10.2.3); None: they are not.
    """

    responders: "Sequence[Responder]" = ()

    def __init__(self, status: int, reason: str, retry_after: int | None = None) -> None:
        self._status = status
        self._reason = reason
        self._fields = [] if retry_after is None else [(b"retry-after", b"%d" % retry_after)]

    @property
    def destination(self) -> "Destination":
        """It answers by itself."""
        return self

    def takes(self, head: "RequestHead") -> bool:
        return True

    def submit(self, exchange: "Exchange") -> None:
        exchange.refuse(self._status, self._reason, self._fields)

    def withdraw(self, exchange: "Exchange") -> None:
        pass

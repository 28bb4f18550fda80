"""Answers the requests of an app that can't be started, where other apps of the server can."""

import math
import time
from typing import TYPE_CHECKING

from snakepit.server.responders.responder import Responder

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Exchange
    from snakepit.server.responders.failure_page import FailurePage

BACKOFF = 5.0, 300.0
"""Seconds until an app that could not be started is tried again, after the first failure and at most; doubled each
time."""


MOST_DOUBLED = 10
"""Times that the seconds are doubled: by then they are at their most."""


class Failed(Responder):
    """A responder that answers with 502 for some time, and then has the app started again for the next request.

    Args:
        failures: how often the app could not be started, in a row.
        start: starts it; its requests may be submitted to it at once.
        page: what `--debug` shows of it; None: nothing.
    """

    def __init__(self, failures: int, start: "Callable[[Exchange], None]", page: "FailurePage | None" = None) -> None:
        first, most = BACKOFF
        doubled = min(failures - 1, MOST_DOUBLED)
        self._until = time.monotonic() + min(first * 2.0**doubled, most)
        self._start = start
        self._page = page

    @property
    def seconds_left(self) -> float:
        """The time until it is tried again; not above 0: with the next request."""
        return self._until - time.monotonic()

    def takes(self, head: "RequestHead") -> bool:
        return True

    def submit(self, exchange: "Exchange") -> None:
        left = self.seconds_left
        if left > 0:
            fields = [(b"retry-after", b"%d" % math.ceil(left))]  # RFC 9110 section 10.2.3
            if self._page is not None:
                self._page.answer(exchange, 502, fields)
            else:
                exchange.refuse(502, "This app can't be started", fields)
        else:
            self._start(exchange)

    def withdraw(self, exchange: "Exchange") -> None:
        pass

"""The browsers that watch the live page: each gets the state every second, by server-sent events (HTML, section 9.2).

The state is taken once for all of them, and not at all while there are none. One that does not take what it gets skips
states; one that takes nothing for long is ended.
"""

import asyncio
import json
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from snakepit.http.fields import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from snakepit.server.exchanges.exchange import Exchange

PERIOD = 1.0
"""Seconds between two states."""

MOST = 16
"""Watchers at once: enough for everyone who has to do with a server, and a bound for what they cost it."""

STALLED = 20.0
"""Seconds after which a watcher that takes nothing is ended. Its browser connects again when it can."""

_FIELDS = render(
    [
        (b"content-type", b"text/event-stream"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),  # nginx would buffer the events
        (b"x-content-type-options", b"nosniff"),
    ]
)


class Watched(Protocol):
    """What is watched."""

    def ask_workers(self) -> None:
        """Have workers give a sign of life, for the next look."""

    def look(self) -> dict[str, Any]:
        """Return the state."""

    def past(self) -> list[dict[str, Any]]:
        """Return the last minutes."""


class Watcher:
    """One that watches. `taken_at`: when it took something last; `listed`: the number of what it got that is listed."""

    __slots__ = ("listed", "taken_at")

    def __init__(self) -> None:
        self.taken_at = monotonic()
        self.listed = -1


class Watchers:
    """Sends the state to all who watch.

    Args:
        listed: returns what changes rarely, and a number that grows when it does; each watcher gets it then.
    """

    def __init__(
        self,
        watched: Watched,
        listed: "Callable[[], tuple[int, object]]",
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._watched = watched
        self._listed = listed
        self._loop = loop
        self._watchers: dict[Exchange, Watcher] = {}
        self._state = b""  # the last one, as an event
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._watchers)

    def add(self, exchange: "Exchange") -> None:
        """Begin to send the state to one more."""
        if self._closed or len(self._watchers) >= MOST:
            why = "The server is stopping" if self._closed else f"{MOST} others watch this page already"
            exchange.refuse(503, why, [(b"retry-after", b"5")])
            return
        watcher = self._watchers[exchange] = Watcher()
        if self._timer is None:
            self._look()
        exchange.begin_reply(200, _FIELDS, event("past", self._watched.past()) + self._state + self._news(watcher))

    def discard(self, exchange: "Exchange") -> None:
        """Forget one, whose browser has gone; it may be none of these."""
        self._watchers.pop(exchange, None)
        if not self._watchers:
            self._rest()

    def close(self) -> None:
        """End all, and refuse others."""
        self._closed = True
        for exchange in list(self._watchers):
            self._end(exchange)

    def _send(self) -> None:
        self._look()
        now = monotonic()
        for exchange, watcher in list(self._watchers.items()):
            if exchange.takes_more:
                watcher.taken_at = now
                exchange.add_to_reply(self._state + self._news(watcher))
            elif now - watcher.taken_at > STALLED:
                exchange.stalled()

    def _look(self) -> None:
        self._timer = self._loop.call_later(PERIOD, self._send)
        self._state = event("state", self._watched.look())
        self._watched.ask_workers()

    def _news(self, watcher: Watcher) -> bytes:
        number, listed = self._listed()
        if number == watcher.listed:
            return b""
        watcher.listed = number
        return event("listed", listed)

    def _end(self, exchange: "Exchange") -> None:
        self.discard(exchange)
        exchange.add_to_reply(b"", more=False)

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def event(name: str, data: object) -> bytes:
    """Write an event. JSON without spaces and line ends fits on the one line of its data."""
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()

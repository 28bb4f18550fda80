"""What the HTTP/1 connections of a server share: deadlines, what becomes of WebSockets, and the end of all of them."""

from collections.abc import Hashable
from typing import Protocol

from snakepit.server.event_loop.deadlines import Deadlines, IdleDeadlines
from snakepit.server.net import client_limits
from snakepit.server.net.services import ConnectionServices
from snakepit.server.net.websocket import WebSockets


class Timed(Hashable, Protocol):
    """A connection as its deadlines know it."""

    @property
    def idle_since(self) -> float | None:
        """Since when it waits for its next request, in loop time; None: it does not."""

    def idle_too_long(self) -> None:
        """Called when the keep-alive time is over."""

    def head_too_slow(self) -> None:
        """Called when the time for a request's head is over."""

    def linger_over(self) -> None:
        """Called when the client has had its time to read the last answer."""

    def client_stalled(self) -> None:
        """Called when the server stops, and the client has not gone on with what it has begun."""

    def look_at_body(self) -> None:
        """Called when the time is over by which the rate of a body is measured."""


class Http1Services(ConnectionServices):
    """What the HTTP/1 connections of a server share beside the services for every protocol."""

    def _begin(self) -> None:
        loop, options = self.loop, self.options
        self.keep_alive = IdleDeadlines[Timed](
            loop, options.keep_alive_seconds, lambda one: one.idle_since, lambda one: one.idle_too_long()
        )
        self.heads = Deadlines[Timed](loop, options.head_seconds, lambda one: one.head_too_slow())
        self.lingering = Deadlines[Timed](loop, client_limits.LINGER_SECONDS, lambda one: one.linger_over())
        self.stalled = Deadlines[Timed](loop, client_limits.STALLED_SECONDS, lambda one: one.client_stalled())
        self.bodies = Deadlines[Timed](
            loop, client_limits.BODY_SECONDS if options.body_rate else None, lambda one: one.look_at_body()
        )
        self._deadlines = [self.keep_alive, self.heads, self.lingering, self.stalled, self.bodies]
        self.admission.watch(lambda: self.keep_alive, lambda: self.heads)
        self.websockets = WebSockets(options, self.connections, loop, self.log, self.stalls, self.admission.left)

    def drain(self, gently: bool = False) -> None:
        """Close connections that carry no exchange, and the others as soon as they have answered.

        `gently`: another process serves now; see `Connections.drain`.
        """
        if not gently:
            for each in self._all:
                each._hurry()
        self.connections.drain(gently)

    def close(self) -> None:
        """Cut every connection that is left."""
        for each in self._all:
            for deadlines in each._deadlines:
                deadlines.close()
            each.websockets.close()
        self.stalls.close()
        self.connections.abort()

    async def finish(self) -> None:
        """Finish what is done with requests that are over."""

    def _hurry(self) -> None:
        """Give clients less time, since the server stops."""
        last = Deadlines[Timed](self.loop, client_limits.LAST_LINGER_SECONDS, lambda one: one.linger_over())
        self.heads, self.lingering = self.stalled, last
        self._deadlines.append(last)
        self.websockets.hurry()

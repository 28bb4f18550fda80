"""Exchanges that are watched: their times and their bytes are known when they are over.

Metrics, the access log in other forms than the default one, and traces are made of that. A server without any of these
makes none of these exchanges, and pays nothing for them.
"""

from time import monotonic, time
from typing import TYPE_CHECKING, Any, Protocol

from snakepit.errors import LocalProtocolError
from snakepit.http.fields import NO_BODY, NONE
from snakepit.http.trace_context import TraceParent, trace_parent
from snakepit.server.exchanges.exchange import Destination, Exchange, OnChange
from snakepit.server.exchanges.request_start import seconds_before
from snakepit.server.exchanges.tally import Busyness
from snakepit.server.exchanges.websocket import SWITCHED, WebSocketExchange
from snakepit.server.lifecycle import ExchangeState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from snakepit.http.events import RequestHead
    from snakepit.http.fields import Fields
    from snakepit.http.types import Headers
    from snakepit.server.exchanges.sink import EnvelopeSink
    from snakepit.wire.envelopes import Envelope

_ASSIGNED, _RESPONDING = ExchangeState.ASSIGNED, ExchangeState.RESPONDING


class Watcher(Protocol):
    """Looks at exchanges."""

    def switched(self, exchange: "WatchedExchange") -> None:
        """Hear that an app has accepted a WebSocket."""

    def over(self, exchange: "WatchedExchange") -> None:
        """Hear, once, that the answer is complete, that its client has gone, or that its worker is lost.

        What the server answers in an app's stead has not been written yet.
        """


class BusynessKeeper(Protocol):
    """Keeps how busy workers are."""

    def new_busyness(self, worker: Any) -> Busyness:
        """Begin to keep how busy a worker is, which gets its first exchange, and is to have this as `busyness`."""


class WatchedExchange(Exchange):
    """An exchange that is watched. Moments are as of `time.monotonic`; None: that has not come.

    `assigned_at` is when a worker got it, `responded_at` when an answer in several parts began, `ended_at` when it was
    over. `fields` are those of the answer, `client_left` says that the client went before it was complete, `refused`
    that it got 503 in place of a worker. `asked` is who was to answer first, if others took over.
    """

    watchers: tuple[Watcher, ...] = ()
    busyness: BusynessKeeper | None = None

    assigned_at: float | None = None
    responded_at: float | None = None
    ended_at: float | None = None
    fields: "Fields" = NONE
    client_left = False
    refused = False
    asked: Destination | None = None
    span: Any = None
    """Of OpenTelemetry, if it has one."""
    body_received = 0
    """Bytes of the request's body that have come."""
    _body_sent = 0
    _broken_off = False

    @property
    def queue_seconds(self) -> float | None:
        """The time until a worker got it; None: none did."""
        return None if self.assigned_at is None else self.assigned_at - self.began

    @property
    def app_seconds(self) -> float | None:
        """The time from then until the response began; None: it did not, or no worker got the request."""
        at = self.responded_at or self.ended_at
        return None if self.assigned_at is None or at is None or not self.status else at - self.assigned_at

    @property
    def total_seconds(self) -> float:
        """The time until it was over, or until now."""
        return (self.ended_at or monotonic()) - self.began

    @property
    def body_sent(self) -> int:
        """Bytes of the response's body."""
        return 0 if self.status in NO_BODY or self.head.method == "HEAD" else self._body_sent

    @property
    def trace(self) -> TraceParent | None:
        """The trace that the request belongs to."""
        return trace_parent(self.head.headers)

    def proxy_seconds(self) -> float | None:
        """Return the time that the request was with proxies; None: no trusted one says it."""
        if not self._http.is_trusted:
            return None
        return seconds_before(self.head.headers, time() - (monotonic() - self.began))

    # -- from the connection -------------------------------------------------------------------------------------

    def add_body(self, data: bytes, more: bool) -> None:
        self.body_received += len(data)
        super().add_body(data, more)

    def client_gone(self, stopping: bool = False) -> None:
        # in these cases it is the server that goes
        if not (stopping or self.answered or self._broken_off or self.status == 413):
            self.client_left = True
        super().client_gone(stopping)

    def error_sent(self, fields: "Fields", body: bytes) -> None:
        self.fields, self._body_sent = fields, len(body)

    # -- from who answers without a worker -----------------------------------------------------------------------

    def redirect(self, destination: Destination) -> None:
        if self.asked is None:
            self.asked = self.destination
        super().redirect(destination)

    def reply(self, status: int, fields: "Fields", body: bytes) -> None:
        self.fields, self._body_sent = fields, len(body)
        super().reply(status, fields, body)

    def begin_reply(self, status: int, fields: "Fields", body: bytes, on_writable: OnChange | None = None) -> bool:
        self.fields, self._body_sent = fields, len(body)
        return super().begin_reply(status, fields, body, on_writable)

    def add_to_reply(self, data: bytes, more: bool = True) -> bool:
        self._body_sent += len(data)
        return super().add_to_reply(data, more)

    # -- from the pool -------------------------------------------------------------------------------------------

    def assigned_to(self, worker: "EnvelopeSink", name: str, home: Any = None) -> None:
        self.assigned_at = now = monotonic()
        if self.busyness is not None and home is not None and len(home.exchanges) == 1:
            busyness = home.busyness
            if busyness is None:
                busyness = home.busyness = self.busyness.new_busyness(home)
            busyness.since = now
        super().assigned_to(worker, name, home)

    def unassign(self, held: "list[Envelope]") -> None:
        super().unassign(held)
        self.assigned_at = None
        self._left_worker()

    def refuse(self, status: int, reason: str, headers: "Headers") -> None:
        self.refused = status == 503
        super().refuse(status, reason, headers)

    # -- from the worker -----------------------------------------------------------------------------------------

    def respond(self, status: int, fields: "Fields", body: bytes, more: bool) -> None:
        self.fields = fields
        super().respond(status, fields, body, more)

    def answer(self, status: int, fields: "Fields", body: bytes) -> None:
        if self.state is not _ASSIGNED:
            super().answer(status, fields, body)
            return
        self.fields, self._body_sent = fields, len(body)
        super().answer(status, fields, body)
        self.ended_at = now = monotonic()  # as in `_end` and `_left_worker`, which most requests would call
        for watcher in self.watchers:
            watcher.over(self)
        home = self.home
        if home is not None and not home.exchanges and (busyness := home.busyness) is not None:
            busyness.end(now)

    def done(self, fault: str | None, cut_off: bool = False) -> None:
        super().done(fault, cut_off)
        self._left_worker()

    def break_off(self, error: LocalProtocolError) -> None:
        self._broken_off = True
        super().break_off(error)

    # -- its own -------------------------------------------------------------------------------------------------

    def _take_first(self, head: "RequestHead") -> None:
        super()._take_first(head)
        self.body_received = max(self.body_received, len(head.body))  # again, once a body that was kept is here

    def _sent(self, data: bytes | str, more: bool) -> None:
        self._body_sent += len(data)
        super()._sent(data, more)

    def _to(self, state: ExchangeState) -> None:
        super()._to(state)
        if state is _RESPONDING:
            self.responded_at = monotonic()
        elif state > _RESPONDING and self.ended_at is None:
            self._end()

    def _end(self) -> None:
        self.ended_at = monotonic()
        for watcher in self.watchers:
            watcher.over(self)

    def _left_worker(self) -> None:
        """Note that the worker is through with it, and may have nothing more to do."""
        home = self.home
        if home is not None and not home.exchanges and home.busyness is not None:
            home.busyness.end(monotonic())


class WatchedWebSocketExchange(WatchedExchange, WebSocketExchange):
    """A session on a WebSocket that is watched. It is over when the socket is closed."""

    _with_proxies: float | None = None

    def proxy_seconds(self) -> float | None:
        return self._with_proxies if self.status == SWITCHED else super().proxy_seconds()

    def _switched(self) -> None:
        self._with_proxies = super().proxy_seconds()
        for watcher in self.watchers:
            watcher.switched(self)


def exchange_types(
    watchers: "Iterable[Watcher]", busyness: BusynessKeeper | None = None
) -> tuple[type[WatchedExchange], type[WatchedWebSocketExchange]]:
    """Make the classes of exchanges that these watch, without and with a WebSocket."""
    members = {"watchers": tuple(watchers), "busyness": busyness}
    return (
        type("WatchedExchange", (WatchedExchange,), members),
        type("WatchedWebSocketExchange", (WatchedWebSocketExchange,), members),
    )

"""Exchanges that are counted, for metrics. A server without metrics makes none of these, and pays nothing for them.

An exchange is counted once: when its answer is complete, its client has gone, or its worker is lost.
"""

from time import monotonic, time
from typing import TYPE_CHECKING, Any, Protocol

from snakepit.errors import LocalProtocolError
from snakepit.server.exchanges.exchange import Destination, Exchange, OnChange
from snakepit.server.exchanges.request_start import seconds_before
from snakepit.server.exchanges.tally import Busyness, Tally
from snakepit.server.exchanges.websocket import WebSocketExchange
from snakepit.server.lifecycle import ExchangeState

if TYPE_CHECKING:
    from snakepit.http.events import RequestHead
    from snakepit.http.fields import Fields
    from snakepit.http.types import Headers
    from snakepit.server.exchanges.sink import EnvelopeSink
    from snakepit.wire.envelopes import Envelope

_ASSIGNED, _RESPONDING = ExchangeState.ASSIGNED, ExchangeState.RESPONDING


class Meter(Protocol):
    """Where requests are counted."""

    def tally_of(self, destination: Destination) -> Tally | None:
        """Return the counts of who answers; None: its exchanges are not counted."""

    def busyness_of(self, worker: Any) -> Busyness:
        """Return how busy a worker is."""


class MeteredExchange(Exchange):
    """An exchange that is counted."""

    meter: Meter

    _tally: Tally | None = None  # known once it is counted, or has gone from one destination to another
    _counted = False
    _broken_off = False
    _assigned_at: float | None = None
    _responded_at: float | None = None
    _bytes_received = 0
    _bytes_sent = 0

    def add_body(self, data: bytes, more: bool) -> None:
        self._bytes_received += len(data)
        super().add_body(data, more)

    def redirect(self, destination: Destination) -> None:
        if self._tally is None:  # what an app refuses is the app's
            self._tally = self.meter.tally_of(self.destination)
        super().redirect(destination)

    def client_gone(self, stopping: bool = False) -> None:
        if not (self.answered or self._broken_off or self.status == 413):  # in which cases it is the server that goes
            tally = self._find_tally()
            if tally is not None:
                tally.left += 1
        super().client_gone(stopping)

    def break_off(self, error: LocalProtocolError) -> None:
        self._broken_off = True
        super().break_off(error)

    def begin_reply(self, status: int, fields: "Fields", body: bytes, on_writable: OnChange | None = None) -> bool:
        self._bytes_sent += len(body)
        return super().begin_reply(status, fields, body, on_writable)

    def add_to_reply(self, data: bytes, more: bool = True) -> bool:
        self._bytes_sent += len(data)
        return super().add_to_reply(data, more)

    def reply(self, status: int, fields: "Fields", body: bytes) -> None:
        self._bytes_sent += len(body)
        super().reply(status, fields, body)

    def refuse(self, status: int, reason: str, headers: "Headers") -> None:
        if status == 503:
            tally = self._find_tally()
            if tally is not None:
                tally.refused += 1
        super().refuse(status, reason, headers)

    def assigned_to(self, worker: "EnvelopeSink", name: str, home: Any = None) -> None:
        self._assigned_at = now = monotonic()
        if home is not None and len(home.exchanges) == 1:
            self.meter.busyness_of(home).since = now
        super().assigned_to(worker, name, home)

    def unassign(self, held: "list[Envelope]") -> None:
        super().unassign(held)
        self._assigned_at = None
        self._left_worker(monotonic())

    def answer(self, status: int, fields: "Fields", body: bytes) -> None:
        if self.state is not _ASSIGNED:
            super().answer(status, fields, body)
            return
        super().answer(status, fields, body)
        self._bytes_sent += len(body)
        now = monotonic()
        self._count(now)
        self._left_worker(now)

    def done(self, fault: str | None, cut_off: bool = False) -> None:
        super().done(fault, cut_off)
        self._left_worker(monotonic())

    def _take_first(self, head: "RequestHead") -> None:
        super()._take_first(head)
        self._bytes_received = max(self._bytes_received, len(head.body))  # again, once a body that was kept is here

    def _sent(self, data: bytes | str, more: bool) -> None:
        self._bytes_sent += len(data)
        super()._sent(data, more)

    def _to(self, state: ExchangeState) -> None:
        super()._to(state)
        if state is _RESPONDING:
            self._responded_at = monotonic()
        elif state > _RESPONDING and not self._counted:
            self._count(monotonic())

    def _left_worker(self, now: float) -> None:
        """Note that the worker is through with it, and may have nothing more to do."""
        home = self.home
        if home is not None and not home.exchanges:
            busyness = self.meter.busyness_of(home)
            busyness.seconds, busyness.since = busyness.until(now), None

    def _find_tally(self) -> Tally | None:
        if self._tally is None:
            self._tally = self.meter.tally_of(self.destination)
        return self._tally

    def _count(self, now: float) -> None:
        self._counted = True
        tally = self._tally or self.meter.tally_of(self.destination)
        if tally is None:
            return
        head, status = self.head, self.status
        tally.count(head.method, status)
        assigned_at = self._assigned_at
        if assigned_at is not None:
            tally.waited.add(assigned_at - self.began)
            if status:
                tally.worked.add((self._responded_at or now) - assigned_at)
        if self._http.is_trusted:
            before = seconds_before(head.headers, time() - (now - self.began))
            if before is not None:
                tally.before.add(before)
        if status != 101:  # a session on a WebSocket is as long as its client likes, and has no body
            tally.took.add(now - self.began)
            tally.received += self._bytes_received
            tally.sent += self._bytes_sent


class MeteredWebSocketExchange(MeteredExchange, WebSocketExchange):
    """A session on a WebSocket that is counted, once it is over."""


def exchange_types(meter: Meter) -> tuple[type[Exchange], type[WebSocketExchange]]:
    """Make the classes of exchanges that this meter counts, without and with a WebSocket."""
    of_all = meter

    class Metered(MeteredExchange):
        meter = of_all

    class MeteredWebSocket(MeteredWebSocketExchange):
        meter = of_all

    return Metered, MeteredWebSocket

"""Keeps the counts of all apps' requests, and how busy workers are."""

from time import monotonic, time
from typing import TYPE_CHECKING

from snakepit.server.exchanges.tally import Busyness, Exemplar, Tally
from snakepit.server.exchanges.websocket import SWITCHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from snakepit.server.apps.app import App
    from snakepit.server.exchanges.exchange import Destination
    from snakepit.server.exchanges.watched import WatchedExchange
    from snakepit.server.workers.worker import WorkerHandle

NO_APP = ""
"""What the app is called of requests that none got: for files, and for hosts and paths that no app is for."""

MOST_KNOWN = 1024
"""Destinations whose counts are found at once. Those of apps that were replaced or have gone are forgotten then."""


EXEMPLAR_SECONDS = 1.0
"""Seconds that the exemplar of a bucket stays: to look for a trace in each request would cost too much."""


class Counters:
    """The counts of a server's requests, by app.

    Args:
        apps: those that there are.
        uncounted: destinations whose exchanges do not count.
        seen: called once with each worker that gets an exchange.
    """

    def __init__(
        self,
        apps: "Iterable[App]",
        uncounted: "Iterable[Destination]" = (),
        seen: "Callable[[WorkerHandle], object]" = lambda worker: None,
    ) -> None:
        self._apps = apps
        self._tallies: dict[str, Tally] = {}
        self._uncounted = set(uncounted)
        self._seen = seen
        self._known: dict[Destination, Tally | None] = {}

    def leave_out(self, destination: "Destination") -> None:
        """Do not count what this one answers."""
        self._uncounted.add(destination)

    def switched(self, exchange: "WatchedExchange") -> None:
        """A session on a WebSocket is counted when it is over."""

    def over(self, exchange: "WatchedExchange") -> None:
        """Count a request."""
        tally = self.tally_of(exchange.asked or exchange.destination)  # what an app refuses is the app's
        if tally is None:
            return
        status, began, assigned_at = exchange.status, exchange.began, exchange.assigned_at
        ended_at = exchange.ended_at or monotonic()
        tally.count(exchange.head.method, status)
        if exchange.refused:
            tally.refused += 1
        if exchange.client_left:
            tally.left += 1
        if assigned_at is not None:
            tally.waited.add(assigned_at - began)
            if status:
                tally.worked.add((exchange.responded_at or ended_at) - assigned_at)
        before = exchange.proxy_seconds()
        if before is not None:
            tally.before.add(before)
        if status != SWITCHED:  # a session on a WebSocket is as long as its client likes, and has no body
            bucket = tally.took.add(ended_at - began)
            tally.received += exchange.body_received
            tally.sent += exchange.body_sent
            if ended_at >= tally.exemplar_due[bucket]:
                _set_exemplars(tally, bucket, exchange)

    def tally_of(self, destination: "Destination") -> Tally | None:
        """Return the counts of who answers; None: its exchanges are not counted."""
        try:
            return self._known[destination]
        except KeyError:
            return self._find(destination)

    def new_busyness(self, worker: "WorkerHandle") -> Busyness:
        """Begin to keep how busy a worker is."""
        self._seen(worker)
        return Busyness()

    def by_app(self) -> dict[str, Tally]:
        """Return the counts by the name of the app, of those that there are, and of NO_APP.

        Those of apps that have gone are forgotten: a counter that begins anew is nothing new to Prometheus.
        """
        names = [NO_APP, *(app.name for app in self._apps)]
        if not self._tallies.keys() <= set(names):
            self._known.clear()
        self._tallies = {name: self._tallies.get(name) or Tally() for name in names}
        return self._tallies

    def _find(self, destination: "Destination") -> Tally | None:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        tally: Tally | None = None
        if destination not in self._uncounted:
            owner = next((app for app in self._apps if app.has_led_to(destination)), None)
            name = NO_APP if owner is None else owner.name
            tally = self._tallies.setdefault(name, Tally())
        self._known[destination] = tally
        return tally


def _set_exemplars(tally: Tally, bucket: int, exchange: "WatchedExchange") -> None:
    """Show a request as an exemplar of its buckets, if its trace is kept."""
    tally.exemplar_due[bucket] = monotonic() + EXEMPLAR_SECONDS
    trace = exchange.trace
    if trace is None or not trace.sampled:
        return
    times = (
        (tally.waited, exchange.queue_seconds),
        (tally.worked, exchange.app_seconds),
        (tally.took, exchange.total_seconds),
    )
    for histogram, seconds in times:
        if seconds is not None:
            histogram.set_exemplar(Exemplar(trace.trace_id, seconds, time()))

"""The events of one app: what its pool tells its observer, for people who ask later."""

from typing import TYPE_CHECKING

from snakepit.server.events.events import Events
from snakepit.server.events.kinds import Kind
from snakepit.server.operate.startup_report import ready_in_words
from snakepit.server.pool.observer import Observer
from snakepit.server.workers.worker import WorkerHandle

if TYPE_CHECKING:
    from snakepit.server.exchanges.exchange import Exchange


class AppEvents(Observer):
    """An observer that keeps events.

    Args:
        app: the name of the app.
        several: whether the server has others, so that texts have to say which one is meant.
        rest: another observer, which hears the same.
    """

    def __init__(self, events: Events, app: str, several: bool, rest: Observer) -> None:
        self._events = events
        self._app = app
        self._of = f" of {app}" if several else ""
        self._rest = rest

    def happened(self, kind: Kind, text: str, worker: int | None = None, reason: str = "") -> None:
        self._events.add(kind, text, app=self._app, worker=worker, reason=reason)

    def request_refused(self, limit: str, why: str) -> None:
        what = f"{self._of} refused: {why[:1].lower()}{why[1:]} (--{limit})"
        self._events.sum_up(Kind.REFUSED, f"1 request{what}", f"requests{what}", app=self._app, reason=limit)

    def request_interrupted(self, worker: WorkerHandle, exchange: "Exchange", by: str, why: str) -> None:
        request = f"{exchange.head.method} {exchange.head.path} in {worker}"
        several = f"requests{self._of} interrupted ({why}); the latest: {request}"
        self._events.sum_up(Kind.INTERRUPTED, f"{request} is interrupted: {why}", several, app=self._app, reason=by)

    def worker_ready(self, worker: WorkerHandle) -> None:
        self.happened(Kind.WORKER_READY, ready_in_words(worker), worker.number)
        self._rest.worker_ready(worker)

    def worker_replaced(self, worker: WorkerHandle, delay: float) -> None:
        self._rest.worker_replaced(worker, delay)

    def successor_failed(self, worker: WorkerHandle, fault: str) -> None:
        text = f"A new {worker} can't start, the one before goes on: {fault}"
        self.happened(Kind.WORKER_FAILED, text, worker.number, worker.failure[0] or "lost")
        self._rest.successor_failed(worker, fault)

    def memory_kept(self, predecessor: WorkerHandle, size: int | None) -> None:
        self._rest.memory_kept(predecessor, size)

    def worn_out(self, reason: str) -> bool:
        return self._rest.worn_out(reason)


def connection_refused(events: Events, limit: str, why: str) -> None:
    """Keep that a connection was refused; `limit`: the option that says so."""
    what = f"refused: {why[:1].lower()}{why[1:]} (--{limit})"
    events.sum_up(Kind.REFUSED, f"1 connection {what}", f"connections {what}", reason=limit)

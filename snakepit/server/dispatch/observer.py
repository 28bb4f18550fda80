"""Notifications of a queue about its requests."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakepit.server.exchanges.exchange import Exchange
    from snakepit.server.workers.worker import WorkerHandle


class QueueObserver:
    """Base class for observers of a queue; every hook is a no-op."""

    def request_refused(self, limit: str, why: str) -> None:
        """Called when a request gets 503 in place of a worker; `limit`: the option that says so."""

    def request_interrupted(self, worker: "WorkerHandle", exchange: "Exchange", by: str, why: str) -> None:
        """Called when a worker is told to end a request; `by`: the option that says so, or who asked for it."""

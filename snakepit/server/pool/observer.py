"""Notifications of a pool about its workers, and of an app about itself."""

from snakepit.server.dispatch.observer import QueueObserver
from snakepit.server.events.kinds import Kind
from snakepit.server.workers.worker import WorkerHandle


class Observer(QueueObserver):
    """Base class for observers of a pool; every hook is a no-op."""

    def happened(self, kind: Kind, text: str, worker: int | None = None, reason: str = "") -> None:
        """Called with an event that people should know of, for which there is no other hook.

        Args:
            text: a sentence, without its full stop; where it has several lines, the first.
            worker: the worker's number, if it concerns one.
            reason: in a word, where there may be several.
        """

    def worker_ready(self, worker: WorkerHandle) -> None:
        """Called when a worker begins to take exchanges."""

    def worker_replaced(self, worker: WorkerHandle, delay: float) -> None:
        """Called when a worker ended by itself; another one starts after `delay` seconds."""

    def successor_failed(self, worker: WorkerHandle, fault: str) -> None:
        """Called when a replacement could not start; the old worker goes on."""

    def memory_kept(self, predecessor: WorkerHandle, size: int | None) -> None:
        """Called when a worker with private copies of C extensions was replaced, and their memory stays in the process.

        `size`: by how many bytes the process has grown, if that is known. A process in which this happens often should
        be replaced.
        """

    def worn_out(self, reason: str) -> bool:
        """Called when the process should be replaced, since only that frees what has accumulated.

        Returns whether the process will be replaced. It is called once, and again when there is clearly more.
        """
        return False

"""Notifications of a pool about its workers."""

from snakepit.server.workers.worker import WorkerHandle


class Observer:
    """Base class for observers of a pool; every hook is a no-op."""

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

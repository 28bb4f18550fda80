"""What a pool tells of its workers' lives."""

from snakepit.server.workers.worker import WorkerHandle


class Observer:
    """Whoever wants to follow the workers' lives; does nothing by itself."""

    def worker_ready(self, worker: WorkerHandle) -> None:
        """A worker takes exchanges now."""

    def worker_replaced(self, worker: WorkerHandle, delay: float) -> None:
        """A worker ended by itself; another is started after `delay` seconds."""

    def successor_failed(self, worker: WorkerHandle, fault: str) -> None:
        """A worker that was to replace another could not start; the other goes on."""

    def memory_kept(self, predecessor: WorkerHandle, size: int | None) -> None:
        """A worker that held private copies of C extensions has been replaced, and what these keep stays in memory.

        `size`: by how many bytes the process has grown, if that can be told. A process in which this happens often
        should be replaced itself.
        """

    def worn_out(self, reason: str) -> bool:
        """Something has piled up that goes only with the process: have it replaced.

        Returns whether that is being seen to. It is told once; again when there is clearly more of it.
        """
        return False

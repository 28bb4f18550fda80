"""The remains of workers: threads that do not end, and interpreters that can't be closed yet. Pure."""

from snakepit.server.workers.worker import WorkerHandle


class Remains:
    """Abandoned workers that have not ended, and those whose interpreters stay open."""

    def __init__(self) -> None:
        self._abandoned: dict[WorkerHandle, bool] = {}  # and whether its thread was left to itself
        self._open: list[WorkerHandle] = []  # whose interpreters daemon threads keep from being closed

    @property
    def abandoned(self) -> list[WorkerHandle]:
        """The workers that were abandoned and have not ended."""
        return list(self._abandoned)

    @property
    def hanging(self) -> int:
        """The number of abandoned workers that were not killed and have not ended."""
        return sum(self._abandoned.values())

    @property
    def left_open(self) -> int:
        """The number of interpreters that are not closed: of abandoned workers, and of those with daemon threads."""
        return self.hanging + sum(worker.thread.is_left_open for worker in self._open)

    def add_abandoned(self, worker: WorkerHandle, killed: bool) -> None:
        """Count a worker that was killed, or whose thread was abandoned."""
        self._abandoned[worker] = not killed

    def discard_abandoned(self, worker: WorkerHandle) -> None:
        """Uncount an abandoned worker that has ended after all."""
        del self._abandoned[worker]

    def add_open(self, worker: WorkerHandle) -> None:
        """Count the interpreter of a worker for as long as daemon threads keep it open."""
        self._open = [worker, *(other for other in self._open if other.thread.is_left_open)]

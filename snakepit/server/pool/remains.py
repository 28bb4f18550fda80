"""The remains of workers: threads that do not end, and interpreters that can't be closed. Pure."""

from snakepit.server.workers.worker import WorkerHandle


class Remains:
    """Counters of abandoned workers that have not ended, and of interpreters that stay open."""

    def __init__(self) -> None:
        self._abandoned: dict[WorkerHandle, bool] = {}  # and whether its thread was left to itself
        self._open_threads = 0  # interpreters that daemon threads keep from being closed

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
        """The number of interpreters that can't be closed: of abandoned workers, and of those with daemon threads."""
        return self.hanging + self._open_threads

    def add_abandoned(self, worker: WorkerHandle, killed: bool) -> None:
        """Count a worker that was killed, or whose thread was abandoned."""
        self._abandoned[worker] = not killed

    def discard_abandoned(self, worker: WorkerHandle) -> None:
        """Uncount an abandoned worker that has ended after all."""
        del self._abandoned[worker]

    def add_open(self) -> None:
        """Count an interpreter that daemon threads keep open."""
        self._open_threads += 1

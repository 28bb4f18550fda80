"""What workers leave behind: threads that do not end, and interpreters that can't be closed. Pure."""

from snakepit.server.workers.worker import WorkerHandle


class Remains:
    """Counts the workers that were abandoned and have not ended, and the interpreters that stay open."""

    def __init__(self) -> None:
        self._abandoned: dict[WorkerHandle, bool] = {}  # and whether its thread was left to itself
        self._open_threads = 0  # interpreters that daemon threads keep from being closed

    @property
    def abandoned(self) -> list[WorkerHandle]:
        """Those that were killed or left to themselves, and have not ended."""
        return list(self._abandoned)

    @property
    def hanging(self) -> int:
        """How many were left to themselves and have not ended."""
        return sum(self._abandoned.values())

    @property
    def left_open(self) -> int:
        """Interpreters that can't be closed: of abandoned workers, and of those with daemon threads."""
        return self.hanging + self._open_threads

    def add_abandoned(self, worker: WorkerHandle, killed: bool) -> None:
        """Count a worker that was killed, or whose thread was left to itself."""
        self._abandoned[worker] = not killed

    def discard_abandoned(self, worker: WorkerHandle) -> None:
        """Count a worker no more that has come to its end after all."""
        del self._abandoned[worker]

    def add_open(self) -> None:
        """Count an interpreter that daemon threads keep open."""
        self._open_threads += 1

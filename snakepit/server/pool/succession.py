"""Successions: starting workers that will take another's place."""

from collections.abc import Collection
from dataclasses import dataclass

from snakepit.server.workers.worker import WorkerHandle


@dataclass(slots=True)
class Succession:
    """A starting worker that will take another's place."""

    worker: WorkerHandle
    memory_before: int | None
    """Resident bytes of the process when it began; None if others were starting or retiring, too."""
    reason: str
    """Why, as the roster's REASONS have it."""
    siblings: Collection[int] = ()
    """The numbers of the workers that are being replaced together with this one."""

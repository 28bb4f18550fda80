"""A worker that is on its way to another's place."""

from collections.abc import Collection
from dataclasses import dataclass

from snakepit.server.workers.worker import WorkerHandle


@dataclass(slots=True)
class Succession:
    """A worker that is to take another's place."""

    worker: WorkerHandle
    memory_before: int | None
    """Bytes resident in the process when it began; None where others are coming and going, too."""
    siblings: Collection[int] = ()
    """The workers that are being replaced together with this one, by number."""

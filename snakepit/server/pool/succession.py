"""A worker that is to take another's place."""

import asyncio
from dataclasses import dataclass

from snakepit.server.workers.worker import Worker


@dataclass(slots=True)
class Succession:
    """A worker that is to take another's place."""

    worker: Worker
    trouble: asyncio.Future[str]  # what keeps the place from being taken; empty: this worker or a newer one took it
    memory_before: int | None
    """Bytes resident in the process when it began; None where others are coming and going, too."""
    siblings: frozenset[int] = frozenset()
    """The workers that are being replaced together with this one, by number."""

    def settle(self, trouble: str) -> None:
        """The place was taken, or will not be."""
        if not self.trouble.done():
            self.trouble.set_result(trouble)

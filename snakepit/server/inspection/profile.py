"""Samples what the workers do for some seconds: `snakepit profile`."""

import asyncio
from typing import Any

from snakepit.errors import SnakepitError
from snakepit.server.inspection.stacks import Found

MOST_SECONDS = 600.0
"""The longest profile: whoever asked for it may be gone, and sampling goes on until then."""


class Profiles:
    """Has workers sampled, once at a time."""

    def __init__(self) -> None:
        self._sampled: Found = []

    async def wait_profile(self, workers: Found, seconds: float) -> list[dict[str, Any]]:
        """Return what each worker did in the next seconds, or until `end`. Raises SnakepitError."""
        if self._sampled:
            raise SnakepitError("another profile is being made; one can be made at a time")
        if not 0 < seconds <= MOST_SECONDS:
            raise SnakepitError(f"seconds must be more than 0, and {MOST_SECONDS:g} at most")
        if not workers:
            return []
        self._sampled = workers
        try:
            told = await asyncio.gather(*(worker.watchdog.wait_profile(seconds) for _, worker in workers))
        finally:
            self.end()
            self._sampled = []
        found = []
        for (app, worker), answer in zip(workers, told, strict=True):
            calls, samples = answer or ([], [])
            found.append(
                {
                    "number": worker.number,
                    "app": app.name,
                    "answered": answer is not None,
                    "calls": calls,
                    "samples": samples,
                }
            )
        return found

    def end(self) -> None:
        """End the profile that is being made: it has what was sampled until now."""
        for _, worker in self._sampled:
            if not worker.thread.closing.is_set():
                worker.watchdog.end_profile()

"""Samples what workers and the main interpreter do for some seconds: `snakepit profile`."""

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

from snakepit.errors import SnakepitError
from snakepit.server.inspection.main_profile import MainProfile
from snakepit.server.inspection.stacks import Found
from snakepit.stacks.machinery import kind_of
from snakepit.stacks.stack import Sampled

if TYPE_CHECKING:
    from snakepit.server.workers.worker import WorkerHandle

MOST_SECONDS = 600.0
"""The longest profile: whoever asked for it may be gone, and sampling goes on until then."""


class Profiles:
    """Has workers and the main interpreter sampled, once at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_made = False
        self._is_over = False  # `end` was called
        self._workers: Found = []
        self._main: MainProfile | None = None

    async def wait_profile(self, workers: Found, seconds: float, with_main: bool) -> dict[str, Any]:
        """Return what each did in the next seconds, or until `end`. Raises SnakepitError.

        A worker that ends meanwhile is not waited for. Of workers in the main interpreter, each would see the threads
        of all: the first one is asked.
        """
        if self._is_made:
            raise SnakepitError("another profile is being made; one can be made at a time")
        if not 0 < seconds <= MOST_SECONDS:
            raise SnakepitError(f"seconds must be more than 0, and {MOST_SECONDS:g} at most")
        inside = [(app, worker) for app, worker in workers if app.config.runtime == "thread"]
        self._workers = [found for found in workers if found not in inside[1:]]
        self._main = MainProfile(seconds, not inside, self._loop) if with_main else None
        self._is_made, self._is_over = True, False
        try:
            main, *told = await asyncio.gather(
                self._wait_main(), *(self._wait_worker(worker, seconds) for _, worker in self._workers)
            )
            names = ", ".join(app.name for app, _ in inside)
            return {
                "workers": [
                    {"number": worker.number, "app": names if (app, worker) in inside else app.name, **answer}
                    for (app, worker), answer in zip(self._workers, told, strict=True)
                ],
                "main": main,
            }
        finally:
            self.end()
            self._is_made, self._workers, self._main = False, [], None

    def end(self) -> None:
        """End the profile that is being made: it has what was sampled until now."""
        self._is_over = True
        for _, worker in self._workers:
            worker.watchdog.end_profile()
        if self._main is not None:
            self._main.end()

    async def _wait_main(self) -> dict[str, Any] | None:
        return None if self._main is None else _described(await self._main.wait_told())

    async def _wait_worker(self, worker: "WorkerHandle", seconds: float) -> dict[str, Any]:
        began = monotonic()
        sampled = await worker.watchdog.wait_profile(seconds)
        now = monotonic()
        return {
            "answered": sampled is not None,
            "ended_after": round(now - began, 3) if now < began + seconds and not self._is_over else None,
            **_described(sampled or ([], [])),
        }


def _described(sampled: Sampled) -> dict[str, Any]:
    calls, samples = sampled
    return {"calls": calls, "kinds": [kind_of(file) for file, _, _ in calls], "samples": samples}

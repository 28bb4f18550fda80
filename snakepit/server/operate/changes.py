"""Changes to the workers of a running server: replacement, and other numbers of workers.

Signals, commands and `--reload` use this. There is one reload at a time: a newer one replaces one that is under way,
whose workers may have imported old files. Callers that wait for the older one get the newer one's outcome.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from snakepit.config.options import MOST_WORKERS
from snakepit.errors import InternalError, SnakepitError
from snakepit.server.apps.app import App
from snakepit.server.apps.table import Apps
from snakepit.server.event_loop.background import spawn
from snakepit.server.lifecycle import WorkerState
from snakepit.server.operate.managers import Manager
from snakepit.server.operate.reloader import Reloader
from snakepit.server.pool.outcome import STOPPING, Outcome
from snakepit.system import working_directory

NAMED = 5
"""The most changed files that the log names; a checkout of another branch changes hundreds."""


type Change = Callable[[], Coroutine[object, object, Outcome]]


class Changes:
    """Changes to the workers of all apps, one after the other."""

    def __init__(self, apps: Apps, log: logging.Logger, loop: asyncio.AbstractEventLoop, manager: Manager) -> None:
        self._loop = loop
        self._apps = apps
        self._log = log
        self._manager = manager
        self._folder = working_directory.name()  # now: an app may change the working directory
        self._reloading: asyncio.Task[Outcome] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended = False

    async def reload(self) -> Outcome:
        """Replace the workers, one after the other. Raises SnakepitError if that can't be done."""
        self._check()
        self._begin_reload(self._reload())
        return await self._newest_outcome()

    async def scale(self, workers: int) -> Outcome:
        """Change the number of workers of each app. Raises SnakepitError if that can't be done."""
        self._check()
        if not 1 <= workers <= MOST_WORKERS:
            raise SnakepitError(f"There can be 1 to {MOST_WORKERS} workers, not {workers}: nothing changes")
        before = self._apps.wanted
        outcomes = await asyncio.gather(*(app.pool.scale(workers) for app in self._apps))
        self._manager.scaled(self._apps.wanted)
        self._log.info("Workers: %d, were %d", self._apps.wanted, before)
        return Outcome.total(outcomes)

    async def scale_by(self, change: int) -> Outcome:
        """Add so many workers, or remove them; one stays. Raises SnakepitError if that can't be done."""
        return await self.scale(max(1, self._apps.wanted + change))

    def watch(self, reloader: Reloader) -> None:
        """Replace all workers, at once, whenever files change."""
        self._spawn(self._watch(reloader))

    def by_signal(self) -> dict[str, Callable[[], None]]:
        """Return the handlers of signals, by name. No caller waits for them, so they log errors."""

        def soon(change: Change) -> Callable[[], None]:
            return lambda: self._call_soon(change)

        return {
            "SIGHUP": soon(self.reload),
            "SIGTTIN": soon(lambda: self.scale_by(1)),
            "SIGTTOU": soon(lambda: self.scale_by(-1)),
        }

    async def end(self) -> None:
        """Make no more changes."""
        self._ended = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)  # an exception has been logged

    def _spawn[T](self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        return spawn(work, self._tasks)

    def _check(self) -> None:
        if self._ended:
            raise SnakepitError("The server is stopping: nothing changes")
        if any(app.config.runtime == "thread" for app in self._apps):
            raise SnakepitError("--runtime thread has one worker, whose modules are imported once: nothing changes")
        if not all(app.pool.all_ready.is_set() for app in self._apps if app.failure is None):
            raise SnakepitError("Workers are still starting: nothing changes")

    def _call_soon(self, change: Change) -> None:
        self._loop.call_soon_threadsafe(self._begin, change)

    def _begin(self, change: Change) -> None:
        if not self._ended:
            self._spawn(self._obey(change))

    async def _obey(self, change: Change) -> None:
        try:
            await change()
        except SnakepitError as error:
            self._log.warning("%s", error)

    def _begin_reload(self, work: Coroutine[object, object, Outcome]) -> None:
        if self._reloading is not None:
            self._reloading.cancel()  # its files may be old
        self._reloading = self._spawn(work)

    async def _newest_outcome(self) -> Outcome:
        while (task := self._reloading) is not None:
            await asyncio.wait([task])
            if task is self._reloading:
                return Outcome(0, STOPPING) if task.cancelled() else task.result()
        raise InternalError("there is no reload to wait for")

    async def _reload(self) -> Outcome:
        self._log.info("Reloading: new workers, one after the other")
        self._manager.reloading()
        try:
            outcome = await self._reload_apps()
        finally:
            self._manager.reloaded()
        self._log.info("Reloaded" if outcome else "Not reloaded; still serving the previous version")
        return outcome

    async def _reload_apps(self) -> Outcome:
        outcomes: list[Outcome] = []
        for app in self._apps:
            outcomes.append(await app.reload())
            if not outcomes[-1]:
                break
            app.announce_version()
        return Outcome.total(outcomes)

    async def _watch(self, reloader: Reloader) -> None:
        # call_soon: by the next turn of the loop, the next step watches
        asyncio.get_running_loop().call_soon(
            self._log.info, "Watching %s for changes", ", ".join(map(str, reloader.folders))
        )
        try:
            async for changed in reloader.changes():
                self._begin_reload(self._reload_changed(changed))
        except OSError as error:
            self._log.error("Changes can't be watched any more: %s", error)

    async def _reload_changed(self, changed: list[Path]) -> Outcome:
        self._log.info("Changed: %s; reloading", _named(changed, self._folder))
        began = time.monotonic()
        outcome = Outcome.total(await asyncio.gather(*map(self._replace_all, self._apps)))
        if outcome:
            self._log.info("Reloaded in %.2f s", time.monotonic() - began)
        elif any(worker.state is WorkerState.READY for app in self._apps for worker in app.pool.workers):
            self._log.info("Not reloaded; still serving the previous version")
        return outcome

    async def _replace_all(self, app: App) -> Outcome:
        outcome = await app.replace_all()
        if outcome or not any(worker.state is WorkerState.READY for worker in app.pool.workers):
            app.announce_version()  # the new version, or another error
        return outcome


def _named(files: list[Path], folder: str) -> str:
    """Format files for the log: the first few by name, relative to a folder."""
    names = [_shortest(path, folder) for path in files[:NAMED]]
    return ", ".join(names) + (f" and {len(files) - NAMED} more" if len(files) > NAMED else "")


def _shortest(path: Path, folder: str) -> str:
    try:
        return min(os.path.relpath(path, os.path.realpath(folder)) if folder else str(path), str(path), key=len)
    except ValueError:  # another drive
        return str(path)

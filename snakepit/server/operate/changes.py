"""Changes to the workers of a running server: replacement, and other numbers of workers.

Signals, commands and `--reload` use this. There is one reload at a time: a newer one replaces one that is under way,
whose workers may have imported old files. Callers that wait for the older one get the newer one's outcome.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path

from snakepit.config.choices import MOST_WORKERS
from snakepit.errors import SnakepitError
from snakepit.server.apps.app import App
from snakepit.server.apps.table import Apps
from snakepit.server.event_loop.background import BackgroundTasks
from snakepit.server.events.events import Events
from snakepit.server.events.kinds import By, Kind
from snakepit.server.lifecycle import WorkerState
from snakepit.server.operate.managers import Manager
from snakepit.server.operate.reconfiguration import Reconfiguration
from snakepit.server.operate.reloader import Reloader
from snakepit.server.pool.outcome import STOPPING, Outcome
from snakepit.system import working_directory
from snakepit.system.words import counted

NAMED = 5
"""The most changed files that the log names; a checkout of another branch changes hundreds."""


type Change = Callable[[], Coroutine[object, object, Outcome]]


class Changes:
    """Changes to the workers of all apps, one after the other.

    Args:
        events: where changes are noted.
        besides: called at each reload, for what is read again beside the apps.
    """

    def __init__(
        self,
        apps: Apps,
        log: logging.Logger,
        loop: asyncio.AbstractEventLoop,
        manager: Manager,
        events: Events,
        reconfiguration: Reconfiguration | None = None,
        besides: Callable[[], None] | None = None,
    ) -> None:
        self._loop = loop
        self._apps = apps
        self._log = log
        self._manager = manager
        self._events = events
        self._reconfiguration = reconfiguration
        self._besides = besides
        self._rereading = asyncio.Lock()
        self._folder = working_directory.name()  # now: an app may change the working directory
        self._reloading: dict[str | None, asyncio.Task[Outcome]] = {}  # by the app's name; None: of all
        self._tasks = BackgroundTasks()
        self._ended = False

    async def reload(self, name: str | None = None, by: By = By.PROGRAM) -> Outcome:
        """Replace the workers of all apps, or of the one with this name, one after the other.

        Raises SnakepitError if that can't be done.
        """
        if self._besides is not None:
            self._besides()
        apps = self._apps.up if name is None else [self._apps.named(name)]
        try:
            self._check(apps)
        except SnakepitError as error:
            self._events.add(Kind.NOT_RELOADED, f"Not reloaded {by.words}: {error}", app=name or "", reason=by)
            raise
        self._begin_reload(name, self._reload(apps, name or "", by))
        return await self._newest_outcome(name)

    async def reread(self, by: By = By.PROGRAM) -> Outcome:
        """Read the configuration file again, and make of apps and static files what it says.

        The outcome counts those that changed.

        Raises SnakepitError if that can't be done.
        """
        if self._besides is not None:
            self._besides()
        self._check([])
        if self._reconfiguration is None:
            raise SnakepitError(
                "The server was not started from the command line, so there is no configuration that it could read"
            )
        self._log.info("Reading the configuration again")
        async with self._rereading:
            try:
                outcome = await self._reconfiguration.apply()
            except SnakepitError as error:
                self._events.add(Kind.NOT_RECONFIGURED, f"The configuration can't be used: {error}", reason=by)
                raise
        if outcome is None:
            return Outcome(0)
        if outcome.count or outcome.static:
            counts = (outcome.count, "app"), (outcome.static, "static folder")
            what = " and ".join(counted(count, noun) for count, noun in counts if count)
            self._events.add(Kind.RECONFIGURED, f"Configuration read again {by.words}: {what} changed", reason=by)
        if outcome.trouble:
            self._events.add(Kind.NOT_RECONFIGURED, f"Apps can't be started: {outcome.trouble}", reason=by)
        return outcome

    async def stop_app(self, name: str, seconds: float) -> None:
        """Stop the workers of an app; its requests get 503. Requests in flight may take so many seconds.

        Raises SnakepitError if that can't be done.
        """
        app = self._apps.named(name)
        self._check([])
        if app.alone:
            raise SnakepitError("It is the server's only app: snakepit stop ends the server")
        if app.stopped:
            raise SnakepitError(f"App {name} is stopped already")
        self._log.info("Stopping app %s", name)
        await app.stop(self._loop.time() + seconds)
        self._log.info("App %s stopped", name)

    async def start_app(self, name: str) -> Outcome:
        """Start an app that was stopped, or could not be started. Raises SnakepitError if that can't be done."""
        app = self._apps.named(name)
        self._check([])
        if app.is_up:
            raise SnakepitError(f"App {name} has not been stopped")
        self._log.info("Starting app %s", name)
        return await app.begin_again()

    async def scale(self, workers: int, by: By = By.PROGRAM) -> Outcome:
        """Change the number of workers of each app. Raises SnakepitError if that can't be done."""
        apps = self._apps.up
        self._check(apps)
        if not 1 <= workers <= MOST_WORKERS:
            raise SnakepitError(f"There can be 1 to {MOST_WORKERS} workers, not {workers}: nothing changes")
        before = self._apps.wanted
        outcomes = await asyncio.gather(*(app.pool.scale(workers) for app in apps))
        self._manager.scaled(self._apps.wanted)
        self._log.info("Workers: %d, were %d", self._apps.wanted, before)
        self._events.add(Kind.SCALED, f"Workers: {self._apps.wanted}, were {before}, {by.words}", reason=by)
        return Outcome.total(outcomes)

    async def scale_by(self, change: int) -> Outcome:
        """Add so many workers, or remove them; one stays. Raises SnakepitError if that can't be done."""
        return await self.scale(max(1, self._apps.wanted + change), By.SIGNAL)

    def watch(self, reloader: Reloader) -> None:
        """Replace all workers, at once, whenever files change."""
        self._tasks.begin(self._watch(reloader))

    def by_signal(self) -> dict[str, Callable[[], None]]:
        """Return the handlers of signals, by name. No caller waits for them, so they log errors."""

        def soon(change: Change) -> Callable[[], None]:
            return lambda: self._call_soon(change)

        return {
            "SIGHUP": soon(self._reread_or_reload),
            "SIGTTIN": soon(lambda: self.scale_by(1)),
            "SIGTTOU": soon(lambda: self.scale_by(-1)),
        }

    async def end(self) -> None:
        """Make no more changes."""
        self._ended = True
        await self._tasks.wait_cancelled()

    async def _reread_or_reload(self) -> Outcome:
        """Read the configuration file again, where it may have changed; if it says nothing new, replace the workers."""
        if self._reconfiguration is not None and not any(app.alone for app in self._apps):
            outcome = await self.reread(By.SIGNAL)
            if outcome.count or outcome.static or outcome.trouble:
                return outcome
        return await self.reload(by=By.SIGNAL)

    def _check(self, apps: Iterable[App]) -> None:
        """Raise SnakepitError if the workers of these apps can't be changed now."""
        if self._ended:
            raise SnakepitError("The server is stopping: nothing changes")
        if any(app.config.runtime == "thread" for app in apps):
            raise SnakepitError("--runtime thread has one worker, whose modules are imported once: nothing changes")
        if not all(app.pool.all_ready.is_set() for app in apps if app.is_up):
            raise SnakepitError("Workers are still starting: nothing changes")

    def _call_soon(self, change: Change) -> None:
        self._loop.call_soon_threadsafe(self._begin, change)

    def _begin(self, change: Change) -> None:
        if not self._ended:
            self._tasks.begin(self._obey(change))

    async def _obey(self, change: Change) -> None:
        try:
            await change()
        except SnakepitError as error:
            self._log.warning("%s", error)

    def _begin_reload(self, name: str | None, work: Coroutine[object, object, Outcome]) -> None:
        """Begin a reload of the app with this name, or of all; one of the same that is under way may have old files."""
        for former in self._reloading.values() if name is None else filter(None, [self._reloading.get(name)]):
            former.cancel()
        if name is None:
            self._reloading.clear()
        self._reloading[name] = self._tasks.begin(work)

    async def _newest_outcome(self, name: str | None) -> Outcome:
        while True:
            task = self._reloading_of(name)
            await asyncio.wait([task])
            if task is self._reloading_of(name):
                return Outcome(0, STOPPING) if task.cancelled() else task.result()

    def _reloading_of(self, name: str | None) -> asyncio.Task[Outcome]:
        return self._reloading.get(name) or self._reloading[None]

    async def _reload(self, apps: Sequence[App], name: str, by: By) -> Outcome:
        several = f" of {', '.join(app.name for app in apps)}" if any(not app.alone for app in apps) else ""
        self._log.info("Reloading: new workers%s, one after the other", several)
        began = time.monotonic()
        self._events.add(Kind.RELOAD, f"Reloading{several} {by.words}", app=name, reason=by)
        self._manager.reloading()
        try:
            outcome = await self._reload_apps(apps)
        finally:
            self._manager.reloaded()
        self._log.info("Reloaded" if outcome else "Not reloaded; still serving the previous version")
        self._note_outcome(outcome, began, several, name, by)
        return outcome

    def _note_outcome(self, outcome: Outcome, began: float, of: str, name: str, by: By) -> None:
        text = f"Not reloaded{of}: {outcome.trouble}"
        if outcome:
            text = f"Reloaded {counted(outcome.count, 'worker')}{of} in {time.monotonic() - began:.2f} s"
        self._events.add(Kind.RELOADED if outcome else Kind.NOT_RELOADED, text, app=name, reason=by)

    async def _reload_apps(self, apps: Iterable[App]) -> Outcome:
        outcomes: list[Outcome] = []
        for app in apps:
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
                apps = [app for app in self._apps if not app.stopped]
                concerned = [app for app in apps if reloader.is_concerned(app.config, changed)]
                if len(concerned) == len(apps):
                    self._begin_reload(None, self._reload_changed(changed, apps))
                    continue
                for app in concerned:
                    self._begin_reload(app.name, self._reload_changed(changed, [app]))
        except OSError as error:
            self._log.error("Changes can't be watched any more: %s", error)

    async def _reload_changed(self, changed: list[Path], apps: Sequence[App]) -> Outcome:
        which = "" if any(app.alone for app in apps) else f" {', '.join(app.name for app in apps)}"
        files, name = _named(changed, self._folder), apps[0].name if len(apps) == 1 else ""
        self._log.info("Changed: %s; reloading%s", files, which)
        self._events.add(Kind.RELOAD, f"Reloading{which}; changed: {files}", app=name, reason=By.FILES)
        began = time.monotonic()
        outcome = Outcome.total(await asyncio.gather(*map(self._replace_all, apps)))
        self._note_outcome(outcome, began, f" of{which}" if which else "", name, By.FILES)
        if outcome:
            self._log.info("Reloaded%s in %.2f s", which, time.monotonic() - began)
        elif any(worker.state is WorkerState.READY for app in apps for worker in app.pool.workers):
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

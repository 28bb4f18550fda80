"""Applies a configuration file that has changed: apps come, go and change, and the others notice nothing."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from snakepit.config.apps import PER_APP
from snakepit.config.options import OPTIONS, Config, RoutedApp
from snakepit.config.static import StaticFiles
from snakepit.errors import SnakepitError
from snakepit.server.apps.app import App
from snakepit.server.apps.table import Apps
from snakepit.server.event_loop.background import BackgroundTasks
from snakepit.server.pool.outcome import Outcome

_APART = ("mount", "static_path", "static_route")  # options that say the same as tables that are compared


class Reconfiguration:
    """The apps as the configuration file had them, and what is done when it says something else.

    Args:
        known: the options that the file led to when it was last read.
        read: reads it again. Raises SnakepitError.
        make: makes an app, without starting it. Raises SnakepitError.
        serve_static: serves other static files from now on.
        seconds: for requests in flight of an app that goes.
    """

    def __init__(
        self,
        known: Config,
        read: Callable[[], Config],
        make: Callable[[RoutedApp], App],
        serve_static: Callable[[Sequence[StaticFiles]], None],
        apps: Apps,
        seconds: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._known = known
        self._read = read
        self._make = make
        self._serve_static = serve_static
        self._apps = apps
        self._seconds = seconds
        self._loop = loop
        self._log = logging.getLogger("snakepit.server")
        self._tasks = BackgroundTasks()

    async def apply(self) -> "Outcome | None":
        """Read the file, and make of apps and static files what it says; returns when apps that come are ready.

        The outcome counts those that came, went and changed, and names those that can't be started; None: the file says
        nothing new of them. Where an app that changed can't be started, the one before goes on. Raises SnakepitError if
        the file is wrong: then nothing changes.
        """
        config = self._read()
        if self._known.apps and not config.apps:
            raise SnakepitError("The configuration names no apps with routes any more; snakepit upgrade applies that")
        if config.apps and not self._known.apps:
            raise SnakepitError("The configuration names apps with routes now; snakepit upgrade applies that")
        self._tell_of_others(config)
        before, after = _by_name(self._known), _by_name(config)
        gone = [name for name in before if name not in after]
        come = [app for name, app in after.items() if name not in before]
        changed = [app for name, app in after.items() if name in before and not app.same_app(before[name])]
        made = {app.name: self._make(app) for app in (*come, *changed) if not app.route.placeholders}
        static = self._become_static(config.static)
        if not gone and not come and not changed:
            self._known = config.with_apps([before[name] for name in after])
            return Outcome(0, static=static) if static else None
        failures = await self._start(made)
        troubles = {name: why for name, why in failures.items() if name in before}  # a new app fails by itself
        # an app that stays runs with what the file said when it was made, such as another share of the CPUs
        touched = {app.name for app in changed} - set(troubles)
        kept = {name: app for name, app in before.items() if name not in touched}
        self._known = config.with_apps([kept.get(name, app) for name, app in after.items()])
        started = {name: app for name, app in made.items() if name not in troubles}
        for app in self._apps.become(self._known.apps, started):
            self._tasks.begin(self._see_off(app))
        for app in made.values():
            if app.name in troubles:
                self._tasks.begin(self._see_off(app))
        changed = [app for app in changed if app.name not in troubles]
        for what, names in (("came", come), ("changed", changed), ("went", [before[name] for name in gone])):
            if names:
                self._log.info("Apps that %s: %s", what, ", ".join(app.name for app in names))
        return Outcome(len(gone) + len(come) + len(changed), "\n".join(failures.values()), static)

    def _become_static(self, wanted: Sequence[StaticFiles]) -> int:
        """Serve these static files; returns how many of their routes came, changed and went."""
        before = {site.place: site for site in self._known.static}
        after = {site.place: site for site in wanted}
        come = [site for place, site in after.items() if place not in before]
        changed = [site for place, site in after.items() if place in before and site != before[place]]
        gone = [site for place, site in before.items() if place not in after]
        if come or changed or gone:
            self._serve_static(wanted)
        for what, sites in (("came", come), ("changed", changed), ("went", gone)):
            if sites:
                self._log.info("Static files that %s: %s", what, ", ".join("".join(site.place) for site in sites))
        return len(come) + len(changed) + len(gone)

    async def _start(self, made: Mapping[str, App]) -> dict[str, str]:
        """Start apps beside the others; returns what keeps some of them from starting."""
        for app in made.values():
            self._apps.accompany(app)
            await app.start()
        for app in made.values():
            await app.tried.wait()
        return {name: f"{name}: {app.failure}" for name, app in made.items() if app.failure is not None}

    async def _see_off(self, app: App) -> None:
        await app.leave(self._loop.time() + self._seconds, "since the configuration has changed")
        self._apps.forget(app)

    def _tell_of_others(self, config: Config) -> None:
        per_app = PER_APP if config.apps else ()
        names = ["app", "tls", *(option.name for option in OPTIONS if option.name not in (*per_app, *_APART))]
        other = [name for name in names if getattr(config, name) != getattr(self._known, name)]
        if other:
            self._log.warning(
                "Changed, and left as it is until snakepit upgrade or the next start: %s", ", ".join(other)
            )


def _by_name(config: Config) -> dict[str, RoutedApp]:
    return {app.name: app for app in config.apps}

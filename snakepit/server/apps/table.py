"""The apps of one server, and operations on all of them at once."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from snakepit.config.options import RoutedApp
from snakepit.errors import SnakepitError
from snakepit.server.apps.app import App
from snakepit.server.apps.tenants import Tenants
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.routing.routes import Routes


class Apps:
    """The apps of a server: those of routes without placeholders, in their order, and those that requests make.

    Args:
        apps: those that start with the server.
        routes: what finds them; None: there is one app, which gets all requests.
    """

    def __init__(self, apps: Iterable[App], tenants: Tenants, routes: Routes | None = None) -> None:
        self._first = list(apps)
        self._tenants = tenants
        self._routes = routes
        self._passing: list[App] = []  # that start, or end, beside the others
        self._left_open = 0  # interpreters of those that ended
        self.templates: list[RoutedApp] = []
        """What apps are made of that have placeholders in their routes."""

    def __iter__(self) -> Iterator[App]:
        yield from self._first
        yield from self._tenants
        yield from list(self._passing)

    def become(self, routed: Iterable[RoutedApp], started: Mapping[str, App]) -> list[App]:
        """Have these apps from now on, of which some have been `started`; returns those that go.

        What is neither has been there before. Apps of routes with placeholders that are not there any more go by
        themselves.
        """
        routed = list(routed)
        names = [app.name for app in routed if not app.route.placeholders]
        before = {app.name: app for app in self._first}
        now = {**before, **started}
        self._first = [now[name] for name in names]
        going = [app for app in before.values() if app not in self._first]
        self._passing = [app for app in self._passing if app not in self._first] + going
        self._tenants.keep_only([app for app in routed if app.route.placeholders])
        self.fill_routes(routed)
        return going

    def fill_routes(self, routed: Iterable[RoutedApp]) -> None:
        """Let each request find its app."""
        if self._routes is None:
            return
        self._routes.clear()
        for app in self._first:
            self._routes.add(app.route, app)
        self.templates = [app for app in routed if app.route.placeholders]
        for template in self.templates:
            self._routes.add_pattern(template.route, partial(self._tenants.find, template))

    def accompany(self, app: App) -> None:
        """Note an app that starts beside the others, and gets no requests yet."""
        self._passing.append(app)

    def forget(self, app: App) -> None:
        """Note that an app that went has ended."""
        self._passing.remove(app)
        self._left_open += app.left_open

    def named(self, name: str) -> App:
        """Return the app with this name. Raises SnakepitError."""
        found = next((app for app in self if app.name == name), None)
        if found is None:
            names = ", ".join(app.name for app in self) or "none now"
            raise SnakepitError(f"There is no app called {name!r}; the apps are: {names}")
        return found

    @property
    def lasting(self) -> list[App]:
        """Those of routes without placeholders, in their order."""
        return list(self._first)

    @property
    def up(self) -> list[App]:
        """Those that have workers, or whose workers start."""
        return [app for app in self if app.is_up]

    @property
    def wanted(self) -> int:
        """The number of workers that each should have, at most."""
        return max((app.pool.wanted for app in self), default=0)

    @property
    def in_progress(self) -> int:
        """The number of exchanges in workers and in queues."""
        return sum(app.pool.queue.in_progress for app in self)

    @property
    def oldest_exchange(self) -> Exchange | None:
        """The oldest exchange in progress."""
        found = [exchange for app in self if (exchange := app.pool.queue.oldest) is not None]
        return min(found, key=lambda exchange: exchange.began, default=None)

    @property
    def failure(self) -> SnakepitError | None:
        """The error because of which none of them will be served."""
        failures = [app.failure for app in self._first]
        return None if None in failures or not failures else failures[0]

    async def start(self) -> None:
        """Start the workers, one app after the other: the first worker of each, and the others when that is ready."""
        for app in self._first:
            await app.start()

    async def wait_first_ready(self) -> None:
        """Wait until each has a worker that takes requests, or can't be started."""
        for app in self._first:
            await app.tried.wait()

    async def wait_all_ready(self) -> None:
        """Wait until each that can be started has as many workers as it should have."""
        await self.wait_first_ready()
        for app in self._first:
            if app.is_up:
                await app.pool.all_ready.wait()

    async def wait_failure(self) -> None:
        """Wait until it is certain that none of them will be served."""
        while self.failure is None:
            if not self._first:
                await asyncio.get_running_loop().create_future()  # for ever: each tenant fails alone
            await asyncio.gather(*(app.failed.wait() for app in self._first))

    async def wait_idle(self) -> None:
        """Wait until no exchange is in progress."""
        while self.in_progress:
            for app in self:
                await app.pool.queue.wait_idle()

    async def close(self, deadline: float) -> int:
        """Retire all workers; after `deadline` (loop time) cut them and, if necessary, abandon them.

        Returns how many interpreters stay open.
        """
        self._tenants.close()
        apps = list(self)
        left_open = sum(await asyncio.gather(*(app.close(deadline) for app in apps)))
        return left_open + self._left_open + self._tenants.left_open

    def close_pages(self) -> None:
        """End the streams of all browsers that wait for a newer version of an app."""
        for app in self:
            app.close_pages()

    def reopen_logs(self) -> None:
        """Make all workers reopen log files that were moved away."""
        for app in self:
            app.pool.reopen_logs()

    def kill(self) -> None:
        """Kill all workers that can be killed, without the loop."""
        for app in self:
            app.pool.kill()

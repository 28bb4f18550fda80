"""The apps of one server, and operations on all of them at once."""

import asyncio
from collections.abc import Iterable, Iterator

from snakepit.errors import SnakepitError
from snakepit.server.apps.app import App
from snakepit.server.apps.tenants import Tenants
from snakepit.server.exchanges.exchange import Exchange


class Apps:
    """The apps of a server: those that start with it, in this order, and those that requests make."""

    def __init__(self, apps: Iterable[App], tenants: Tenants) -> None:
        self._first = list(apps)
        self._tenants = tenants

    def __iter__(self) -> Iterator[App]:
        yield from self._first
        yield from self._tenants

    def named(self, name: str) -> App:
        """Return the app with this name. Raises SnakepitError."""
        found = next((app for app in self if app.name == name), None)
        if found is None:
            names = ", ".join(app.name for app in self) or "none now"
            raise SnakepitError(f"There is no app called {name!r}; the apps are: {names}")
        return found

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
                await asyncio.Event().wait()
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
        left_open = sum(await asyncio.gather(*(app.close(deadline) for app in self)))
        return left_open + self._tenants.left_open

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

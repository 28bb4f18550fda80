"""The apps of one server, and operations on all of them at once."""

import asyncio
from collections.abc import Iterable, Iterator

from snakepit.errors import SnakepitError
from snakepit.server.apps.app import App
from snakepit.server.exchanges.exchange import Exchange


class Apps:
    """The apps of a server by their names, in the order in which they start; at least one."""

    def __init__(self, apps: Iterable[App]) -> None:
        self._by_name = {app.name: app for app in apps}

    def __iter__(self) -> Iterator[App]:
        return iter(self._by_name.values())

    @property
    def names(self) -> str:
        """Their names, for people."""
        return ", ".join(self._by_name)

    @property
    def wanted(self) -> int:
        """The number of workers that each should have."""
        return max(app.pool.wanted for app in self)

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
        failures = [app.failure for app in self]
        return None if None in failures else failures[0]

    async def start(self) -> None:
        """Start the workers, one app after the other: the first worker of each, and the others when that is ready."""
        for app in self:
            await app.start()

    async def wait_first_ready(self) -> None:
        """Wait until each has a worker that takes requests, or can't be started."""
        for app in self:
            await app.tried.wait()

    async def wait_all_ready(self) -> None:
        """Wait until each that can be started has as many workers as it should have."""
        await self.wait_first_ready()
        for app in self:
            if app.failure is None:
                await app.pool.all_ready.wait()

    async def wait_failure(self) -> None:
        """Wait until it is certain that none of them will be served."""
        while self.failure is None:
            await asyncio.gather(*(app.failed.wait() for app in self))

    async def wait_idle(self) -> None:
        """Wait until no exchange is in progress."""
        while self.in_progress:
            for app in self:
                await app.pool.queue.wait_idle()

    async def close(self, deadline: float) -> int:
        """Retire all workers; after `deadline` (loop time) cut them and, if necessary, abandon them.

        Returns how many interpreters stay open.
        """
        return sum(await asyncio.gather(*(app.close(deadline) for app in self)))

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

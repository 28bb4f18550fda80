"""The apps of one server, and what is done with all of them at once."""

import asyncio
from collections.abc import Iterable, Iterator

from snakepit.errors import SnakepitError
from snakepit.server.apps.app import App
from snakepit.server.exchanges.exchange import Exchange


class Apps:
    """The apps of a server by their names, in the order in which they start; one at least."""

    def __init__(self, apps: Iterable[App]) -> None:
        self._by_name = {app.name: app for app in apps}

    def __iter__(self) -> Iterator[App]:
        return iter(self._by_name.values())

    @property
    def names(self) -> str:
        """What they are called, for people."""
        return ", ".join(self._by_name)

    @property
    def wanted(self) -> int:
        """How many workers each is to have."""
        return max(app.pool.wanted for app in self)

    @property
    def in_progress(self) -> int:
        """Exchanges in workers and waiting for some."""
        return sum(app.pool.queue.in_progress for app in self)

    @property
    def oldest_exchange(self) -> Exchange | None:
        """The exchange in progress that came first."""
        found = [exchange for app in self if (exchange := app.pool.queue.oldest) is not None]
        return min(found, key=lambda exchange: exchange.began, default=None)

    @property
    def failure(self) -> SnakepitError | None:
        """Why one of them will never be served."""
        return next((app.pool.failure.result() for app in self if app.pool.failure.done()), None)

    async def start(self) -> None:
        """Start the workers of one app after the other: of each the first, and the others when that is ready."""
        for app in self:
            await app.pool.start()

    async def wait_first_ready(self) -> None:
        """Return when each has a worker that takes requests."""
        for app in self:
            await app.pool.first_ready.wait()

    async def wait_all_ready(self) -> None:
        """Return when each has as many workers as there are to be."""
        for app in self:
            await app.pool.all_ready.wait()

    async def wait_failure(self) -> None:
        """Return when one of them will never be served."""
        await asyncio.wait([app.pool.failure for app in self], return_when=asyncio.FIRST_COMPLETED)

    async def wait_idle(self) -> None:
        """Return when no exchange is in progress."""
        while self.in_progress:
            for app in self:
                await app.pool.queue.wait_idle()

    async def close(self, deadline: float) -> int:
        """Retire all workers; past `deadline` (loop time) cut and, if need be, abandon.

        Returns how many interpreters stay open.
        """
        return sum(await asyncio.gather(*(app.pool.close(deadline) for app in self)))

    def close_pages(self) -> None:
        """Let all browsers go that wait for a newer version of an app."""
        for app in self:
            app.close_pages()

    def reopen_logs(self) -> None:
        """Have all workers open log files anew that were moved away."""
        for app in self:
            app.pool.reopen_logs()

    def kill(self) -> None:
        """Kill whatever can be killed, without the loop."""
        for app in self:
            app.pool.kill()

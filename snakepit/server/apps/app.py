"""One app of a server: its workers with the queue of requests for them, and its pages."""

import asyncio
import time
from typing import TYPE_CHECKING

from snakepit.server.apps.options import Surroundings, pool_options
from snakepit.server.apps.statistics import AppStatistics, WorkerStatistics
from snakepit.server.pool.pool import Pool
from snakepit.server.responders.reload_pages import ReloadPages

if TYPE_CHECKING:
    from snakepit.config.app_reference import AppReference
    from snakepit.config.options import Config
    from snakepit.server.pool.observer import Observer
    from snakepit.server.responders.responder import Responder


class App:
    """The objects of one app.

    `name` is its name for operators.
    """

    def __init__(
        self,
        config: "Config",
        reference: "AppReference",
        surroundings: Surroundings,
        observer: "Observer",
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.name = str(reference)
        self.runtime = config.runtime
        self.pool = Pool(pool_options(config, reference, surroundings), observer, loop)
        self._pages = ReloadPages(surroundings.server) if config.reload_browser else None

    @property
    def responders(self) -> "list[Responder]":
        """The responders that answer some of its requests without a worker."""
        return [] if self._pages is None else [self._pages]

    def statistics(self) -> AppStatistics:
        """Return the state of the app."""
        pool, now = self.pool, time.monotonic()
        return AppStatistics(
            in_progress=pool.queue.in_progress,
            waiting=pool.queue.waiting,
            abandoned=pool.abandoned,
            lost_wakeups=pool.queue.wake_ups.lost,
            workers=tuple(
                WorkerStatistics(
                    number=worker.number,
                    state=worker.state.name.lower(),
                    interface=worker.report.interface,
                    exchanges=len(worker.exchanges),
                    served=worker.served,
                    age=now - worker.thread.began,
                    import_seconds=worker.report.import_seconds,
                    startup_seconds=worker.report.startup_seconds,
                )
                for worker in pool.workers + pool.retiring
            ),
        )

    def announce_version(self) -> None:
        """Make the pages of older versions reload themselves: all answers from now on are of the newest version."""
        if self._pages is not None:
            self._pages.announce(self.pool.version)

    def close_pages(self) -> None:
        """End the streams of all browsers that wait for a newer version."""
        if self._pages is not None:
            self._pages.close()

"""One app of a server: its workers with the queue of requests for them, and its pages."""

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from snakepit.server.apps.body_limit import BodyLimit
from snakepit.server.apps.options import Surroundings, pool_options
from snakepit.server.apps.statistics import AppStatistics, WorkerStatistics
from snakepit.server.event_loop.background import BackgroundTasks
from snakepit.server.events.kinds import Kind
from snakepit.server.pool.outcome import Outcome
from snakepit.server.pool.pool import Pool
from snakepit.server.responders.failed import Failed
from snakepit.server.responders.failure_page import failure_page
from snakepit.server.responders.refusal import Refusal
from snakepit.server.responders.reload_pages import ReloadPages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from snakepit.config.options import RoutedApp
    from snakepit.errors import SnakepitError
    from snakepit.server.exchanges.exchange import Destination, Exchange
    from snakepit.server.pool.observer import Observer
    from snakepit.server.responders.responder import Responder

ENDING_SECONDS = 3.0
"""Seconds for the workers of an app that could not be started to end."""

KNOWN = 8
"""Destinations that an app remembers: one for each time that it was started, failed or stopped."""


class App:
    """The objects of one app.

    `name` is its name for operators; `alone`: it is the server's only one, and gets all requests. `destination` answers
    its requests: its queue, or what answers in its stead. `tried` is set when it is known whether it can be started; if
    it can't, `failed` is set and `failure` is the error.
    """

    def __init__(
        self, routed: "RoutedApp", surroundings: Surroundings, observer: "Observer", loop: asyncio.AbstractEventLoop
    ) -> None:
        self.name = routed.name
        self.route = routed.route
        self.config = config = routed.config
        self._options = pool_options(routed, surroundings)
        self._observer = observer
        self._loop = loop
        self.alone = not surroundings.several
        self._pages = ReloadPages(surroundings.server) if config.reload_browser else None
        self.responders: Sequence[Responder] = () if self._pages is None else (self._pages,)
        self.tried = asyncio.Event()
        self.failed = asyncio.Event()
        self.failure: SnakepitError | None = None
        self.stopped = False
        self._failures = 0  # in a row
        self._tasks = BackgroundTasks()
        self._leaves = False  # for good
        self.left_open = 0  # interpreters that can't be closed, once it is
        self._earlier: dict[Pool, int] = {}  # pools that were closed, and how many of their interpreters stay open
        self._endings = BackgroundTasks()  # of pools that could not start
        self.pool = self._new_pool()
        self._latest: deque[Destination] = deque(maxlen=KNOWN)
        self.destination: Destination
        self._lead_to(self._front())

    def __repr__(self) -> str:
        return f"<App {self.name} {self.pool}>"

    async def start(self) -> None:
        """Start its workers. Its requests may come from now on; they wait."""
        pool = self.pool
        self._tasks.begin(self._wait_for(pool))
        await pool.start()

    async def reload(self) -> Outcome:
        """Replace its workers, one after the other; stops at the first that can't be."""
        return await self.pool.reload() if self.failure is None else await self.begin_again()

    async def replace_all(self) -> Outcome:
        """Replace its workers, all at once; the first that can't be ends it."""
        return await self.pool.replace_all() if self.failure is None else await self.begin_again()

    async def stop(self, deadline: float) -> None:
        """Retire its workers, as `close` does; its requests get 503 until it is started again."""
        self._lead_to(Refusal(503, "This app is stopped"))
        self.failure, self.stopped = None, True
        self._observer.happened(Kind.APP_STOPPED, f"App {self.name} is stopped")
        self._tasks.cancel()
        pool = self.pool  # it may be started again before this one has ended
        await self._wait_idle(pool, deadline)
        self._earlier[pool] = await pool.close(deadline)

    async def begin_again(self) -> Outcome:
        """Start an app that was stopped, or could not be started."""
        self._begin_anew()
        await self.tried.wait()
        return Outcome(1) if self.failure is None else Outcome(0, str(self.failure))

    async def leave(self, deadline: float, why: str) -> None:
        """Answer the requests that it has, and close; no others come. `why`: for people, as in "to make room"."""
        self._leaves = True
        self._observer.happened(Kind.APP_RETIRED, f"App {self.name} goes, {why}")
        await self._wait_idle(self.pool, deadline)
        await self.close(deadline)

    async def close(self, deadline: float) -> int:
        """Retire its workers; after `deadline` (loop time) cut them and, if necessary, abandon them.

        Returns how many interpreters stay open.
        """
        self._leaves = True
        self._tasks.cancel()
        await asyncio.gather(*self._endings)
        self._earlier[self.pool] = await self.pool.close(deadline)
        self.left_open = sum(self._earlier.values())
        return self.left_open

    @property
    def busy(self) -> bool:
        """Whether any of its requests is in progress."""
        return self.pool.queue.in_progress > 0

    def statistics(self) -> AppStatistics:
        """Return the state of the app."""
        pool, now = self.pool, time.monotonic()
        workers = pool.workers + pool.retiring if self.is_up or self._leaves else []
        return AppStatistics(
            name=self.name,
            route=str(self.route),
            state=self._state,
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
                for worker in workers
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

    @property
    def is_up(self) -> bool:
        """Whether it has workers, or workers start."""
        return self.failure is None and not self.stopped and not self._leaves

    @property
    def _state(self) -> str:
        if self._leaves:
            return "stopping"
        if self.stopped:
            return "stopped"
        if self.failure is not None:
            return "failed"
        return "serving" if self.pool.first_ready.is_set() else "starting"

    async def _wait_idle(self, pool: Pool, deadline: float) -> None:
        """Wait until its requests are answered; those that still wait for a worker at `deadline` get 503."""
        try:
            async with asyncio.timeout_at(deadline):
                await pool.queue.wait_idle()
        except TimeoutError:
            pool.queue.answer_instead(Refusal(503, "This app is stopped"))

    def has_led_to(self, destination: "Destination") -> bool:
        """Tell whether this answers the app's requests, or did so of late: of some it may not have told the end."""
        return destination in self._latest or destination is self.pool.queue

    def _lead_to(self, destination: "Destination") -> None:
        self.destination = destination
        self._latest.append(destination)

    def _front(self) -> "Destination":
        """Return what its requests go to when it is up."""
        limit = self.config.limit_request_body
        return self.pool.queue if self.alone or limit is None else BodyLimit(limit, self.pool.queue)

    def _new_pool(self) -> Pool:
        return Pool(self._options, self._observer, self._loop)

    # -- where it can't be started -----------------------------------------------------------------------------------

    async def _wait_for(self, pool: Pool) -> None:
        """Wait until it is known whether the app can be started; if other apps can, answer in its stead."""
        ready: asyncio.Future[Any] = asyncio.ensure_future(pool.first_ready.wait())
        outcomes: list[asyncio.Future[Any]] = [ready, pool.failure]
        try:
            await asyncio.wait(outcomes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if not pool.failure.done():
            self._failures = 0
            self.tried.set()
            if not self.alone:
                self._observer.happened(Kind.APP_STARTED, f"App {self.name} is ready")
            await asyncio.shield(pool.failure)
        self.failure = pool.failure.result()
        self._observer.happened(Kind.APP_FAILED, f"App {self.name} can't be started: {self.failure}")
        if not self.alone:
            self._failures += 1
            page = failure_page(self.failure, self.config.reload_browser)
            answering = Failed(self._failures, self._start_for, page)
            logging.getLogger("snakepit.server").error(
                "App %s can't be started; it is tried again after %.0f s: %s",
                self.name,
                answering.seconds_left,
                self.failure,
            )
            self._lead_to(answering)
            pool.queue.answer_instead(answering)
        self.tried.set()
        self.failed.set()
        if not self.alone:
            self._endings.begin(self._close_failed(pool))

    async def _close_failed(self, pool: Pool) -> None:
        self._earlier[pool] = await pool.close(self._loop.time() + ENDING_SECONDS)

    def _start_for(self, exchange: "Exchange") -> None:
        self._begin_anew()
        exchange.redirect(self.destination)

    def _begin_anew(self) -> None:
        self.failure, self.stopped = None, False
        self.tried.clear()
        self.failed.clear()
        self.pool = self._new_pool()
        self._lead_to(self._front())
        self._tasks.begin(self.start())

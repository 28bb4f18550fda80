"""A server before it serves: its arguments, and its answers until then."""

import asyncio
import os
import platform
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from snakepit.errors import SnakepitError
from snakepit.server.operate.managers import Manager
from snakepit.server.operate.reloader import Reloader
from snakepit.server.operate.statistics import Statistics, total
from snakepit.server.pool.outcome import Outcome
from snakepit.system.memory import resident_memory
from snakepit.system.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from snakepit.config.options import Config, RoutedApp
    from snakepit.server.apps.table import Apps
    from snakepit.system.working_directory import WorkingDirectory

type Reread = tuple[Config, Callable[[], Config]]
"""The options as they were read, and a function that reads them again, and raises SnakepitError."""

STOP_AT_PROGRAM_END = 1.0
"""Seconds for requests in flight when the program that embeds the server ends: users wait for the program's end rather
than for the answers."""


class StopRequest:
    """Whether a server was asked to stop, and how long requests in flight may then take (`seconds`)."""

    def __init__(self, seconds: float) -> None:
        self.asked = asyncio.Event()
        self.seconds = seconds

    def hurry(self) -> None:
        """Shorten the time for requests in flight to a minimum."""
        self.seconds = min(self.seconds, STOP_AT_PROGRAM_END)


@dataclass(frozen=True, slots=True)
class Setup:
    """The arguments of a server, before it serves.

    Args:
        id: identifies the server, so that a page in a browser can detect a new one.
        made_at: when it was created, by the wall clock and by the monotonic clock.

    The other arguments are as for `Server`.
    """

    config: "Config"
    apps: "Sequence[RoutedApp]"
    id: str
    manager: Manager
    reloader: Reloader | None
    control: bool
    open_files: tuple[int, int] | None
    working_directory: "WorkingDirectory | None"
    process_ends: bool
    made_at: tuple[float, float]
    stop: StopRequest
    reread: "Reread | None" = None

    @property
    def names(self) -> str:
        """The names of the apps, for people."""
        return ", ".join(app.name for app in self.apps)

    @property
    def workers(self) -> int:
        """The number of workers that start with the server."""
        return sum(app.config.interpreters for app in self.apps if not app.route.placeholders)

    @property
    def workers_in_words(self) -> str:
        """Describe the workers that start with the server."""
        several = {"interpreter": "interpreters", "process": "processes", "thread": "threads"}
        counts: Counter[str] = Counter()
        for app in self.apps:
            if not app.route.placeholders:
                counts[app.config.runtime] += app.config.interpreters
        source = f" ({self.config.workers_source})" if not self.config.apps and self.config.workers_source else ""
        words = [f"{count} {runtime if count == 1 else several[runtime]}" for runtime, count in counts.items()]
        return f"{' and '.join(words) or 'no workers yet'}{source}"

    def statistics(
        self,
        *,
        app: str,
        address: str | None = None,
        serves: bool = False,
        apps: "Apps | tuple[()]" = (),
        connections: int = 0,
        open_connections: int = 0,
        requests: int = 0,
    ) -> Statistics:
        """Combine the given statistics with those that are known before the server serves."""
        since, began = self.made_at
        of_apps = [app.statistics() for app in apps]
        in_apps = total(of_apps)
        return Statistics(
            name=self.config.name,
            state="stopping" if self.stop.asked.is_set() else "serving" if serves else "starting",
            pid=os.getpid(),
            supervisor=self.manager.supervisor,
            app=app,
            address=address,
            version=__version__,
            python=platform.python_version(),
            runtime=self.config.runtime,
            since=since,
            uptime=time.monotonic() - began,
            connections=connections,
            open_connections=open_connections,
            requests=requests,
            in_progress=in_apps.in_progress,
            waiting=in_apps.waiting,
            memory=resident_memory(),
            restarts=self.manager.restarts,
            abandoned=in_apps.abandoned,
            lost_wakeups=in_apps.lost_wakeups,
            workers=in_apps.workers,
            apps=tuple(of_apps),
        )


class Unstarted:
    """A server that does not serve yet: it has no activity, and nothing can be changed."""

    address = None
    left_open = 0

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self.wanted = max(app.config.interpreters for app in setup.apps)

    def statistics(self) -> Statistics:
        """Return statistics without any activity."""
        return self._setup.statistics(app=self._setup.names)

    def stop(self) -> None:
        """Make it stop as soon as it serves."""
        self._setup.stop.asked.set()

    def stop_at_once(self) -> bool:
        """Make it stop as soon as it serves; returns True."""
        self.stop()
        return True

    def release(self) -> None:
        """Do nothing: it has no sockets."""

    async def reload(self, app: str | None = None) -> Outcome:
        """Raise SnakepitError."""
        raise self._refusal()

    async def reread(self) -> Outcome:
        """Raise SnakepitError."""
        raise self._refusal()

    async def stop_app(self, name: str) -> None:
        """Raise SnakepitError."""
        raise self._refusal()

    async def start_app(self, name: str) -> Outcome:
        """Raise SnakepitError."""
        raise self._refusal()

    async def scale(self, workers: int) -> Outcome:
        """Raise SnakepitError."""
        raise self._refusal()

    async def upgrade(self) -> int:
        """Raise SnakepitError."""
        raise self._refusal()

    def _refusal(self) -> SnakepitError:
        return SnakepitError("The server does not run: nothing changes")

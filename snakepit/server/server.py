"""The server's class for programs: `await Server(config).serve()`."""

import asyncio
import secrets
import threading
import time

from snakepit.config.options import Config
from snakepit.errors import ConfigError, SnakepitError
from snakepit.server.operate.managers import Manager
from snakepit.server.operate.program_end import STATUS, serving
from snakepit.server.operate.reloader import Reloader
from snakepit.server.operate.statistics import Statistics
from snakepit.server.pool.outcome import Outcome
from snakepit.server.serving import Serving
from snakepit.server.setup import Reread, Setup, StopRequest, Unstarted
from snakepit.system.memory import resident_memory
from snakepit.system.working_directory import WorkingDirectory


class Server:
    """A server of one app. Use `snakepit.run`, or `await Server(config).serve()` inside an asyncio loop of your own.

    Args:
        control: whether `snakepit status` and the other commands can find it.
        manager: the supervisor or service manager of this process, if there is one.
        open_files: the limit on open files before it was raised, and after, if it was.
        working_directory: of the process, if that is the server's alone.
        process_ends: whether the process ends at once after the server, so that interpreters that take long to close
            are left open.
        reread: the options as they were read, and a function that reads them again.
    """

    def __init__(
        self,
        config: Config,
        *,
        control: bool = False,
        manager: Manager | None = None,
        open_files: tuple[int, int] | None = None,
        working_directory: WorkingDirectory | None = None,
        process_ends: bool = False,
        reread: Reread | None = None,
    ) -> None:
        self.config = config
        apps = config.routed
        for app in apps:
            app.check()
        self._setup = Setup(
            config=config,
            apps=apps,
            id=secrets.token_hex(4),
            manager=manager or Manager(),
            reloader=Reloader(config, apps) if config.reload else None,
            control=control,
            open_files=open_files,
            working_directory=working_directory,
            process_ends=process_ends,
            made_at=(time.time(), time.monotonic()),
            stop=StopRequest(config.timeout_graceful_shutdown),
            reread=reread,
        )
        if config.workers_max_rss is not None and resident_memory() is None:
            raise ConfigError("workers_max_rss can't be used: this system does not tell how much memory a process has")
        self._now: Unstarted | Serving = Unstarted(self._setup)

    @property
    def address(self) -> str | None:
        """Where clients reach the server (a URL, or "unix:" and a path); None before it is bound."""
        return self._now.address

    @property
    def left_open(self) -> int:
        """Interpreters that could not be closed; if there are any, the process can only be ended by `os._exit`."""
        return self._now.left_open

    @property
    def wanted(self) -> int:
        """The number of workers that the server should have."""
        return self._now.wanted

    def statistics(self) -> Statistics:
        """Return the state of the server."""
        return self._now.statistics()

    def stop(self) -> None:
        """Ask the server to stop gracefully; `serve` returns when it has. May be called from any thread."""
        self._now.stop()

    def stop_at_once(self) -> bool:
        """Ask the server to stop, and give requests in flight only a second. May be called from any thread.

        Returns False if it can't, since its loop does not run any more.
        """
        self._setup.stop.hurry()
        return self._now.stop_at_once()

    def release(self) -> None:
        """Close the listening sockets, and remove the file of a Unix socket: the process ends at once."""
        self._now.release()

    async def reload(self, app: str | None = None) -> Outcome:
        """Replace the workers, one after the other, by new ones that import the app again.

        `app`: only those of the app with this name. A new reload replaces one that is under way. Raises SnakepitError
        if workers can't be replaced.
        """
        return await self._now.reload(app)

    async def reread(self) -> Outcome:
        """Read the configuration file again: apps come, go and change. Raises SnakepitError if that can't be done."""
        return await self._now.reread()

    async def stop_app(self, name: str) -> None:
        """Stop the workers of one of several apps; its requests get 503. Raises SnakepitError if that can't be done."""
        await self._now.stop_app(name)

    async def start_app(self, name: str) -> Outcome:
        """Start an app that was stopped or could not be started. Raises SnakepitError if that can't be done."""
        return await self._now.start_app(name)

    async def scale(self, workers: int) -> Outcome:
        """Change the number of workers; returns when new ones are ready, or surplus ones gone. Raises SnakepitError."""
        return await self._now.scale(workers)

    async def upgrade(self) -> int:
        """Start a new process, with the packages that are installed now, which takes over; returns its pid when it
        serves.

        Then this process finishes what it has begun. Raises SnakepitError if that fails, and this process goes on.
        """
        return await self._now.upgrade()

    async def serve(self) -> None:
        """Serve until `stop` is called, or SIGINT or SIGTERM comes (in the main thread). Raises SnakepitError.

        In a daemon thread it also stops when the program ends, and the program waits for that.
        """
        if isinstance(self._now, Serving):
            raise SnakepitError("a Server serves once; make another one")
        embedded = type(self._setup.manager) is Manager or threading.current_thread() is not threading.main_thread()
        try:
            with serving(self, watch_status=embedded) as in_time:
                if in_time:
                    self._now = now = Serving(self._setup, asyncio.get_running_loop())
                    await now.run()
        finally:
            if self.left_open:
                STATUS.watch()  # the program may have to be ended by `os._exit`

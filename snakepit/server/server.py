"""The server: binds, starts the workers, serves, and takes everything down again."""

import asyncio
import logging
import os
import platform
import sys
import time
from collections.abc import Coroutine
from typing import Any, Protocol

from snakepit import __version__, app_reference
from snakepit.config import Config
from snakepit.errors import ConfigError, SnakepitError
from snakepit.memory import resident_memory
from snakepit.server.changes import Changes
from snakepit.server.commands import commands
from snakepit.server.connection import Connection
from snakepit.server.control import ControlSocket, Identity
from snakepit.server.copies import CopiesFolder, remove_left_over
from snakepit.server.listener import Listener
from snakepit.server.pool import Outcome, Pool, PoolOptions
from snakepit.server.reloader import Reloader
from snakepit.server.report import StartupReport
from snakepit.server.signals import handle_signals, leave
from snakepit.server.site import Site
from snakepit.server.statistics import Statistics, of_workers

STARTUP_PATIENCE = 3.0
"""Seconds that the other workers get to end when one could not start: its message should not wait for them."""


class Supervisor(Protocol):
    """The process that looks after this one."""

    @property
    def pid(self) -> int:
        """Its process."""

    @property
    def restarts(self) -> int:
        """How often it has started the server anew, because the one before had ended."""

    async def upgrade(self) -> int:
        """Have a new server process take over from this one; returns its pid. Raises SnakepitError."""


class Server:
    """Serves one app. Use `snakepit.run`, or `await Server(config).serve()` inside an asyncio loop of your own.

    Args:
        control: whether `snakepit status` and the other commands are to find it.
        supervisor: who looks after this process, if somebody does.
    """

    def __init__(self, config: Config, *, control: bool = False, supervisor: Supervisor | None = None) -> None:
        self.config = config
        self._reference = app_reference.find(config.app)
        self._log = logging.getLogger("snakepit.server")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_requested = asyncio.Event()
        self._listener: Listener | None = None
        self._site: Site | None = None
        self._pool: Pool | None = None
        self._changes: Changes | None = None
        self._left_open = 0
        self._reloader = Reloader(config) if config.reload else None
        self._control = control
        self._supervisor = supervisor
        self._began = time.time(), time.monotonic()

    @property
    def address(self) -> str | None:
        """Where clients reach the server (a URL, or "unix:" and a path); None before it is bound."""
        return self._listener.address if self._listener is not None else None

    @property
    def left_open(self) -> int:
        """Interpreters that could not be closed; if there are any, the process can only be left with `os._exit`."""
        return self._left_open

    @property
    def wanted(self) -> int:
        """How many workers there are to be."""
        return self._pool.wanted if self._pool is not None else self.config.interpreters

    def statistics(self) -> Statistics:
        """What is going on."""
        site, pool, supervisor = self._site, self._pool, self._supervisor
        since, began = self._began
        now = time.monotonic()
        return Statistics(
            name=self.config.name,
            state=self._state(),
            pid=os.getpid(),
            supervisor=supervisor.pid if supervisor is not None else None,
            app=str(self._reference),
            address=self.address,
            version=__version__,
            python=platform.python_version(),
            runtime=self.config.runtime,
            since=since,
            uptime=now - began,
            connections=site.counters.connections if site is not None else 0,
            open_connections=len(site.connections) if site is not None else 0,
            requests=site.counters.requests if site is not None else 0,
            in_progress=pool.in_progress if pool is not None else 0,
            waiting=pool.waiting if pool is not None else 0,
            memory=resident_memory(),
            restarts=supervisor.restarts if supervisor is not None else 0,
            workers=of_workers(pool, now) if pool is not None else (),
        )

    def _state(self) -> str:
        if self._stop_requested.is_set():
            return "stopping"
        serving = self._pool is not None and self._pool.first_ready.is_set()
        return "serving" if serving else "starting"

    def stop(self) -> None:
        """Ask the server to stop gracefully; `serve` returns when it has. May be called from any thread."""
        if self._loop is None:
            self._stop_requested.set()
        else:
            self._loop.call_soon_threadsafe(self._stop_requested.set)

    async def reload(self) -> Outcome:
        """Replace the workers, one after the other, by new ones that import the app anew.

        A reload that is under way is given up for the new one. Raises SnakepitError where workers can't be replaced.
        """
        return await self._serving().reload()

    async def scale(self, workers: int) -> Outcome:
        """Have so many workers; returns when the new ones are ready and the others have ended. Raises SnakepitError."""
        return await self._serving().scale(workers)

    async def upgrade(self) -> int:
        """Have a new server process take over the listening sockets; returns its pid. Raises SnakepitError."""
        if self._supervisor is None:
            raise SnakepitError(
                "snakepit upgrade needs the supervisor: a process beside the server's, which starts the new one"
            )
        return await self._supervisor.upgrade()

    def _serving(self) -> Changes:
        if self._changes is None:
            raise SnakepitError("The server does not run: nothing changes")
        return self._changes

    async def serve(self) -> None:
        """Serve until `stop` is called, or SIGINT or SIGTERM comes (in the main thread). Raises SnakepitError."""
        if self._listener is not None:
            raise SnakepitError("a Server serves once; make another one")
        loop = self._loop = asyncio.get_running_loop()
        listener = self._listener = Listener(self.config)
        report = StartupReport(self.config.interpreters, self._log)
        copies = self._make_copies_folder()
        pool = self._pool = Pool(self._pool_options(copies), report, loop)
        site = self._site = Site(self.config, pool, loop)
        changes = self._changes = Changes(pool, self.config.runtime, self._log, loop)
        control = self._control_socket(listener)
        self._log.info(
            "Snakepit %s on Python %s: %s, app %s",
            __version__,
            platform.python_version(),
            _workers(self.config),
            self._reference,
        )
        try:
            await self._open(control)
            with handle_signals(self.stop, self._exit_now, changes.by_signal()):
                try:
                    await pool.start()
                    report.started()
                    if self._reloader is not None:
                        changes.watch(self._reloader)
                    await self._serve(listener, pool, site)
                finally:
                    report.close()
                    patience = STARTUP_PATIENCE if pool.failure.done() else self.config.timeout_graceful_shutdown
                    await self._shut_down(listener, pool, site, patience)
        finally:
            listener.close()
            if copies is not None:
                copies.remove()
            if control is not None:
                await control.close()

    def _control_socket(self, listener: Listener) -> ControlSocket | None:
        if not self._control:
            return None
        key = self._supervisor.pid if self._supervisor is not None else os.getpid()
        return ControlSocket(Identity(key, self.config.name, str(self._reference), listener.address), commands(self))

    async def _open(self, control: ControlSocket | None) -> None:
        if control is None:
            return
        try:
            await control.open()
        except ConfigError as error:
            if self.config.name is not None:  # it is to be found
                raise
            self._log.info("Commands such as snakepit status won't find this server: %s", error)

    def _make_copies_folder(self) -> CopiesFolder | None:
        if self.config.extensions == "native" or self.config.runtime != "interpreter":
            return None
        remove_left_over()
        try:
            return CopiesFolder()
        except OSError as error:
            raise ConfigError(
                f"no folder for copies of C extensions can be made: {error}; set TMPDIR to one that can be written to, "
                "or use --extensions native"
            ) from None

    async def _serve(self, listener: Listener, pool: Pool, site: Site) -> None:
        if not await self._until_first_ready(pool):
            return
        await listener.serve(asyncio.get_running_loop(), lambda: Connection(site))
        self._log.info("Listening on %s (Ctrl+C to stop)", listener.address)
        await _first_of(self._stop_requested.wait(), _outcome(pool))
        _raise_failure(pool)

    async def _until_first_ready(self, pool: Pool) -> bool:
        await _first_of(pool.first_ready.wait(), self._stop_requested.wait(), _outcome(pool))
        _raise_failure(pool)
        return not self._stop_requested.is_set()

    async def _shut_down(self, listener: Listener, pool: Pool, site: Site, patience: float) -> None:
        await self._serving().end()
        deadline = asyncio.get_running_loop().time() + patience
        listener.close()
        if pool.in_progress:
            self._log.info("Stopping: waiting for %s in flight", _requests(pool.in_progress))
        elif not pool.failure.done():
            self._log.info("Stopping")
        site.drain()
        try:
            async with asyncio.timeout_at(deadline):
                await pool.wait_idle()
                await site.wait_closed()
        except TimeoutError:
            cut = max(pool.in_progress, len(site.connections))
            self._log.warning("Cut %s still in flight after %g s", _requests(cut), patience)
        site.close()
        self._left_open = await pool.close(deadline)
        if not pool.failure.done():
            self._log.info("Stopped")

    def _exit_now(self, signal_number: int) -> None:
        if self._listener is not None:
            self._listener.close()
        self._log.warning("Stopped at once by a second signal")
        leave(128 + signal_number)

    def _pool_options(self, copies: CopiesFolder | None) -> PoolOptions:
        config, reference = self.config, self._reference
        return PoolOptions(
            workers=config.interpreters,
            threads=config.threads,
            worker_concurrency=config.limit_worker_concurrency,
            concurrency=config.limit_concurrency,
            waiting=config.limit_waiting,
            waiting_seconds=config.timeout_waiting,
            interface=config.interface,
            runtime=config.runtime,
            retiring_seconds=config.timeout_graceful_shutdown,
            max_requests=config.limit_max_requests,
            max_requests_jitter=config.limit_max_requests_jitter,
            lifetime=config.workers_lifetime,
            patient=config.reload,
            settings={
                "sys_path": [str(folder) for folder in sys.path],
                "argv": list(sys.argv),
                "module": reference.module,
                "attribute": reference.attribute,
                "script": reference.script,
                "factory": config.factory,
                "interface": config.interface,
                "lifespan": config.lifespan,
                "root_path": config.root_path,
                "interpreters": config.interpreters,
                "log_config": config.log_config,
                "extensions": config.extensions,
                "ws_max_queue": config.ws_max_queue,
                "copies": copies.path if copies is not None else "",
                "write_bytecode": not config.reload,
            },
        )


async def _first_of(*conditions: Coroutine[Any, Any, object]) -> None:
    """Wait for any of the conditions."""
    tasks = [asyncio.ensure_future(condition) for condition in conditions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _outcome(pool: Pool) -> None:
    await asyncio.wait([pool.failure])


def _raise_failure(pool: Pool) -> None:
    if pool.failure.done():
        raise pool.failure.result()


def _workers(config: Config) -> str:
    several = {"interpreter": "interpreters", "process": "processes", "thread": "threads"}
    return f"{config.interpreters} {config.runtime if config.interpreters == 1 else several[config.runtime]}"


def _requests(count: int) -> str:
    return f"{count} request{'' if count == 1 else 's'}"

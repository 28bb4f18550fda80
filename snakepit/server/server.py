"""The server: binds, starts the workers, serves, and takes everything down again."""

import asyncio
import logging
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from snakepit import __version__, app_reference, logs
from snakepit.config import Config
from snakepit.errors import ConfigError, SnakepitError
from snakepit.lifecycle import WorkerState
from snakepit.memory import keep_freed_memory
from snakepit.protocol.choice import parser_factory
from snakepit.protocol.interface import Limits
from snakepit.server.connection import Connection
from snakepit.server.copies import CopiesFolder, remove_left_over
from snakepit.server.listener import Listener
from snakepit.server.loops import loop_factory
from snakepit.server.open_files import raise_open_files_limit
from snakepit.server.pool import Pool, PoolOptions
from snakepit.server.reloader import Reloader
from snakepit.server.report import StartupReport
from snakepit.server.signals import handle_signals, leave
from snakepit.server.site import Site


@dataclass(frozen=True, slots=True)
class WorkerStatistics:
    """One worker, as `Server.statistics` sees it. One that retires has the number of the one in its place."""

    number: int
    state: str
    exchanges: int


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the main interpreter knows. Counters run from the start of the server."""

    connections: int
    open_connections: int
    requests: int
    in_progress: int
    waiting: int
    workers: tuple[WorkerStatistics, ...]


NAMED = 5
"""Changed files that are named in the log; a checkout of another branch changes hundreds."""

STARTUP_PATIENCE = 3.0
"""Seconds that the other workers get to end when one could not start: its message should not wait for them."""


class Server:
    """Serves one app. Use `snakepit.run`, or `await Server(config).serve()` inside an asyncio loop of your own."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._reference = app_reference.find(config.app)
        self._log = logging.getLogger("snakepit.server")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_requested = asyncio.Event()
        self._listener: Listener | None = None
        self._site: Site | None = None
        self._pool: Pool | None = None
        self._left_open = 0
        self._reloader = Reloader(config) if config.reload else None
        self._watching: asyncio.Task[None] | None = None
        self._reloading: asyncio.Task[None] | None = None
        self._scaling: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str | None:
        """Where clients reach the server (a URL, or "unix:" and a path); None before it is bound."""
        return self._listener.address if self._listener is not None else None

    @property
    def left_open(self) -> int:
        """Interpreters that could not be closed; if there are any, the process can only be left with `os._exit`."""
        return self._left_open

    def statistics(self) -> Statistics:
        """What is going on."""
        site, pool = self._site, self._pool
        if site is None or pool is None:
            return Statistics(0, 0, 0, 0, 0, ())
        return Statistics(
            connections=site.counters.connections,
            open_connections=len(site.connections),
            requests=site.counters.requests,
            in_progress=pool.in_progress,
            waiting=pool.waiting,
            workers=tuple(
                WorkerStatistics(worker.number, worker.state.name.lower(), pool.load(worker))
                for worker in pool.workers + pool.retiring
            ),
        )

    def stop(self) -> None:
        """Ask the server to stop gracefully; `serve` returns when it has. May be called from any thread."""
        if self._loop is None:
            self._stop_requested.set()
        else:
            self._loop.call_soon_threadsafe(self._stop_requested.set)

    def reload(self) -> None:
        """Replace the workers, one after the other, by new ones that import the app anew. From any thread.

        A reload that is under way is given up for the new one.
        """
        self._begin(self._begin_reload)

    def scale(self, change: int) -> None:
        """Have so many workers more, or less; one at least. From any thread."""
        self._begin(lambda: self._begin_scaling(change))

    def _other_signals(self) -> dict[str, Callable[[], None]]:
        return {
            "SIGHUP": self.reload,
            "SIGTTIN": lambda: self.scale(1),
            "SIGTTOU": lambda: self.scale(-1),
        }

    def _begin(self, work: Callable[[], None]) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._unless_stopping, work)

    def _unless_stopping(self, work: Callable[[], None]) -> None:
        if self._stop_requested.is_set() or self._pool is None:
            return
        if self.config.runtime == "thread":
            self._log.warning("--runtime thread has one worker, whose modules are imported once: nothing changes")
        elif not self._pool.all_ready.is_set():
            self._log.warning("Workers are still starting: nothing changes")
        else:
            work()

    def _begin_reload(self) -> None:
        if self._reloading is not None:
            self._reloading.cancel()
        self._reloading = asyncio.ensure_future(self._reload())

    async def _reload(self) -> None:
        assert self._pool is not None
        self._log.info("Reloading: new workers, one after the other")
        done = await self._pool.reload()
        self._log.info("Reloaded" if done else "Not reloaded; still serving the previous version")

    def _begin_scaling(self, change: int) -> None:
        task = asyncio.ensure_future(self._scale(change))
        self._scaling.add(task)
        task.add_done_callback(self._scaling.discard)

    async def _scale(self, change: int) -> None:
        pool = self._pool
        assert pool is not None
        before = pool.wanted
        await pool.scale(before + change)
        self._log.info("Workers: %d, were %d", pool.wanted, before)

    async def _watch(self, reloader: Reloader, pool: Pool) -> None:
        # soon: once the loop turns again, what comes next has begun to watch
        asyncio.get_running_loop().call_soon(
            self._log.info, "Watching %s for changes", ", ".join(map(str, reloader.folders))
        )
        try:
            async for changed in reloader.changes():
                if self._reloading is not None:
                    self._reloading.cancel()  # what it imports is old
                self._reloading = asyncio.ensure_future(self._reload_changed(changed, pool))
        except OSError as error:
            self._log.error("Changes can't be watched any more: %s", error)

    async def _reload_changed(self, changed: list[Path], pool: Pool) -> None:
        self._log.info("Changed: %s; reloading", _named(changed))
        began = time.monotonic()
        if await pool.replace_all():
            self._log.info("Reloaded in %.2f s", time.monotonic() - began)
        elif any(worker.state is WorkerState.READY for worker in pool.workers):
            self._log.info("Not reloaded; still serving the previous version")

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
        self._log.info(
            "Snakepit %s on Python %s: %s, app %s",
            __version__,
            platform.python_version(),
            _workers(self.config),
            self._reference,
        )
        try:
            with handle_signals(self.stop, self._exit_now, self._other_signals()):
                try:
                    await pool.start()
                    report.started()
                    if self._reloader is not None:
                        self._watching = asyncio.ensure_future(self._watch(self._reloader, pool))
                    await self._serve(listener, pool, site)
                finally:
                    report.close()
                    patience = STARTUP_PATIENCE if pool.failure.done() else self.config.timeout_graceful_shutdown
                    await self._shut_down(listener, pool, site, patience)
        finally:
            listener.close()
            if copies is not None:
                copies.remove()

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
        await self._end_tasks()
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

    async def _end_tasks(self) -> None:
        tasks = [task for task in (self._watching, self._reloading, *self._scaling) if task is not None]
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                self._log.error("Error while workers were replaced", exc_info=outcome)

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
            response_seconds=config.timeout_request,
            # with runtime thread somebody may well sit in a debugger, and there nothing can be replaced
            silent_seconds=config.timeout_worker_healthcheck if config.runtime != "thread" else 0.0,
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
                "timeout_request": config.timeout_request,
                "copies": copies.path if copies is not None else "",
                "write_bytecode": not config.reload,
            },
        )


def run(app: Any, **options: Any) -> None:
    """Serve an app until Ctrl+C or SIGTERM. Options are the command line's, with underscores.

    `app` is "module:attribute", or an app that is defined at the top level of a module or of the script being run.
    Ends the process with status 2 (a wrong option, a port in use) or 3 (the app can't be imported or started).
    """
    if getattr(sys.modules.get("snakepit.worker.bootstrap"), "serving", False):
        _exit_with(
            ConfigError(
                "snakepit.run() was called in a worker; if that was while it imported the app, put the call under "
                "if __name__ == '__main__':"
            )
        )
    try:
        config = Config.resolve(app, options)
        logs.configure(config)
        sys.path.insert(0, os.path.abspath(config.app_dir))
        server = Server(config)
        make_loop = loop_factory(config.loop)
        parser_factory(config.http, Limits())
    except SnakepitError as error:
        _exit_with(error)
    raise_open_files_limit()
    keep_freed_memory()
    status = 0
    try:
        asyncio.run(server.serve(), loop_factory=make_loop)
    except SnakepitError as error:
        print(f"Error: {error}", file=sys.stderr)
        status = error.exit_status
    except KeyboardInterrupt:  # before the server's own handlers were there, or after
        status = 128 + signal.SIGINT
    if server.left_open:
        leave(status)  # ending the main interpreter would wait for their threads, or crash over them
    if status:
        raise SystemExit(status)


def _exit_with(error: SnakepitError) -> NoReturn:
    print(f"Error: {error}", file=sys.stderr)
    raise SystemExit(error.exit_status)


def _named(files: list[Path]) -> str:
    """Files, for the log: the first few by name."""
    names = [_shortest(path) for path in files[:NAMED]]
    return ", ".join(names) + (f" and {len(files) - NAMED} more" if len(files) > NAMED else "")


def _shortest(path: Path) -> str:
    try:
        return min(os.path.relpath(path), str(path), key=len)
    except ValueError:  # another drive
        return str(path)


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

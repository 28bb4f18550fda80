"""The server: binds, starts the workers, serves, and takes everything down again."""

import asyncio
import logging
import os
import platform
import secrets
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from snakepit.c_extensions.copies import CopiesFolder, remove_left_over
from snakepit.config import app_reference
from snakepit.config.options import Config
from snakepit.errors import ConfigError, SnakepitError
from snakepit.server.event_loop.background import spawn
from snakepit.server.net.http1 import HttpConnections
from snakepit.server.net.listener import Listener
from snakepit.server.operate.changes import Changes
from snakepit.server.operate.commands import commands
from snakepit.server.operate.control_socket import ControlSocket, Identity
from snakepit.server.operate.hand_over import NO_SUPERVISOR, HandOver
from snakepit.server.operate.managers import Manager
from snakepit.server.operate.program_end import STATUS, servers, serving
from snakepit.server.operate.reloader import Reloader
from snakepit.server.operate.signals import Stops, handle_signals, leave
from snakepit.server.operate.startup_report import StartupReport
from snakepit.server.operate.statistics import Statistics, of_workers
from snakepit.server.operate.stop_report import what_is_waited_for
from snakepit.server.pool.memory_forecast import MemoryForecast
from snakepit.server.pool.pool import Pool
from snakepit.server.pool.terms import Outcome, PoolOptions
from snakepit.server.responders.reload_pages import ReloadPages
from snakepit.server.routing.router import Router
from snakepit.system.import_order import path_of_workers, standard_first, standard_modules
from snakepit.system.log_files import reopen_log_files
from snakepit.system.memory import resident_memory
from snakepit.system.version import __version__
from snakepit.system.working_directory import WorkingDirectory
from snakepit.wire import page_script
from snakepit.wire.interpreters import stop_tracing_memory

LAST_TURNS = 2
"""Turns of the loop after the listening sockets are closed, so that what clients had sent until then is read."""

TELL_AFTER = 1.0
"""Seconds that a stop may take without saying what it waits for."""

STARTUP_PATIENCE = 3.0
"""Seconds that the other workers get to end when one could not start: its message should not wait for them."""

CLOSING = 0.5
"""Seconds that interpreters get to be closed where the process ends anyway. Most take a few hundredths; one with
LiteLLM's proxy, 870,000 objects that are tracked, takes three seconds, as a process of its own does."""

LEAST_SILENCE = 5.0
"""Seconds that the supervisor bears at least before it takes this process to hang: with it end all workers, so what
`--timeout-worker-healthcheck` allows a single one, for a test perhaps, may be too little."""

LAST_PATIENCE = 1.0
"""Seconds that requests in flight get when the program ends that the server is embedded in: nobody there waits for
their answers, and somebody for the program's end."""


class Server:
    """Serves one app. Use `snakepit.run`, or `await Server(config).serve()` inside an asyncio loop of your own.

    Args:
        control: whether `snakepit status` and the other commands are to find it.
        manager: who looks after this process, if somebody does.
        open_files: the limit on open files before it was raised, and after, if it was.
        working_directory: of the process, if that is the server's alone.
        process_ends: whether it ends with the server, and at once: interpreters that take long to be closed are left
            open.
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
    ) -> None:
        self.config = config
        self._reference = app_reference.find(config.app)
        self._log = logging.getLogger("snakepit.server")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_requested = asyncio.Event()
        self._listener: Listener | None = None
        self._http: HttpConnections | None = None
        self._pool: Pool | None = None
        self._pages: ReloadPages | None = None
        self._changes: Changes | None = None
        self._left_open = 0
        self._patience = config.timeout_graceful_shutdown
        self._reloader = Reloader(config) if config.reload else None
        self._control = control
        self._manager = manager or Manager()
        self._open_files = open_files
        self._working_directory = working_directory
        self._process_ends = process_ends
        self._hand_over = HandOver(self._manager, self._log)
        self._stops = Stops(self.stop, self._exit_now)
        self._accepts = False  # connections, or has done
        self._telling: set[asyncio.Task[None]] = set()
        self._began = time.time(), time.monotonic()
        if config.workers_max_rss is not None and resident_memory() is None:
            raise ConfigError("workers_max_rss can't be used: this system does not tell how much memory a process has")
        self._id = secrets.token_hex(4)  # so that a page in a browser knows another server by it

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
        http, pool = self._http, self._pool
        since, began = self._began
        now = time.monotonic()
        return Statistics(
            name=self.config.name,
            state=self._state(),
            pid=os.getpid(),
            supervisor=self._manager.supervisor,
            app=str(self._reference),
            address=self.address,
            version=__version__,
            python=platform.python_version(),
            runtime=self.config.runtime,
            since=since,
            uptime=now - began,
            connections=http.connections.accepted if http is not None else 0,
            open_connections=len(http.connections.open) if http is not None else 0,
            requests=http.connections.requests if http is not None else 0,
            in_progress=pool.in_progress if pool is not None else 0,
            waiting=pool.waiting if pool is not None else 0,
            memory=resident_memory(),
            restarts=self._manager.restarts,
            abandoned=pool.abandoned if pool is not None else 0,
            lost_wakeups=pool.flow.lost_wakeups if pool is not None else 0,
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

    def stop_at_once(self) -> bool:
        """Ask the server to stop, and give what is in flight a second only. May be called from any thread.

        False: it can't, since its loop does not run any more.
        """
        self._patience = min(self._patience, LAST_PATIENCE)
        try:
            self.stop()
        except RuntimeError:  # the loop is closed
            pass
        if self._loop is None or self._loop.is_running():
            return True
        if self._pool is not None:
            self._pool.kill()
        return False

    def release(self) -> None:
        """Close the listening sockets, and remove the file of a Unix socket: the process ends at once."""
        if self._listener is not None:
            self._listener.close(keep_path=self._keeps_path)

    async def reload(self) -> Outcome:
        """Replace the workers, one after the other, by new ones that import the app anew.

        A reload that is under way is given up for the new one. Raises SnakepitError where workers can't be replaced.
        """
        return await self._serving().reload()

    async def scale(self, workers: int) -> Outcome:
        """Have so many workers; returns when the new ones are ready and the others have ended. Raises SnakepitError."""
        return await self._serving().scale(workers)

    async def upgrade(self) -> int:
        """Have a new process take over, with whatever is installed by now; returns its number when it serves.

        This one then finishes what it has begun. Raises SnakepitError where it can't be, and this one goes on.
        """
        self._serving()
        return await self._hand_over.upgrade()

    # -- from the manager, in any thread -----------------------------------------------------------------------------

    def told_to_stop(self, number: int, count: int) -> None:
        """So many stop signals have come, this the latest."""
        self._stops.told(number, count)

    def signalled(self, name: str) -> None:
        """Another signal came."""
        self._by_signal(self._serving())[name]()

    def retire(self, successor: int) -> None:
        """Another process serves now: finish what has begun, and end."""
        self._call_soon(lambda: self._retire(successor))

    def not_handed_over(self, reason: str) -> None:
        """No other process could take over."""
        self._call_soon(lambda: self._hand_over.failed(reason))

    def _retire(self, successor: int) -> None:
        self._hand_over.retire(successor)
        self._stop_requested.set()

    def _call_soon(self, call: Callable[[], None]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(call)

    # ----------------------------------------------------------------------------------------------------------------

    def _serving(self) -> Changes:
        if self._changes is None:
            raise SnakepitError("The server does not run: nothing changes")
        return self._changes

    async def serve(self) -> None:
        """Serve until `stop` is called, or SIGINT or SIGTERM comes (in the main thread). Raises SnakepitError.

        In a daemon thread it also stops when the program comes to its end, which waits for that.
        """
        if self._listener is not None:
            raise SnakepitError("a Server serves once; make another one")
        embedded = type(self._manager) is Manager or threading.current_thread() is not threading.main_thread()
        try:
            with serving(self, watch_status=embedded) as in_time:
                if in_time:
                    await self._serve_all()
        finally:
            if self._left_open:
                STATUS.watch()  # the program may have to be ended by `os._exit`

    async def _serve_all(self) -> None:
        loop = self._loop = asyncio.get_running_loop()
        listener = self._listener = Listener(self.config, self._manager.sockets)
        report = StartupReport(self.config.interpreters, self._log, hand_over=self._hand_over.ask)
        if self.config.runtime == "interpreter" and stop_tracing_memory():
            self._log.warning(
                "tracemalloc is stopped: with several interpreters in a process it hangs or crashes that. --runtime "
                "process or thread leaves it on"
            )
        copies = self._make_copies_folder()
        forecast = MemoryForecast(self._manager.supervisor)
        pool = self._pool = Pool(self._pool_options(copies), report, loop)
        pages = self._pages = ReloadPages(self._id) if self.config.reload_browser else None
        router = Router(pool, [pages] if pages is not None else [])
        http = self._http = HttpConnections(self.config, router, loop, self._open_files)
        changes = self._changes = Changes(pool, self.config.runtime, self._log, loop, self._manager, pages)
        control = self._control_socket(listener)
        self._log.info(
            "Snakepit %s on Python %s: %s, app %s, process %d",
            __version__,
            platform.python_version(),
            _workers(self.config),
            self._reference,
            os.getpid(),
        )
        try:
            if not self._manager.takes_over:
                await self._open(control)
            with handle_signals(self._stops, self._signals(changes)):
                self._manager.attach(self)
                try:
                    await pool.start()
                    report.started()
                    if self._reloader is not None:
                        changes.watch(self._reloader)
                    spawn(self._tell_of_memory(pool, forecast), self._telling)
                    await self._serve(listener, pool, http, control)
                finally:
                    report.close()
                    await self._shut_down(
                        listener, pool, http, STARTUP_PATIENCE if pool.failure.done() else self._patience
                    )
        finally:
            listener.close(keep_path=self._keeps_path)
            http.open_files.close()
            if copies is not None:
                copies.remove()
            if control is not None:
                await control.close()

    def _signals(self, changes: Changes) -> dict[str, Callable[[], None]]:
        signals = {**self._by_signal(changes), "SIGUSR2": self._refuse_upgrade}
        if self._manager.supervisor is None:
            return signals
        # the supervisor heeds what it gets, or passes it on; what comes here as well is the same one again
        return {**dict.fromkeys(signals, lambda: None), "SIGUSR1": signals["SIGUSR1"]}  # twice does no harm there

    def _by_signal(self, changes: Changes) -> dict[str, Callable[[], None]]:
        return {**changes.by_signal(), "SIGUSR1": lambda: self._call_soon(self._reopen_logs)}

    def _reopen_logs(self) -> None:
        opened, troubles = reopen_log_files()
        if self._pool is not None:
            self._pool.reopen_logs()
        for trouble in troubles:
            self._log.error("%s", trouble)
        if opened:
            self._log.info("Log files were moved, and are opened anew: %s", ", ".join(sorted(opened)))
        else:
            self._log.debug("SIGUSR1: no log file was moved")

    def _refuse_upgrade(self) -> None:
        self._call_soon(lambda: self._log.warning("%s: nothing changes", NO_SUPERVISOR))

    def _control_socket(self, listener: Listener) -> ControlSocket | None:
        if not self._control:
            return None
        key = self._manager.supervisor or os.getpid()
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
        try:
            remove_left_over()
            return CopiesFolder()
        except OSError as error:  # most apps don't need any; to one that does, its worker tells what is missing
            self._log.debug("No folder for copies of C extensions can be made: %s", error)
            return None

    async def _serve(
        self, listener: Listener, pool: Pool, http: HttpConnections, control: ControlSocket | None
    ) -> None:
        spawn(self._tell_alive(), self._telling)
        ready = pool.all_ready if self._manager.takes_over else pool.first_ready
        await _first_of(ready.wait(), self._stop_requested.wait(), _outcome(pool))
        _raise_failure(pool)
        if self._stop_requested.is_set():
            return
        http.open_files.watch()
        await listener.serve(asyncio.get_running_loop(), http.new_connection)
        self._accepts = True
        self._log.info("Listening on %s (Ctrl+C to stop)", ", ".join(listener.addresses))
        if self._manager.takes_over:
            await self._open(control)
        self._manager.listening(listener.sockets)
        spawn(self._tell_ready(pool), self._telling)
        await _first_of(self._stop_requested.wait(), _outcome(pool))
        _raise_failure(pool)

    async def _tell_ready(self, pool: Pool) -> None:
        await pool.all_ready.wait()
        self._manager.ready()

    async def _tell_of_memory(self, pool: Pool, forecast: MemoryForecast) -> None:
        await pool.first_ready.wait()
        if pool.serving:
            first = min(pool.serving, key=lambda worker: pool.serving[worker])
            warning = forecast.warning(first, pool.workers, pool.wanted, time.monotonic())
            if warning:
                self._log.warning("%s", warning)

    async def _tell_alive(self) -> None:
        silence = self.config.timeout_worker_healthcheck
        if silence:
            silence = max(silence, LEAST_SILENCE)
        while (pause := self._manager.alive_every(silence)) is not None:
            self._manager.alive(silence)
            await asyncio.sleep(pause)

    @property
    def _keeps_path(self) -> bool:
        """Whether the file of a Unix socket stays: another process serves there, or still does."""
        return self._hand_over.successor is not None or (self._manager.takes_over and not self._accepts)

    async def _shut_down(self, listener: Listener, pool: Pool, http: HttpConnections, patience: float) -> None:
        successor = self._hand_over.successor
        self._hand_over.end()
        if successor is None and not pool.failure.done():
            self._manager.stopping()
        await self._serving().end()
        deadline = asyncio.get_running_loop().time() + patience
        if successor is not None:
            listener.close(keep_path=True)
        else:
            await listener.close_empty(asyncio.get_running_loop(), self._keeps_path)
            for _ in range(LAST_TURNS):
                await asyncio.sleep(0)
        if not pool.failure.done():
            self._log.info("Stopping" if successor is None else f"Handed over to process {successor}")
        if self._pages is not None:
            self._pages.close()
        http.drain(gently=successor is not None)
        waiting = asyncio.ensure_future(self._tell_what_is_waited_for(pool, http, deadline))
        try:
            async with asyncio.timeout_at(deadline):
                await pool.wait_idle()
                await http.connections.wait_closed()
        except TimeoutError:
            cut = max(pool.in_progress, len(http.connections.open))
            self._log.warning("Cut %s still in flight after %g s", _requests(cut), patience)
        http.close()
        try:
            self._left_open = await pool.close(deadline)
        finally:
            waiting.cancel()
        for task in self._telling:
            task.cancel()
        self._manager.ending()
        if not pool.failure.done():
            self._log.info("Stopped")

    async def _tell_what_is_waited_for(self, pool: Pool, http: HttpConnections, deadline: float) -> None:
        await asyncio.sleep(TELL_AFTER)
        left = max(0.0, deadline - asyncio.get_running_loop().time())
        again = "; a second Ctrl+C or SIGTERM ends at once" if self._stops.count else ""
        self._log.info("Waiting for %s (%.0f s at most%s)", what_is_waited_for(pool, http.connections), left, again)

    def _exit_now(self, signal_number: int) -> None:
        for server in servers():
            server.release()
        self._log.warning("Stopped at once by a second signal")
        leave(128 + signal_number)

    def _pool_options(self, copies: CopiesFolder | None) -> PoolOptions:
        config, reference = self.config, self._reference
        path = path_of_workers()
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
            max_rss=None if config.workers_max_rss is None else config.workers_max_rss * 2**20,
            response_seconds=config.timeout_request,
            # with runtime thread somebody may well sit in a debugger, and there nothing can be replaced
            startup_seconds=config.timeout_startup if config.runtime != "thread" else 0.0,
            silent_seconds=config.timeout_worker_healthcheck if config.runtime != "thread" else 0.0,
            patient=config.reload,
            working_directory=self._working_directory,
            closing_seconds=CLOSING if self._process_ends else None,
            page_script=page_script.address(config.root_path, self._id) if config.reload_browser else "",
            settings={
                "page_script": "",
                "sys_path": path,
                "own_path": standard_first(path),
                "own_modules": standard_modules(),
                "argv": list(sys.argv),
                "module": reference.module,
                "attribute": reference.attribute,
                "script": reference.script,
                "factory": config.factory,
                "interface": config.interface,
                "lifespan": config.lifespan,
                "reset_contextvars": config.reset_contextvars,
                "root_path": config.root_path,
                "interpreters": config.interpreters,
                "log_config": config.log_config,
                "extensions": config.extensions,
                "ws_max_queue": config.ws_max_queue,
                "timeout_request": config.timeout_request,
                "copies": copies.path if copies is not None else "",
                "write_bytecode": not config.reload,
                "environ": dict(os.environ),  # as it is now, whatever workers do to the process's later
                "open_files": self._open_files,
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
    source = f" ({config.workers_source})" if config.workers_source else ""
    return f"{config.interpreters} {config.runtime if config.interpreters == 1 else several[config.runtime]}{source}"


def _requests(count: int) -> str:
    return f"{count} request{'' if count == 1 else 's'}"

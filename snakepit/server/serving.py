"""A server while it serves: its sockets, its apps with their workers, and the code that changes them.

It binds the sockets, starts the workers, serves, and shuts everything down.
"""

import asyncio
import logging
import os
import platform
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from snakepit.c_extensions.copies import CopiesFolder, remove_left_over
from snakepit.errors import ConfigError
from snakepit.server.apps.app import App
from snakepit.server.apps.options import Surroundings
from snakepit.server.apps.table import Apps
from snakepit.server.apps.tenant_hosts import has_tenant
from snakepit.server.apps.tenants import Tenants
from snakepit.server.dashboard.command import state_commands
from snakepit.server.entrance import Entrance
from snakepit.server.event_loop.background import BackgroundTasks, wait_first_of
from snakepit.server.events.events import Events
from snakepit.server.events.kinds import By, Kind
from snakepit.server.inspection.commands import inspection_commands, slow_commands
from snakepit.server.inspection.load import Load
from snakepit.server.inspection.slow import SlowRequests
from snakepit.server.monitor.monitoring import Monitoring
from snakepit.server.net.annotated import connections_for
from snakepit.server.operate.app_events import AppEvents, connection_refused
from snakepit.server.operate.certificate_commands import certificate_commands
from snakepit.server.operate.changes import Changes
from snakepit.server.operate.commands import commands
from snakepit.server.operate.control_socket import ControlSocket, Identity
from snakepit.server.operate.debug_warning import warn_of_debug
from snakepit.server.operate.event_commands import event_commands, event_streams
from snakepit.server.operate.hand_over import NO_SUPERVISOR, HandOver
from snakepit.server.operate.program_end import servers
from snakepit.server.operate.reconfiguration import Reconfiguration
from snakepit.server.operate.signals import Stops, handle_signals, leave
from snakepit.server.operate.startup_report import StartupReport
from snakepit.server.operate.statistics import Statistics
from snakepit.server.operate.stop_report import what_is_waited_for
from snakepit.server.pool.memory_forecast import MemoryForecast
from snakepit.server.pool.outcome import Outcome
from snakepit.server.routing.router import Router
from snakepit.server.routing.routes import Routes
from snakepit.server.routing.static_routes import StaticRoutes
from snakepit.server.setup import Setup
from snakepit.system import jit
from snakepit.system.import_order import StandardLibraryFirst
from snakepit.system.log_files import reopen_log_files
from snakepit.system.version import __version__
from snakepit.system.words import counted
from snakepit.wire.interpreters import stop_tracing_memory

if TYPE_CHECKING:
    from snakepit.config.options import RoutedApp
    from snakepit.config.static import StaticFiles
    from snakepit.http.fields import Fields
    from snakepit.http.types import AppFile
    from snakepit.server.dashboard.responder import Dashboard
    from snakepit.server.exchanges.exchange import Exchange, OnChange
    from snakepit.server.responders.static_files.app_files import AppFiles
    from snakepit.server.responders.static_files.responder import StaticResponder

LAST_TURNS = 2
"""Turns of the loop after the listening sockets are closed, so that data that clients had sent is read."""

QUIET_STOP = 1.0
"""Seconds after which a stop logs what it waits for."""

STOP_AFTER_FAILED_START = 3.0
"""Seconds that the other workers get to end when one could not start: the error message should not wait for them."""

LEAST_SILENCE = 5.0
"""Seconds; the least silence after which the supervisor treats this process as hung. With it all workers end, so a
short `--timeout-worker-healthcheck`, which is meant for a single worker, may be too short."""


class Serving:
    """A server that serves, or has served.

    Clients reach it at `address`; `left_open` is the number of interpreters that could not be closed at its end.
    """

    def __init__(self, setup: Setup, loop: asyncio.AbstractEventLoop) -> None:
        config, manager = setup.config, setup.manager
        self._setup = setup
        self._loop = loop
        self._log = logging.getLogger("snakepit.server")
        self._events = events = Events()
        self._entrance = Entrance(config, manager.sockets, loop, events)
        self.address = self._entrance.listener.address
        self.left_open = 0
        self._hand_over = HandOver(manager, self._log, events)
        self._report = StartupReport(setup.workers, self._log, hand_over=self._hand_over.ask)
        if any(app.config.runtime == "interpreter" for app in setup.apps) and stop_tracing_memory():
            self._log.warning(
                "tracemalloc is stopped: with several interpreters in a process it hangs or crashes that. --runtime "
                "process or thread leaves it on"
            )
        self._copies = self._make_copies_folder()
        self._forecast = MemoryForecast(manager.supervisor)
        surroundings = Surroundings(
            setup.id,
            self._copies.path if self._copies is not None else "",
            setup.open_files,
            setup.working_directory,
            setup.process_ends,
            bool(config.apps),
        )

        def make(routed: "RoutedApp") -> App:
            observer = AppEvents(events, routed.name, bool(config.apps), self._report)
            return App(routed, surroundings, observer, loop)

        tenants = Tenants(config.max_apps, make, config.timeout_graceful_shutdown, loop, events)
        first = [make(routed) for routed in setup.apps if not routed.route.placeholders]
        routes = Routes(config.strict_host) if config.apps else None
        self._apps = Apps(first, tenants, routes)
        self._apps.fill_routes(setup.apps)
        self._static = StaticRoutes(self._static_responder, routes or Router(first[0].pool.queue, first[0].responders))
        self._static.become(config.static)
        new_http = connections_for(config)
        self._http = new_http(config, self._static.router, loop, setup.open_files, secure=config.speaks_tls)
        self._app_files: AppFiles | None = None  # made for the first one
        self._http.app_files = self._send_app_file
        self._http.admission.on_refused = partial(connection_refused, events)
        certificates = self._entrance.certificates
        self._monitoring = Monitoring(config, self._apps, self._http, manager.restarts, certificates, loop)
        self._dashboard = self._make_dashboard()
        self._http.route_by(self._monitoring.first(self._static.router))
        self._changes = Changes(
            self._apps,
            self._log,
            loop,
            manager,
            events,
            self._reconfiguration(make),
            self._entrance.look_at_certificates,
        )
        self._slow = SlowRequests(self._apps, loop)
        self._load = Load(self._apps, lambda: self._http.connections.requests, loop)
        self._control = self._control_socket()
        self._stops = Stops(partial(self.stop, By.SIGNAL), self._exit_now)
        self._accepts = False  # connections, or has done
        self._telling = BackgroundTasks()

    @property
    def wanted(self) -> int:
        """The number of workers that each app should have."""
        return self._apps.wanted

    def statistics(self) -> Statistics:
        """Return the state of the server."""
        connections = self._http.connections
        return self._setup.statistics(
            app=self._setup.names,
            address=self.address,
            serves=self._accepts,
            apps=self._apps,
            connections=connections.accepted,
            open_connections=len(connections.open),
            requests=connections.requests,
        )

    def stop(self, by: By = By.PROGRAM) -> None:
        """Stop gracefully. From any thread; raises RuntimeError if the loop is closed."""
        self._call_soon(partial(self._stop, by))

    def _stop(self, by: By) -> None:
        if not self._setup.stop.asked.is_set():
            self._events.add(Kind.STOPPING, f"Stopping {by.words}", reason=by)
        self._setup.stop.asked.set()

    def stop_at_once(self) -> bool:
        """Stop, or if the loop does not run any more, kill what can be killed and return False. From any thread."""
        try:
            self.stop()
        except RuntimeError:  # the loop is closed
            pass
        if self._loop.is_running():
            return True
        self._apps.kill()
        return False

    def release(self) -> None:
        """Close the listening sockets, and remove the file of a Unix socket: the process ends at once."""
        self._entrance.listener.close(keep_path=self._keeps_path)

    async def reload(self, app: str | None = None, by: By = By.PROGRAM) -> Outcome:
        """Replace the workers of all apps, or of this one, one after the other. Raises SnakepitError."""
        return await self._changes.reload(app, by)

    async def reread(self, by: By = By.PROGRAM) -> Outcome:
        """Read the configuration file again, and make of the apps what it says. Raises SnakepitError."""
        return await self._changes.reread(by)

    async def stop_app(self, name: str) -> None:
        """Stop the workers of an app. Raises SnakepitError."""
        await self._changes.stop_app(name, self._setup.stop.seconds)

    async def start_app(self, name: str) -> Outcome:
        """Start an app that has no workers. Raises SnakepitError."""
        return await self._changes.start_app(name)

    async def scale(self, workers: int, by: By = By.PROGRAM) -> Outcome:
        """Change the number of workers of each app. Raises SnakepitError."""
        return await self._changes.scale(workers, by)

    async def upgrade(self) -> int:
        """Start a new process that takes over; returns its pid when it serves. Raises SnakepitError."""
        return await self._hand_over.upgrade()

    # -- from the manager, in any thread -----------------------------------------------------------------------------

    def told_to_stop(self, number: int, count: int) -> None:
        """Note how many stop signals have come; `number` is the latest."""
        self._stops.told(number, count)

    def restarted(self, why: str) -> None:
        """Note that this process was started because another ended; `why`: which, and how."""
        self._call_soon(lambda: self._events.add(Kind.RESTARTED, f"It is in place of one that died: {why}"))

    def signalled(self, name: str) -> None:
        """Handle another signal."""
        self._by_signal()[name]()

    def retire(self, successor: int) -> None:
        """Finish what has begun, and end, since another process serves now."""
        self._call_soon(lambda: self._retire(successor))

    def not_handed_over(self, reason: str) -> None:
        """Note that no other process could take over."""
        self._call_soon(lambda: self._hand_over.failed(reason))

    def _retire(self, successor: int) -> None:
        self._hand_over.retire(successor)
        self._setup.stop.asked.set()

    def _call_soon(self, call: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(call)

    # -- from the start to the end -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until asked to stop. Raises SnakepitError."""
        self._log.info(
            "Snakepit %s on Python %s: %s, %s %s%s, process %d",
            __version__,
            platform.python_version(),
            self._setup.workers_in_words,
            "apps" if self._setup.config.apps else "app",
            self._setup.names,
            ", JIT on" if jit.is_enabled() else "",
            os.getpid(),
        )
        self._note_start()
        if trouble := jit.trouble(self._setup.config.jit):
            self._log.warning("%s", trouble)
        manager = self._setup.manager
        try:
            if not manager.takes_over:
                await self._open_control_socket()
            with handle_signals(self._stops, self._signals()):
                manager.attach(self)
                try:
                    await self._apps.start()
                    self._report.started()
                    if self._setup.reloader is not None:
                        self._changes.watch(self._setup.reloader)
                    for app in self._apps:
                        self._telling.begin(self._warn_of_memory(app))
                    await self._serve()
                finally:
                    self._report.close()
                    failed = self._apps.failure is not None
                    await self._shut_down(STOP_AFTER_FAILED_START if failed else self._setup.stop.seconds)
        finally:
            self._entrance.listener.close(keep_path=self._keeps_path)
            self._entrance.close()
            self._http.open_files.close()
            if self._app_files is not None:
                self._app_files.close()
            self._static.close()
            self._monitoring.close()
            self._slow.close()
            self._load.close()
            if self._copies is not None:
                self._copies.remove()
            if self._control is not None:
                await self._control.close()

    def _note_start(self) -> None:
        manager = self._setup.manager
        reason, why = "", ""
        if manager.takes_over:
            reason, why = "hand-over", ", to take over from another"
        elif manager.restarts:
            reason, why = "restart", f", since the one before ended: {counted(manager.restarts, 'restart')} so far"
        text = f"Snakepit {__version__} begins as process {os.getpid()}, with {self._setup.workers_in_words}{why}"
        self._events.add(Kind.START, text, reason=reason)

    async def _serve(self) -> None:
        manager, apps, asked = self._setup.manager, self._apps, self._setup.stop.asked
        self._telling.begin(self._tell_alive())
        ready = apps.wait_all_ready() if manager.takes_over else apps.wait_first_ready()
        await wait_first_of(ready, asked.wait(), apps.wait_failure())
        self._raise_failure()
        if asked.is_set():
            return
        self._http.open_files.watch()
        ours = self._monitoring
        await self._entrance.serve(
            self._http, ours.first(self._static), has_tenant(self._apps), ours.health, ours.for_metrics
        )
        self._monitoring.start()
        self._slow.start()
        self._load.start()
        self._accepts = True
        if manager.takes_over:
            await self._open_control_socket()
        manager.listening(self._entrance.listener.sockets)  # before it is logged: whoever reads that may ask to upgrade
        addresses = ", ".join(self._entrance.listener.addresses)
        self._log.info("Listening on %s (Ctrl+C to stop)", addresses)
        self._events.add(Kind.LISTENING, f"Listening on {addresses}")
        warn_of_debug(self._log, (app.config.debug for app in self._setup.apps), self._entrance.listener.sockets)
        self._telling.begin(self._tell_ready())
        await wait_first_of(asked.wait(), apps.wait_failure())
        self._raise_failure()

    def _raise_failure(self) -> None:
        failure = self._apps.failure
        if failure is not None:
            raise failure

    async def _shut_down(self, seconds: float) -> None:
        """Shut everything down; requests in flight may take so many seconds."""
        apps, http, manager = self._apps, self._http, self._setup.manager
        successor = self._hand_over.successor
        self._hand_over.end()
        if successor is None and apps.failure is None:
            manager.stopping()
        await self._changes.end()
        deadline = self._loop.time() + seconds
        if successor is not None:
            await self._entrance.listener.pause(self._loop)
            self._entrance.listener.close(keep_path=True)
        else:
            await self._entrance.listener.close_empty(self._loop, self._keeps_path)
        for _ in range(LAST_TURNS):
            await asyncio.sleep(0)
        if apps.failure is None:
            self._log.info("Stopping" if successor is None else f"Handed over to process {successor}")
        if successor is not None:
            self._events.add(Kind.HANDED_OVER, f"Handed over to process {successor}")
        apps.close_pages()
        if self._dashboard is not None:
            self._dashboard.close()
        http.drain(gently=successor is not None)
        waiting = asyncio.ensure_future(self._tell_what_is_waited_for(deadline))
        try:
            async with asyncio.timeout_at(deadline):
                await apps.wait_idle()
                await http.connections.wait_closed()
        except TimeoutError:
            cut = counted(max(apps.in_progress, len(http.connections.open)), "request")
            self._log.warning("Cut %s still in flight after %g s", cut, seconds)
            self._events.add(Kind.STOPPING, f"Cut {cut} still in flight after {seconds:g} s", reason="cut")
        http.close()
        try:
            self.left_open = await apps.close(deadline)
            await http.finish()
        finally:
            waiting.cancel()
        self._telling.cancel()
        manager.ending()
        if apps.failure is None:
            self._log.info("Stopped")
        if successor is None:
            self._events.add(Kind.STOPPED, "Stopped")
        self._events.end()
        for _ in range(LAST_TURNS):  # in which those get to know it that wait for events
            await asyncio.sleep(0)

    @property
    def _keeps_path(self) -> bool:
        """Tell whether the file of a Unix socket must stay, since another process serves there."""
        return self._hand_over.successor is not None or (self._setup.manager.takes_over and not self._accepts)

    def _make_dashboard(self) -> "Dashboard | None":
        config, counters = self._setup.config, self._monitoring.counters
        if not config.dashboard or counters is None:
            return None
        with StandardLibraryFirst():
            from snakepit.server.dashboard.make import make_dashboard  # most servers have none
        made = make_dashboard(config, self, self._apps, counters, self._http.connections, self._events, self._loop)
        self._monitoring.add(made)
        return made

    def _static_responder(self, site: "StaticFiles") -> "StaticResponder":
        with StandardLibraryFirst():
            from snakepit.server.responders.static_files.responder import StaticResponder  # most servers have none
        return StaticResponder(site, self._loop)

    def _serve_static(self, sites: "Iterable[StaticFiles]") -> None:
        self._static.become(sites)
        self._http.route_by(self._monitoring.first(self._static.router))

    def _send_app_file(self, exchange: "Exchange", status: int, fields: "Fields", file: "AppFile") -> "OnChange":
        if self._app_files is None:
            with StandardLibraryFirst():
                from snakepit.server.responders.static_files.app_files import AppFiles  # most apps send none
            self._app_files = AppFiles(self._loop)
        return self._app_files.send(exchange, status, fields, file)

    def _reconfiguration(self, make: "Callable[[RoutedApp], App]") -> Reconfiguration | None:
        setup = self._setup
        if setup.reread is None:
            return None
        known, read = setup.reread
        seconds = setup.config.timeout_graceful_shutdown
        return Reconfiguration(known, read, make, self._serve_static, self._apps, seconds, self._loop)

    def _make_copies_folder(self) -> CopiesFolder | None:
        configs = [app.config for app in self._setup.apps]
        if not any(config.extensions != "native" and config.runtime == "interpreter" for config in configs):
            return None
        try:
            remove_left_over()
            return CopiesFolder()
        except OSError as error:  # most apps don't need any; if one does, its worker reports what is missing
            self._log.debug("No folder for copies of C extensions can be made: %s", error)
            return None

    # -- commands ----------------------------------------------------------------------------------------------------

    def _control_socket(self) -> ControlSocket | None:
        if not self._setup.control:
            return None
        key = self._setup.manager.supervisor or os.getpid()
        identity = Identity(key, self._setup.config.name, self._setup.names, self.address)
        return ControlSocket(
            identity,
            {
                **commands(self),
                **certificate_commands(self._entrance.automatic, self._entrance.status_of_files),
                **inspection_commands(self._apps, self._loop),
                **slow_commands(self._slow),
                **event_commands(self._events),
                **state_commands(self.statistics, self._apps, self._monitoring.counters, self._events, self._load),
            },
            streams=event_streams(self._events),
        )

    async def _open_control_socket(self) -> None:
        if self._control is None:
            return
        try:
            await self._control.open()
        except ConfigError as error:
            if self._setup.config.name is not None:  # it is to be found
                raise
            self._log.info("Commands such as snakepit status won't find this server: %s", error)

    # -- signals -----------------------------------------------------------------------------------------------------

    def _signals(self) -> dict[str, Callable[[], None]]:
        signals = {**self._by_signal(), "SIGUSR2": self._refuse_upgrade}
        if self._setup.manager.supervisor is None:
            return signals
        # the supervisor heeds what it gets, or passes it on; what comes here as well is the same one again
        return {**dict.fromkeys(signals, lambda: None), "SIGUSR1": signals["SIGUSR1"]}  # twice does no harm there

    def _by_signal(self) -> dict[str, Callable[[], None]]:
        return {**self._changes.by_signal(), "SIGUSR1": lambda: self._call_soon(self._reopen_logs)}

    def _reopen_logs(self) -> None:
        opened, troubles = reopen_log_files()
        self._apps.reopen_logs()
        for trouble in troubles:
            self._log.error("%s", trouble)
        if opened:
            self._log.info("Log files were moved, and are opened anew: %s", ", ".join(sorted(opened)))
        else:
            self._log.debug("SIGUSR1: no log file was moved")

    def _refuse_upgrade(self) -> None:
        self._call_soon(lambda: self._log.warning("%s: nothing changes", NO_SUPERVISOR))

    def _exit_now(self, signal_number: int) -> None:
        for server in servers():
            server.release()
        self._log.warning("Stopped at once by a second signal")
        leave(128 + signal_number)

    # -- what is told meanwhile --------------------------------------------------------------------------------------

    async def _tell_ready(self) -> None:
        await self._apps.wait_all_ready()
        self._setup.manager.ready()

    async def _warn_of_memory(self, app: App) -> None:
        pool = app.pool
        await pool.first_ready.wait()
        first = pool.first_of_serving
        if first is not None:
            started = [worker.thread for worker in pool.workers]
            warning = self._forecast.warning(first.thread, started, pool.wanted, time.monotonic())
            if warning:
                self._log.warning("%s", warning)

    async def _tell_alive(self) -> None:
        manager, silence = self._setup.manager, self._setup.config.timeout_worker_healthcheck
        if silence:
            silence = max(silence, LEAST_SILENCE)
        while (pause := manager.alive_every(silence)) is not None:
            manager.alive(silence)
            await asyncio.sleep(pause)

    async def _tell_what_is_waited_for(self, deadline: float) -> None:
        await asyncio.sleep(QUIET_STOP)
        left = max(0.0, deadline - self._loop.time())
        again = "; a second Ctrl+C or SIGTERM ends at once" if self._stops.count else ""
        what = what_is_waited_for(self._apps, self._http.connections)
        self._log.info("Waiting for %s (%.0f s at most%s)", what, left, again)

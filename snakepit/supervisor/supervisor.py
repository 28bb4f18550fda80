"""The supervisor: a small process that holds the listening sockets, and starts and restarts the server process.

It knows no app, no event loop and only one option, `jit`, which counts when a process starts. It runs the same command
line that it was started with, and the server process hands it the sockets that it has bound. While no server process
runs, clients wait in the sockets' backlog.

If a process ends by itself before it ever listened, it could not start, and the supervisor does not try again. The same
holds if a later exit status says so, and no process ever had all workers ready. In all other cases the process is
restarted: see `snakepit.supervisor.restarts`. For a hand-over the supervisor starts a second process; when its workers
are ready, the first one is told to retire.
"""

import os
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from types import FrameType

from snakepit.supervisor import link
from snakepit.supervisor.child import Child, ended
from snakepit.supervisor.first_look import DECIDED, decision
from snakepit.supervisor.restarts import Restarts
from snakepit.system import systemd
from snakepit.system.group_signals import STOP_SIGNALS, StopCount
from snakepit.system.moments import timestamp
from snakepit.system.working_directory import WorkingDirectory

KILL_AFTER = 3.0
"""Seconds until a server process is killed that still runs after the second stop signal, or after it was found to hang.
"""

POLL = 0.05
"""Seconds between checks of a process that is about to end, on systems without a signal for this."""

NO_PROCESS = 2
"""The exit status if not even the first server process can be started: the operator can correct that."""

GAVE_UP = 3
"""The exit status if the server process ends repeatedly: the same as if the app can't be started."""

COULD_NOT_START = {2, 3}
"""Exit statuses that say: it could not start, and the options or the app have to be corrected first."""

_PASSED_ON = {"SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1"}


class Supervisor:
    """The parent of the server process: starts it, restarts it if it dies, and starts another one for a hand-over.

    Args:
        jit: what the option of this name says.
    """

    def __init__(self, jit: bool | None = None) -> None:
        self._jit = jit
        self._notifier = systemd.Notifier(os.environ)
        self._sockets = systemd.take_sockets(os.environ)
        self._restarts = Restarts()
        self._current: Child | None = None
        self._successor: Child | None = None
        self._others: list[Child] = []  # that retire
        self._ended_before = ""  # which process ended unexpectedly, and how
        self._start_at: float | None = None  # when there is no current one
        self._has_listened = False
        self._has_been_ready = False  # with all workers
        self._json = False  # the format of lines that a server process asked for
        self._workers = 0  # the number that was last requested; 0: as many as the options say
        self._stops = StopCount()
        self._kill_at: float | None = None
        self._signals: list[int] = []
        self._exit_status: int | None = None
        self._last_status: int | None = None  # of the process whose end is the end of all
        self._selector = selectors.DefaultSelector()
        self._had_terminal = _terminal()
        self._working_directory = WorkingDirectory()

    def run(self) -> int:
        """Supervise; returns the exit status."""
        awake, waker = socket.socketpair()
        for end in (awake, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        self._selector.register(awake, selectors.EVENT_READ, None)
        for name in ("SIGINT", "SIGTERM", "SIGBREAK", "SIGUSR2", "SIGCHLD", *_PASSED_ON):
            number = getattr(signal, name, None)
            if number is not None:
                signal.signal(number, self._note)
        try:
            self._start()
            while self._exit_status is None:
                for key, _ in self._selector.select(self._until_next()):
                    if key.data is None:
                        _drain(awake)
                    else:
                        self._read(key.data)
                self._handle_signals()  # first: a process that ended by the same signal ended as requested
                self._reap()
                self._mind_time()
            return self._exit_status
        finally:
            for child in self._children:
                child.link.close()  # it takes this for the end of the supervisor, and so stops
            signal.set_wakeup_fd(-1)
            self._selector.close()
            for sock in (awake, waker, *self._sockets):
                sock.close()

    @property
    def _children(self) -> list[Child]:
        return [child for child in (self._current, self._successor, *self._others) if child is not None]

    # -- starting ----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._start_at = None
        self._current = self._make_child(takes_over=False)
        if self._current is None and self._has_listened:
            self._again(None)
        elif self._current is None:
            self._exit_status = NO_PROCESS
        elif self._ended_before:
            self._current.link.send(link.RESTARTED, self._ended_before)

    def _make_child(self, takes_over: bool) -> Child | None:
        self._working_directory.enter_anew()
        try:
            child = Child(self._sockets, self._restarts.total, takes_over, self._workers, self._jit)
        except OSError as error:
            self._say(
                "ERROR",
                f"No server process can be started: {error.strerror or error}; the limits on processes and memory are "
                "ulimit -u, ulimit -v, and those of a container or service",
            )
            return None
        self._selector.register(child.link.socket, selectors.EVENT_READ, child)
        return child

    def _hand_over(self, reason: str) -> None:
        if self._stops.value or self._last_status is not None:
            return
        if self._successor is not None:  # what it imported may have changed since
            self._successor.link.send(link.STOP, f"{int(signal.SIGTERM)} 1")
            self._others.append(self._successor)
        self._successor = self._make_child(takes_over=True)
        if self._successor is None:
            self._not_handed_over("no process can be started")

    def _not_handed_over(self, why: str) -> None:
        if self._current is not None:
            self._current.link.send(link.NOT_HANDED_OVER, why)

    # -- from the children -------------------------------------------------------------------------------------------

    def _read(self, child: Child) -> None:
        lines = child.link.receive()
        came, child.link.sockets = child.link.sockets, []
        if came and not self._stops.value:
            self._sockets = came
        else:
            for sock in came:
                sock.close()
        if lines is None:
            child.hung_up = True
            self._selector.unregister(child.link.socket)
            return
        for word, text in lines:
            self._handle(child, word, text)

    def _handle(self, child: Child, word: str, text: str) -> None:
        if word == link.LISTENING:
            child.listening_since = time.monotonic()
            self._has_listened = True
            if child is self._current:
                self._notifier.ready()
        elif word == link.ALIVE:
            child.silence.heard(time.monotonic(), float(text or 0))
            if child is self._current:
                self._notifier.alive()
        elif word == link.READY:
            self._has_been_ready = True
            if child is self._successor:
                self._take_over(child)
        elif word == link.HAND_OVER and child is self._current:
            self._hand_over(text)
        elif word == link.LOG_FORMAT:
            self._json = text == "json"
        elif word == link.STOPPING:
            child.stopping = True
            if child is self._current:
                self._end_listening()
        elif child is self._current:
            if word == link.RELOADING:
                self._notifier.reloading()
            elif word == link.RELOADED:
                self._notifier.ready()
            elif word == link.SCALED:
                self._workers = int(text)

    def _end_listening(self) -> None:
        """Close the listening sockets, since the service stops: new connections are refused and do not wait."""
        self._notifier.stopping()
        for sock in self._sockets:
            sock.close()
        self._sockets = []

    def _take_over(self, successor: Child) -> None:
        former, self._current, self._successor = self._current, successor, None
        if former is not None:
            former.link.send(link.RETIRE, successor.pid)
            self._others.append(former)
        self._start_at = None

    def _reap(self) -> None:
        statuses = ended()
        for child in self._children:
            child.status = statuses.get(child.pid)
        for child in self._children:
            if child.status is not None:
                if not child.hung_up:
                    self._read(child)  # its last messages
                if not child.hung_up:
                    self._selector.unregister(child.link.socket)
                child.link.close()
                self._forget(child)

    def _forget(self, child: Child) -> None:
        if child is self._successor:
            self._successor = None
            self._say("ERROR", f"The new server {child} {child.how_ended}; the one before goes on")
            self._not_handed_over(f"the new server process {child.how_ended}; the log says more")
        elif child is self._current:
            self._current = None
            self._current_ended(child)
        else:
            self._others.remove(child)
        if not self._children and (self._stops.value or self._last_status is not None):
            self._exit_status = self._last_status or 0

    def _current_ended(self, child: Child) -> None:
        could_not_start = not self._has_been_ready and child.status in COULD_NOT_START
        if child.stopping or self._stops.value or not self._has_listened or could_not_start:
            if child.status is not None and child.status < 0 and not (child.stopping or self._stops.value):
                self._say("ERROR", f"The server {child} {child.how_ended} before it was ready")
            self._last_status = child.exit_status
            for other in self._children:  # which have their last exchanges
                other.link.send(link.STOP, f"{int(signal.SIGTERM)} 1")
        elif self._successor is not None:
            self._say("ERROR", f"The server {child} {child.how_ended}; its successor, {self._successor}, takes over")
            self._current, self._successor = self._successor, None
            self._restarts.total += 1
            self._current.link.send(link.RESTARTED, f"{child} {child.how_ended}")
        else:
            self._again(child)

    def _again(self, child: Child | None) -> None:
        now = time.monotonic()
        delay = self._restarts.ended(now, child.listening_since if child is not None else None)
        self._ended_before = f"{child} {child.how_ended}" if child is not None else self._ended_before
        what = f"The server {child} {child.how_ended}" if child is not None else "There is no server process"
        if delay is None:
            self._say(
                "ERROR",
                f"{what}: {self._restarts.quick} in a row ended within seconds; giving up. Connections are refused "
                "from now on. If C code crashes, --runtime process confines that to one worker",
            )
            self._exit_status = GAVE_UP
            return
        when = f"in {delay:.1f} s" if delay else "now"
        self._say("ERROR", f"{what}; another one starts {when}, and connections wait for it")
        self._start_at = now + delay

    def _say(self, level: str, text: str) -> None:
        """Log in the format of the server's own lines; `--log-config` does not apply here."""
        if self._json:
            import json  # most supervisors need none

            fields = {"time": timestamp(time.time()), "level": level, "logger": "snakepit.supervisor", "message": text}
            line = json.dumps(fields, ensure_ascii=False)
        else:
            line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {level:<8} {text}"
        if sys.stderr is not None:
            with suppress(OSError):
                print(line, file=sys.stderr, flush=True)

    # -- signals and time ----------------------------------------------------------------------------------------------

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signals.append(number)

    def _handle_signals(self) -> None:
        signals, self._signals = self._signals, []
        for number in signals:
            name = signal.Signals(number).name
            if number in STOP_SIGNALS or (name == "SIGHUP" and self._terminal_gone()):
                self._stop(number)
            elif name in _PASSED_ON and self._current is not None:
                self._current.link.send(link.SIGNAL, name)
            elif name == "SIGUSR2":
                self._hand_over("SIGUSR2")

    def _stop(self, number: int) -> None:
        if not self._stops.add(number):
            return
        self._end_listening()
        for child in self._children:
            child.link.send(link.STOP, f"{number} {self._stops.value}")
        if self._stops.value > 1 and self._kill_at is None:
            self._kill_at = time.monotonic() + KILL_AFTER
        if not self._children:
            self._exit_status = 0

    def _terminal_gone(self) -> bool:
        """Tell whether the terminal that this was started from has been closed, which sends SIGHUP as well."""
        return self._had_terminal is not None and not os.isatty(self._had_terminal)

    def _until_next(self) -> float | None:
        if sys.platform == "win32" and any(child.hung_up for child in self._children):
            return POLL
        of_children = [moment for child in self._children for moment in (child.kill_at, child.next_look)]
        moments = [moment for moment in (self._start_at, self._kill_at, *of_children) if moment is not None]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _mind_time(self) -> None:
        now = time.monotonic()
        if self._exit_status is not None:
            return
        if self._start_at is not None and now >= self._start_at and not self._stops.value:
            self._start()
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            for child in self._children:
                child.kill()
        for child in self._children:
            if child.kill_at is None:
                self._mind_silence(child, now)
            elif now >= child.kill_at:
                child.kill_at = None
                child.kill()

    def _mind_silence(self, child: Child, now: float) -> None:
        """End a process whose event loop is blocked; its exit status then decides what follows, as for any other."""
        if child.hangs(now):
            self._say(
                "ERROR",
                f"The server {child} has not answered for {child.silence.limit:g} s: its event loop hangs, so it is "
                "ended. What its threads are at comes next, if it can still tell",
            )
            child.silence.heard(now, 0.0)  # enough of it
            child.abort()
            child.kill_at = now + KILL_AFTER


def supervise(jit: bool | None = None) -> None:
    """Run the supervisor, and end this process with the server's status; `jit`: what the option of this name says."""
    status = Supervisor(jit).run()
    if sys.stderr is not None:
        with suppress(OSError):  # of a full disk
            sys.stderr.flush()
    os._exit(status)  # while Python itself ends, another signal would have its default action


def begin_anew(jit: bool | None) -> None:
    """Become a supervisor in place of what has parsed the options, without the memory that this took."""
    if sys.platform != "win32":  # there it would be another process
        environ = {**os.environ, DECIDED: decision(jit)}
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # until `main` handles it
        try:
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)
        except OSError:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    supervise(jit)


def _terminal() -> int | None:
    """Return the first of the standard streams that is a terminal."""
    for descriptor in range(3):
        try:
            if os.isatty(descriptor):
                return descriptor
        except OSError:
            pass
    return None


def _drain(awake: socket.socket) -> None:
    try:
        while awake.recv(512):
            pass
    except OSError:
        pass

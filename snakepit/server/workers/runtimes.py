"""Where a worker runs: in an interpreter of its own, in a process of its own, or in a thread of the main interpreter.

All three run the same bootstrap and speak over the same channels; what differs is how a worker is started, how its end
is known, and whether it can be killed. Everything here but the making of channels is called in the thread that owns
the worker, and may block.
"""

import marshal
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, cast

from snakepit.errors import ConfigError, WorkerLost
from snakepit.system import jit
from snakepit.system.exit_status import how_ended
from snakepit.system.group_signals import GROUP_SIGNALS
from snakepit.system.memory import return_freed_memory
from snakepit.wire.carrier import ChannelAddress, discard
from snakepit.wire.interpreters import Interpreter, create_interpreter
from snakepit.wire.loop_queues import QueueChannel
from snakepit.wire.loop_sockets import SocketChannel
from snakepit.wire.settings import AppSettings, WorkerSettings

type RuntimeName = Literal["interpreter", "process", "thread"]

_BOOTSTRAP = """
import marshal, sys
settings = marshal.loads(settings)
if settings["runtime"] != "thread" and hasattr(sys, "set_lazy_imports"):
    sys.set_lazy_imports("normal")  # what Snakepit imports is found in this path
sys.path[:] = settings["own_path"]
sys.argv[:] = settings["argv"]
from snakepit.worker.bootstrap import run
run(settings)
"""

_IN_PROCESS = f"""
import sys
size = int(sys.stdin.buffer.readline() or 0)
settings = sys.stdin.buffer.read(size)
if not size or len(settings) < size:
    sys.exit(1)  # the main process has gone
{_BOOTSTRAP}
"""

_open: "set[InterpreterRuntime | ThreadRuntime]" = set()  # that keep Python from ending


class Runtime(Protocol):
    """One worker's place.

    `seats`: how many exchanges a WSGI app gets at once, each on a channel of its own.
    `daemon`: whether the thread that owns it is to be a daemon, as threads are that the app starts in it; None: as the
    server's own thread is.
    """

    seats: int
    daemon: bool | None

    @property
    def channels(self) -> Sequence[QueueChannel | SocketChannel]:
        """Those of the seats, and one more for the worker's watchdog, which also says its last words."""

    @property
    def process(self) -> int | None:
        """The number of the process that is the worker's alone, while there is one."""

    def run(self, number: int, settings: AppSettings, /) -> None:
        """Run a worker to its end.

        Raises ConfigError where the system has nothing left to run one in, WorkerLost where its end is not its own
        doing.
        """

    def close(self, has_threads: bool, /) -> None:
        """Let go of what the worker ran in; `has_threads`: some that can't be ended run in it."""

    def wait_closed(self) -> None:
        """Wait until such threads have ended, for as long as they live, and let go of it then."""

    def kill(self) -> bool:
        """End the worker whatever it does, from any thread; False where that can't be done."""


class InterpreterRuntime:
    """An interpreter with a GIL of its own.

    One thread owns it: makes it, runs the worker in it, and closes it. Nothing else ever enters it, since closing an
    interpreter that another thread is entering crashes the process (CPython issue 127041).
    """

    daemon: bool | None = True
    process = None

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self.channels = _several(QueueChannel, seats + 1)
        self._interpreter: Interpreter | None = None

    def run(self, number: int, settings: AppSettings) -> None:
        """Make the interpreter and run the worker in it."""
        _open.add(self)
        self._interpreter = create_interpreter()
        addresses = [channel.address for channel in self.channels]
        told = _encoded(settings, number, "interpreter", addresses)
        self._interpreter.prepare_main({"settings": told})
        self._interpreter.exec(_BOOTSTRAP)

    def close(self, has_threads: bool) -> None:
        """Close the interpreter, unless daemon threads run in it, which aborts the process."""
        if self._interpreter is None:  # nor will it be made: no worker attaches to its sides of the channels
            for channel in self.channels:
                discard(channel.address)
        elif has_threads:  # `_open` refers to it: an interpreter is closed when the last reference to it is dropped
            return
        else:
            self._interpreter.close()
            return_freed_memory()
        self._interpreter = None
        _open.discard(self)

    def wait_closed(self) -> None:
        """Wait until no daemon thread runs in the interpreter, and close it."""
        if self._interpreter is not None:
            self._interpreter.exec("from snakepit.worker.bootstrap import wait_closable; wait_closable()")
            self.close(False)

    def kill(self) -> bool:
        """Interpreters can't be killed."""
        return False


class ThreadRuntime:
    """The main interpreter, in the thread that calls: what debuggers and profilers see best."""

    daemon: bool | None = None  # not always, or all threads of the app would be daemons, which they are not elsewhere
    process = None

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self.channels = _several(QueueChannel, seats + 1)
        self.given_up = False

    def run(self, number: int, settings: AppSettings) -> None:
        """Run the worker here."""
        addresses = [channel.address for channel in self.channels]
        told = _encoded(settings, number, "thread", addresses)
        if not threading.current_thread().daemon:
            _open.add(self)
        exec(_BOOTSTRAP, {"settings": told})

    def close(self, has_threads: bool) -> None:
        """The threads have ended."""
        _open.discard(self)

    def wait_closed(self) -> None:
        """Nothing is to be closed."""

    def kill(self) -> bool:
        """Threads can't be killed."""
        self.given_up = True
        return False


class ProcessRuntime:
    """A child process, started afresh (no fork), which ends by itself when this process does."""

    daemon: bool | None = True

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self.channels = _several(SocketChannel, seats + 1)
        self._process: subprocess.Popen[bytes] | None = None
        self._killed = False
        self._lock = threading.Lock()

    @property
    def process(self) -> int | None:
        """The number of the process, until its end is known."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def run(self, number: int, settings: AppSettings) -> None:
        """Start the process and wait for its end."""
        with self._lock:
            if self._killed:
                return
            try:
                process = self._process = self._start(settings["environ"], settings["directory"] or None)
            except OSError as error:
                raise ConfigError(
                    f"no process for worker {number}: {_named(error)}; use fewer workers, or raise the "
                    "limits on open files and processes (ulimit -n, ulimit -u)"
                ) from None
        addresses = [channel.address_for(process.pid) for channel in self.channels]
        told = _encoded(settings, number, "process", addresses)
        assert process.stdin is not None
        try:
            process.stdin.write(b"%d\n" % len(told) + told)
            process.stdin.flush()  # and left open: that it closes tells the child that this process has gone
        except OSError:
            pass  # it has ended already, and its status says how
        status = process.wait()
        if status:
            raise WorkerLost(f"process {process.pid} {how_ended(status)}")

    def close(self, has_threads: bool) -> None:
        """Let go of the process that has ended, or of the channels to one that was never started."""
        if self._process is None:
            for channel in self.channels:
                channel.discard()
        elif self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:
                pass

    def wait_closed(self) -> None:
        """Threads have ended with the process."""

    def kill(self) -> bool:
        """Kill the process."""
        with self._lock:
            self._killed = True
            if self._process is not None:
                self._process.kill()
        return True

    def _start(self, environment: dict[str, str], directory: str | None) -> subprocess.Popen[bytes]:
        executable = sys.executable
        if sys.platform == "win32" and sys.executable != getattr(sys, "_base_executable", sys.executable):
            # a virtual environment's python.exe starts another process: sockets must be shared with that one
            executable = sys._base_executable
            environment = {**environment, "__PYVENV_LAUNCHER__": sys.executable}
        environment = {**environment, **jit.changes(jit.is_enabled(), environment)}  # as this process has it
        flags = cast("Any", subprocess)._args_from_interpreter_flags()  # as multiprocessing does
        # -P: Python itself imports something for -c, which must not come from the working directory
        command = [executable, *flags, "-P", "-c", _IN_PROCESS]
        if sys.platform == "win32":
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                env=environment,
                cwd=directory,
                creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,  # Ctrl+C does not reach it
            )
        # held back until it can say that it is a worker: a process inherits that
        before = signal.pthread_sigmask(signal.SIG_BLOCK, GROUP_SIGNALS)
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                env=environment,
                cwd=directory,
                pass_fds=[channel.descriptor for channel in self.channels],
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def keep_threads() -> bool:
    """Whether threads are left that can't be ended, and that Python would wait for at its end."""
    return any(isinstance(runtime, ThreadRuntime) and runtime.given_up for runtime in _open)


def keep_process() -> bool:
    """Whether interpreters are left that Python would wait for at its very end, or crash over."""
    return any(isinstance(runtime, InterpreterRuntime) for runtime in _open)


def _several[C: (QueueChannel, SocketChannel)](make: Callable[[], C], count: int) -> list[C]:
    made: list[C] = []
    try:
        while len(made) < count:
            made.append(make())
    except OSError:
        for channel in made:
            channel.discard()
        raise
    return made


def _named(error: OSError) -> str:
    return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)


RUNTIMES: Mapping[RuntimeName, Callable[[int], Runtime]] = {
    "interpreter": InterpreterRuntime,
    "process": ProcessRuntime,
    "thread": ThreadRuntime,
}


def _encoded(settings: AppSettings, number: int, runtime: RuntimeName, addresses: Sequence[ChannelAddress]) -> bytes:
    *channels, watch = addresses
    complete: WorkerSettings = {**settings, "number": number, "runtime": runtime, "channels": channels, "watch": watch}
    return marshal.dumps(cast("Any", complete))

"""One server process, as the supervisor sees it."""

import os
import signal
import socket
import sys
from collections.abc import Sequence

from snakepit.supervisor.link import ENVIRONMENT, Link, Origin
from snakepit.supervisor.silence import Silence
from snakepit.system import jit
from snakepit.system.exit_status import how_ended


class Child:
    """A process that runs the same command line as this one, with a link to here and perhaps sockets to listen on.

    It also inherits everything that this process inherited, such as the descriptor of `--fd`. Raises OSError if no
    process can be started.
    """

    def __init__(
        self, sockets: Sequence[socket.socket], restarts: int, takes_over: bool, workers: int, with_jit: bool | None
    ) -> None:
        ours, theirs = socket.socketpair()
        try:
            for passed in (theirs, *sockets):
                passed.set_inheritable(True)
            origin = Origin(theirs.fileno(), os.getpid(), restarts, takes_over, workers, [s.fileno() for s in sockets])
            command = [sys.executable, *sys.orig_argv[1:]]
            compiled = jit.changes(with_jit, os.environ)
            self.pid = _spawn(command, {**os.environ, **compiled, ENVIRONMENT: str(origin)})
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        self.link = Link(ours)
        self.status: int | None = None  # once it has ended; negative: the signal that ended it
        self.listening_since: float | None = None
        self.stopping = False  # by its own decision, so it is not restarted
        self.hung_up = False  # its end of the link is closed
        self.silence = Silence()
        self.kill_at: float | None = None  # it was told to end in a way that it may not be able to

    def __repr__(self) -> str:
        return f"process {self.pid}"

    @property
    def next_look(self) -> float | None:
        """The time of the next check whether it hangs; None if it does not listen yet, or sends no heartbeats."""
        return self.silence.next_look if self.listening_since is not None and self.silence.limit else None

    def hangs(self, now: float) -> bool:
        """Tell whether it has been silent for too long."""
        return self.listening_since is not None and self.silence.look(now, self.is_stopped)

    def kill(self) -> None:
        """Kill the process."""
        if self.status is None:
            try:
                _kill(self.pid)
            except OSError:
                pass

    def abort(self) -> None:
        """End it by SIGABRT, at which `faulthandler` writes the stacks of its threads first."""
        if self.status is None:
            try:
                _abort(self.pid)
            except OSError:
                pass

    @property
    def is_stopped(self) -> bool:
        """Tell whether a signal or a debugger has stopped it. Only Linux reports this; elsewhere the answer is no."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as stat:
                return stat.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
        except (OSError, IndexError):
            return False

    @property
    def how_ended(self) -> str:
        """For the log."""
        return how_ended(self.status or 0)

    @property
    def exit_status(self) -> int:
        """Its status as a shell has it: 128 and the signal that ended it."""
        status = self.status or 0
        return 128 - status if status < 0 else status


if sys.platform == "win32":
    import subprocess

    _processes: dict[int, subprocess.Popen[bytes]] = {}

    def _spawn(command: list[str], environ: dict[str, str]) -> int:
        process = subprocess.Popen(command, env=environ, close_fds=False)
        _processes[process.pid] = process
        return process.pid

    def _kill(pid: int) -> None:
        _processes[pid].kill()

    _abort = _kill  # there is no signal for it

    def ended() -> dict[int, int]:
        """Return the processes that have ended since the last call, with their status."""
        found = {pid: status for pid, process in _processes.items() if (status := process.poll()) is not None}
        for pid in found:
            del _processes[pid]
        return found

else:

    def _spawn(command: list[str], environ: dict[str, str]) -> int:
        # The process inherits the mask: signals are held back until its `main` handles them. Before that Python would
        # print a traceback.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            return os.posix_spawn(command[0], command, environ)  # subprocess alone would take a megabyte
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _kill(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def _abort(pid: int) -> None:
        os.kill(pid, signal.SIGABRT)

    def ended() -> dict[int, int]:
        """The processes that have ended since the last call, with their status; negative: the signal that ended one.

        As process 1 of a container it also reaps orphaned processes, since no other process would.
        """
        found: dict[int, int] = {}
        try:
            while (one := os.waitpid(-1, os.WNOHANG))[0]:
                found[one[0]] = os.waitstatus_to_exitcode(one[1])
        except ChildProcessError:
            pass
        return found

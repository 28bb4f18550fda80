"""SIGINT, SIGTERM and, on Windows, SIGBREAK: the first asks the server to stop, the second ends the process. SIGHUP
replaces the workers, SIGTTIN and SIGTTOU ask for one more and one less, SIGUSR1 reopens moved log files, where these
signals exist.

`signal.signal` works on every platform and loop; asyncio's own handlers don't exist on Windows.

A server process with a supervisor gets a stop signal once or twice: from its supervisor, and directly if the signal
went to all processes, as terminals and service managers send it. So both are counted, and the larger count is used.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType, MappingProxyType
from typing import Any

from snakepit.system.group_signals import STOP_SIGNALS, StopCount

type Handler = Callable[[int, FrameType | None], Any] | int | None
"""The type of `signal.signal`'s result."""


class Stops:
    """A counter of requests to stop: the first one calls `stop`, each further one `exit_now`."""

    def __init__(self, stop: Callable[[], None], exit_now: Callable[[int], None]) -> None:
        self._stop = stop
        self._exit_now = exit_now
        self._own = StopCount()
        self._heeded = 0

    @property
    def count(self) -> int:
        """The number of requests so far."""
        return self._heeded

    def signalled(self, number: int) -> None:
        """Count a signal that this process got."""
        if self._own.add(number):
            self.told(number, self._own.value)

    def told(self, number: int, count: int) -> None:
        """Note the supervisor's count of stop signals; `number` is the latest. From any thread."""
        if count > self._heeded:
            self._heeded = count
            if count == 1:
                self._stop()
            else:
                self._exit_now(number)


class Handlers:
    """The signal handlers of this process: one set for all servers in it, each of which gets every signal.

    They are set as long as one of the servers is in the main thread. Then the earlier handlers are restored, in
    whichever order the servers end.
    """

    def __init__(self) -> None:
        self._heeding: list[dict[int, Callable[[], None]]] = []
        self._in_main_thread = 0
        self._before: dict[int, Handler] = {}

    def add(self, calls: dict[int, Callable[[], None]]) -> None:
        """Add handlers, by signal."""
        self._heeding.append(calls)  # first: no signal is to be lost
        if threading.current_thread() is threading.main_thread():  # Python allows the following there only
            self._in_main_thread += 1
            for number in calls:
                if number not in self._before and not _belongs_to_program(number):
                    self._before[number] = signal.signal(number, self._handle)

    def remove(self, calls: dict[int, Callable[[], None]]) -> None:
        """Remove handlers."""
        if threading.current_thread() is threading.main_thread():
            self._in_main_thread -= 1
            if not self._in_main_thread:
                self._restore()
        self._heeding.remove(calls)

    def _restore(self) -> None:
        for number, before in self._before.items():
            if signal.getsignal(number) == self._handle:  # the program may have set another handler meanwhile
                signal.signal(number, before)
        self._before = {}

    def _handle(self, number: int, frame: FrameType | None) -> None:
        for calls in list(self._heeding):
            if number in calls:
                calls[number]()


def _belongs_to_program(number: int) -> bool:
    """Tell whether servers leave this signal to the embedding program, since that has set a handler for it.

    The handler may be in C code, as by `faulthandler.register`, which Python's `signal` does not show; on Linux the
    kernel does.
    """
    if number != getattr(signal, "SIGUSR1", None):
        return False
    if signal.getsignal(number) is not signal.SIG_DFL:
        return True
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (number - 1) & 1)


_handlers = Handlers()


@contextmanager
def handle_signals(stops: Stops, others: Mapping[str, Callable[[], None]] = MappingProxyType({})) -> Iterator[None]:
    """A block within which stop signals are counted, and the `others`, by name, are called each time they come.

    Names that the system does not know are left out. All are called in the main thread, between any two bytecodes. A
    server in another thread gets signals only while there is one in the main thread.
    """
    calls: dict[int, Callable[[], None]] = {number: partial(stops.signalled, number) for number in STOP_SIGNALS}
    calls |= {int(getattr(signal, name)): call for name, call in others.items() if hasattr(signal, name)}
    _handlers.add(calls)
    try:
        yield
    finally:
        _handlers.remove(calls)


def leave(status: int) -> None:
    """End the process without waiting for anything: threads, interpreters, exit handlers."""
    flush()
    os._exit(status)


def flush() -> None:
    """Flush standard output and error."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:  # pythonw
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            pass

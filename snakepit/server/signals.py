"""SIGINT, SIGTERM and, on Windows, SIGBREAK: the first asks the server to stop, the second ends the process.
SIGHUP replaces the workers, SIGTTIN and SIGTTOU ask for one more and one less, where these signals exist.

`signal.signal` works on every platform and loop; asyncio's own handlers don't exist on Windows.

A server process with a supervisor hears of a signal once or twice: from its supervisor, and itself where the signal
went to all processes, as terminals and service managers send it. So both count, and the larger count holds.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from snakepit.group_signals import STOP_SIGNALS, StopCount


class Stops:
    """Counts how often the server was asked to stop: the first time calls `stop`, any further one `exit_now`."""

    def __init__(self, stop: Callable[[], None], exit_now: Callable[[int], None]) -> None:
        self._stop = stop
        self._exit_now = exit_now
        self._own = StopCount()
        self._heeded = 0

    @property
    def count(self) -> int:
        """How often it was."""
        return self._heeded

    def signalled(self, number: int) -> None:
        """This process got a signal."""
        if self._own.add(number):
            self.told(number, self._own.value)

    def told(self, number: int, count: int) -> None:
        """So many stop signals have come, this the latest. From any thread."""
        if count > self._heeded:
            self._heeded = count
            if count == 1:
                self._stop()
            else:
                self._exit_now(number)


@contextmanager
def handle_signals(stops: Stops, others: Mapping[str, Callable[[], None]] = MappingProxyType({})) -> Iterator[None]:
    """Within this block, signals that ask to stop are counted, and the `others` called each time they come, by name.

    Names that the system does not know are left out. All are called in the main thread, between any two bytecodes. In
    another thread nothing is installed: Python allows it in the main thread only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda number, _: stops.signalled(number)) for number in STOP_SIGNALS}
    for name, call in others.items():
        number = getattr(signal, name, None)
        if number is not None:
            before[number] = signal.signal(number, lambda *_, call=call: call())
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def leave(status: int) -> None:
    """End the process without waiting for anything: threads, interpreters, exit handlers."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:  # pythonw
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    os._exit(status)

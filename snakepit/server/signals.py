"""SIGINT, SIGTERM and, on Windows, SIGBREAK: the first asks the server to stop, the second ends the process.
SIGHUP replaces the workers, SIGTTIN and SIGTTOU ask for one more and one less, where these signals exist.

`signal.signal` works on every platform and loop; asyncio's own handlers don't exist on Windows.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType, MappingProxyType

ECHO = 0.2
"""Seconds within which the same signal again is the same request: wrappers such as timeout(1) signal a process and its
group, so it gets one twice. Nobody presses Ctrl+C twice as fast."""

STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    STOP_SIGNALS.append(signal.SIGBREAK)


@contextmanager
def handle_signals(
    stop: Callable[[], None],
    exit_now: Callable[[int], None],
    others: Mapping[str, Callable[[], None]] = MappingProxyType({}),
) -> Iterator[None]:
    """Within this block, the first signal calls `stop` and any further one `exit_now`, with the signal's number.

    `others` are called each time that the signal of that name comes, unless the system has none. All are called in the
    main thread, between any two bytecodes. In another thread nothing is installed: Python allows it in the main thread
    only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first: tuple[int, float] | None = None

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if first is None:
            first = number, time.monotonic()
            stop()
        elif number != first[0] or time.monotonic() - first[1] > ECHO:
            exit_now(number)

    before = {number: signal.signal(number, handler) for number in STOP_SIGNALS}
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

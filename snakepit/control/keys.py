"""Keys that are pressed in a terminal, one by one, without Enter."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOK = 0.05
"""Seconds between two looks for a key, where nothing wakes who waits for one: on Windows."""

type NextKey = Callable[[float], str]
"""Waits for a key, at most so many seconds; returns it, or nothing."""


def wait_no_key(seconds: float) -> str:
    """Wait where there are no keys."""
    time.sleep(seconds)
    return ""


if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def pressed_keys() -> Iterator[NextKey]:
        """Read keys from the console."""

        def wait_key(seconds: float) -> str:
            end = time.monotonic() + seconds
            while not msvcrt.kbhit():
                if time.monotonic() >= end:
                    return ""
                time.sleep(LOOK)
            return msvcrt.getwch()

        yield wait_key

else:
    import os
    import select
    import termios
    import tty

    @contextmanager
    def pressed_keys() -> Iterator[NextKey]:
        """Read keys from standard input; where that is no terminal, there are none. It is as before at the end."""
        if not sys.stdin.isatty():
            yield wait_no_key
            return
        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)

        def wait_key(seconds: float) -> str:
            readable, _, _ = select.select([fd], [], [], max(0.0, seconds))
            return os.read(fd, 1).decode("latin-1") if readable else ""

        tty.setcbreak(fd)  # Ctrl+C stays what it is
        try:
            yield wait_key
        finally:
            termios.tcsetattr(fd, termios.TCSADRAIN, before)

"""What the apps have in common: work that takes a core for a known time, and a name for whoever answers."""

import os
import sys
import time


def burn(seconds: float) -> None:
    """Take so much CPU time.

    The thread's own time, so that the work is the same everywhere: the clock on the wall would count waiting for a core
    or for the GIL as work, and the process's time would count what other threads do, which in a server of threads is
    other requests.
    """
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(1000):
            pass


def worker() -> str:
    """A name that is another in each process and in each interpreter."""
    return f"{os.getpid()}-{id(sys.modules)}"


def worker_slowly() -> str:
    """`worker`, after a wait that holds up a worker which serves one request at a time, so that others get some too."""
    time.sleep(0.02)
    return worker()

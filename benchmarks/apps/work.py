"""Shared code of the apps: work that occupies a core for a known time, and a name for the worker that answers."""

import os
import sys
import time


def burn(seconds: float) -> None:
    """Take so much CPU time.

    It measures the thread's own time, so that the work is the same everywhere: a wall clock would count waiting for a
    core or for the GIL as work, and the process's time would count other threads, which in a server with threads run
    other requests.
    """
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for _ in range(1000):
            pass


def worker() -> str:
    """Return a name that differs in each process and in each interpreter."""
    return f"{os.getpid()}-{id(sys.modules)}"


def worker_slowly() -> str:
    """Return `worker` after a wait: it occupies a worker that serves one request at a time, so that others get some."""
    time.sleep(0.02)
    return worker()

"""Ends a worker, without closing its interpreter.

Closing an interpreter in which a daemon thread still runs aborts the whole process on 3.13, and later Pythons promise
nothing either. So the app's exit handlers run first, which usually end such threads. Then the threads get a short time.
Those that are left are reported, and the interpreter stays open until they end.
"""

import _io
import atexit
import gc
import sys
import threading
import time
from itertools import compress
from typing import Any

DAEMON_TIME = 1.0
"""Seconds for daemon threads to end by themselves. Those of Django live for milliseconds."""


def end_interpreter() -> list[str]:
    """Run exit handlers, then wait for daemon threads; returns the names of those that still run."""
    atexit._run_exitfuncs()  # as multiprocessing does at the end of a child; closing would do so too late
    atexit.register(_forget_stand_in)
    end = time.monotonic() + DAEMON_TIME
    daemons = _daemons()
    for thread in daemons:
        if not isinstance(thread, threading._DummyThread):  # threads of C code can't be waited for
            thread.join(max(0.0, end - time.monotonic()))
    return [thread.name for thread in daemons if thread.is_alive()]


def wait_for_daemons() -> None:
    """Wait until no daemon thread runs: for ever, if one never ends."""
    while daemons := _daemons():
        for thread in daemons:
            if isinstance(thread, threading._DummyThread):
                time.sleep(DAEMON_TIME)
            else:
                thread.join()


def finish() -> None:
    """Do in advance what closing the interpreter does for the app: wait for its threads, and flush its files.

    After that, closing only frees memory, object by object, and calls finalizers. For a large app that takes seconds,
    and a process that ends does not have to wait for it.
    """
    vars(threading)["_shutdown"]()  # as closing does; it may be called twice
    for file in _files():
        try:
            file.flush()
        except Exception:  # it is closed; Python's own end reports no errors of open files, either
            pass


def _daemons() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.daemon]


def _files() -> list[Any]:
    """Return all file objects. There may be a million objects to check, so without Python code for each."""
    things = gc.get_objects()
    kinds = {kind for kind in set(map(type, things)) if issubclass(kind, _io._IOBase)}
    return list(compress(things, map(kinds.__contains__, map(type, things))))


def wait_for_threads(known: list[threading.Thread]) -> None:
    """Wait for threads that are neither daemons nor among the `known`: those that the app started.

    It does not wait for an executor's threads: they have no end of their own, and finish their work when Python ends.
    """
    executors = sys.modules.get("concurrent.futures.thread")
    of_executors = getattr(executors, "_threads_queues", {})
    for thread in threading.enumerate():
        if not (thread in known or thread.daemon or thread in of_executors) and thread.is_alive():
            thread.join()


def _forget_stand_in() -> None:
    """Forget the stand-in that `threading` may have created for the thread that closes the interpreter.

    That happens when this thread joins another, as executors do at exit. 3.13 removes the stand-in too late: when the
    lock for that is gone ("Exception ignored in _DeleteDummyThreadOnDel").
    """
    known = getattr(threading, "_thread_local_info", None)
    if known is not None:
        vars(known).pop("_track_dummy_thread_ref", None)

"""The end of a program that servers are embedded in, where it comes before their own.

A server in a daemon thread, as in tests and notebooks, must not keep its program from ending. But Python does not
freeze subinterpreters as it freezes daemon threads: it waits for each of them at its end, and so for workers that wait
for requests. Such servers are therefore stopped once the main thread has returned.

What can't be ended in time, such as a handler that hangs in C code, leaves one way out: `os._exit`, after exit handlers
have run, with the status that Python would have ended with. Python tells that status nobody before it has ended, so a
monitor (PEP 669) notes which exception leaves the outermost frame of the main thread.
"""

import atexit
import concurrent.futures.thread  # noqa: F401  # before ours its hook is registered, and so called after it
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Protocol

from snakepit.server.operate.signals import flush, leave
from snakepit.server.workers.runtimes import keep_process, keep_threads

STOP_SECONDS = 5.0
"""Seconds that all servers together get to stop: one for what is in flight, three for workers that were told to end
(`pool.endings.LAST_CALL`), and one to spare."""


class Embedded(Protocol):
    """A server, as its program's end sees it."""

    def stop_at_once(self) -> bool:
        """Stop with little patience; False if it can't. From any thread."""

    def release(self) -> None:
        """Give back what the system would keep: the file of a Unix socket."""


class _Serving:
    """A server that serves, and whether Python would not wait for its thread at the program's end."""

    def __init__(self, server: Embedded) -> None:
        self.server = server
        self.process = os.getpid()
        thread = threading.current_thread()
        self.ends_with_main = thread.daemon or thread is threading.main_thread()
        self.ended = threading.Event()

    @property
    def is_here(self) -> bool:
        """Whether it runs in this process, and not in the one that this process was forked from."""
        return self.process == os.getpid()


_serving: list[_Serving] = []
_lock = threading.RLock()  # a signal handler may need it in the middle of the main thread's having it
_begun = False  # the end of the program
_prepared = False


@contextmanager
def serving(server: Embedded, watch_status: bool) -> Iterator[bool]:
    """Within this block the program's end stops the server. False: it has begun, and nothing is to be served any more.

    `watch_status`: find out how the program ends, which costs some 50 ns for each frame that an exception leaves.
    """
    with _lock:
        if _begun or not _prepare():
            yielded = None
        else:
            _serving.append(yielded := _Serving(server))
    if yielded is None:
        yield False
        return
    if watch_status:
        STATUS.watch()
    try:
        yield True
    finally:
        with _lock:
            _serving.remove(yielded)
        yielded.ended.set()


def servers() -> list[Embedded]:
    """Those that serve in this process now."""
    with _lock:
        return [one.server for one in _serving if one.is_here]


def _prepare() -> bool:
    """Have `_before_threads` called; False where it is too late for that."""
    global _prepared
    if not _prepared:
        # before ordinary threads are waited for, among them those of workers; private, but concurrent.futures needs it
        register = getattr(threading, "_register_atexit", atexit.register)
        try:
            register(_before_threads)
        except RuntimeError:
            return False
        _prepared = True
    return True


def _before_threads() -> None:
    """The main thread has returned: stop what Python would not wait for, and yet would wait for its workers."""
    global _begun
    STATUS.freeze()
    atexit.register(_after_threads)  # the last one registered is called first
    with _lock:
        _begun = True
        stopped = [one for one in _serving if one.is_here and one.ends_with_main]
    _stop(stopped)
    if keep_threads():
        _leave()


def _after_threads() -> None:
    """Ordinary threads have ended, or Ctrl+C has ended the waiting for them."""
    try:
        with _lock:
            stopped = [one for one in _serving if one.is_here]
        _stop(stopped)
    finally:
        if keep_process():
            _leave()


def _stop(stopped: list[_Serving]) -> None:
    stopping = [one for one in stopped if one.server.stop_at_once()]
    end = time.monotonic() + STOP_SECONDS
    for one in stopping:
        one.ended.wait(max(0.0, end - time.monotonic()))


def _leave() -> None:
    """End the process though workers run that can't be ended: Python would wait for them, or crash over them."""
    atexit.unregister(_after_threads)
    atexit._run_exitfuncs()
    STATUS.leave()


class ExitStatus:
    """How the program ends."""

    def __init__(self) -> None:
        self.value = 0
        """As a process has it; negative: the signal that ends it."""
        self._tool: int | None = None

    def watch(self) -> None:
        """Note what leaves the outermost frame of the main thread from now on."""
        monitoring = sys.monitoring
        if self._tool is not None:
            return
        for tool in (4, 3):  # those that are meant for no kind of tool in particular
            if monitoring.get_tool(tool) is None:
                monitoring.use_tool_id(tool, "snakepit")
                monitoring.register_callback(tool, monitoring.events.PY_UNWIND, self._unwound)
                monitoring.set_events(tool, monitoring.events.PY_UNWIND)
                self._tool = tool
                return

    def freeze(self) -> None:
        """Note nothing any more: what exit handlers raise does not change the status."""
        if self._tool is not None:
            sys.monitoring.set_events(self._tool, 0)
            sys.monitoring.free_tool_id(self._tool)
        elif getattr(sys, "last_exc", None) is not None:
            self.value = 1  # all that can be known

    def leave(self) -> None:
        """End the process with it."""
        if self.value < 0:
            flush()
            signal.signal(-self.value, signal.SIG_DFL)
            signal.raise_signal(-self.value)
        leave(self.value & 0xFF)

    def _unwound(self, code: CodeType, offset: int, error: BaseException) -> None:
        if threading.get_ident() == _MAIN and sys._getframe(1).f_back is None:
            self.value = status_of(error)


STATUS = ExitStatus()
_MAIN = threading.main_thread().ident


def status_of(error: BaseException) -> int:
    """What a program ends with that raises this."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if hasattr(sys, "ps1"):  # the user at the prompt sees it, and goes on
        return 0
    return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1

"""Stops embedded servers when their program ends before them.

A server in a daemon thread, as in tests and notebooks, must not keep its program from ending. But Python does not
freeze subinterpreters as it freezes daemon threads: it waits for each of them at its end, and so for workers that wait
for requests. So such servers are stopped once the main thread has returned.

If something can't be ended in time, such as a handler that hangs in C code, `os._exit` ends the process, after exit
handlers have run, with the status that Python would have ended with. Python does not reveal that status before its end,
so a monitor (PEP 669) notes which exception leaves the outermost frame of the main thread.
"""

import atexit
import concurrent.futures.thread  # noqa: F401  # registers its hook first, so it is called last
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
"""Seconds for all servers together to stop: one for requests in flight, three for workers that were told to end
(`pool.endings.LAST_CALL`), and one in reserve."""


class Embedded(Protocol):
    """The interface of a server for the end of its program."""

    def stop_at_once(self) -> bool:
        """Stop within a second or so; False if it can't. From any thread."""

    def release(self) -> None:
        """Release what the system would keep: the file of a Unix socket."""


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
        """Whether it runs in this process, and not in the one from which this process was forked."""
        return self.process == os.getpid()


_serving: list[_Serving] = []
_lock = threading.RLock()  # a signal handler may need it in the middle of the main thread's having it
_begun = False  # the end of the program
_prepared = False


@contextmanager
def serving(server: Embedded, watch_status: bool) -> Iterator[bool]:
    """A block within which the program's end stops the server. False: the end has begun, so do not serve.

    `watch_status`: find out how the program ends, which costs about 50 ns for each frame that an exception leaves.
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
    """Return the servers that serve in this process now."""
    with _lock:
        return [one.server for one in _serving if one.is_here]


def _prepare() -> bool:
    """Register `_before_threads`; False if it is too late for that."""
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
    """Stop servers, once the main thread has returned, whose workers Python would wait for, but not their threads."""
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
    """Called when ordinary threads have ended, or Ctrl+C has ended the waiting for them."""
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
    """End the process although workers still run that can't be ended: Python would wait for them, or crash."""
    atexit.unregister(_after_threads)
    atexit._run_exitfuncs()
    STATUS.leave()


class ExitStatus:
    """The monitor of how the program ends."""

    def __init__(self) -> None:
        self.value = 0
        """The exit status; negative: the signal that ends the process."""
        self._tool: int | None = None

    def watch(self) -> None:
        """Note exceptions that leave the outermost frame of the main thread from now on."""
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
        """Stop noting: exceptions of exit handlers do not change the status."""
        if self._tool is not None:
            sys.monitoring.set_events(self._tool, 0)
            sys.monitoring.free_tool_id(self._tool)
        elif getattr(sys, "last_exc", None) is not None:
            self.value = 1  # more can't be known

    def leave(self) -> None:
        """End the process with this status."""
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
    """Return the exit status of a program that raises this."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if hasattr(sys, "ps1"):  # the interactive prompt shows it, and goes on
        return 0
    return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1

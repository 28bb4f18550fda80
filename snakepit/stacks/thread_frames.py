"""Finds the innermost frames of this interpreter's other threads.

It does not use `sys._current_frames()`: that walks the threads of all interpreters, which run meanwhile, each under a
GIL of its own, and this crashes 3.13. The functions of CPython's C API that are used here are public, and stay within
one interpreter.

Imported only if stacks are wanted: ctypes takes memory in each interpreter.
"""

import threading
from collections.abc import Iterator
from itertools import accumulate, chain, repeat, takewhile
from traceback import FrameSummary
from types import FrameType
from typing import Any, cast

from snakepit.system.import_order import StandardLibraryFirst

with StandardLibraryFirst():
    import ctypes

BOOTSTRAP = cast("Any", threading.Thread)._bootstrap.__code__
"""The code with which Python code of a thread begins."""

_api = ctypes.pythonapi  # keeps the GIL; indexed, because its attributes are shared by all users of ctypes
_interpreter = _api["PyInterpreterState_Get"]
_interpreter.restype = ctypes.c_void_p
_first = _api["PyInterpreterState_ThreadHead"]
_first.restype, _first.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
_next = _api["PyThreadState_Next"]
_next.restype, _next.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
_frame = _api["PyThreadState_GetFrame"]
_frame.restype, _frame.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
_drop = _api["Py_DecRef"]
_drop.restype, _drop.argtypes = None, [ctypes.c_void_p]


def innermost() -> list[FrameType]:
    """Return the innermost frame of each thread that runs Python code, also of those that C code has started."""
    interpreter = _interpreter()
    # One expression in which only C code runs: so no other thread gets the GIL within it, and none can end and free its
    # state.
    found = list(map(_frame, takewhile(bool, accumulate(chain(map(_first, (interpreter,)), repeat(None)), _next))))
    frames = []
    for address in found:
        if address:
            frames.append(ctypes.cast(address, ctypes.py_object).value)
            _drop(address)  # the reference that came with the address
    return frames


def frames() -> Iterator[tuple[int, FrameType]]:
    """Find the threads of the app and of Snakepit, by identifier, with their innermost frames."""
    for frame in innermost():
        ident = _ident(frame)
        if ident is not None:
            yield ident, frame


def frame_of(ident: int) -> FrameType | None:
    """Return the innermost frame of a thread."""
    return next((frame for found, frame in frames() if found == ident), None)


def calls_of(frame: FrameType | None) -> list[FrameType]:
    """Return a frame and those that led to it, the innermost first."""
    found = []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back  # read once: a function that has returned has no caller any more
    return found


def thread_of(outermost: FrameType) -> threading.Thread | None:
    """Return the thread whose outermost frame this is; None for threads that C code has started."""
    if outermost.f_code is BOOTSTRAP:
        thread = outermost.f_locals["self"]
        return thread if isinstance(thread, threading.Thread) else None
    # The first thread of a process; in other runtimes it waits for the worker's. Threads of C code are not the app's.
    return threading.main_thread() if outermost.f_code.co_name == "<module>" else None


def stack(frame: FrameType | None) -> list[FrameSummary]:
    """Return a thread's stack, the outermost call first. Reads no file: the thread may go on while this one waits."""
    return [
        FrameSummary(call.f_code.co_filename, call.f_lineno, call.f_code.co_name, lookup_line=False)
        for call in reversed(calls_of(frame))
    ]


def _ident(frame: FrameType) -> int | None:
    thread = thread_of(calls_of(frame)[-1])
    return None if thread is None else thread.ident

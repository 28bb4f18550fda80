"""Finds the innermost frames of this interpreter's other threads.

It does not use `sys._current_frames()`: that walks the threads of all interpreters, which run meanwhile, each under a
GIL of its own, and this crashes 3.13. The functions of CPython's C API that are used here are public, and stay within
one interpreter.

Imported only if stacks are wanted: ctypes takes memory in each interpreter.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, chain, repeat, takewhile
from operator import attrgetter
from traceback import FrameSummary
from types import FrameType
from typing import Any, cast

from snakepit.stacks.stack import summaries
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
_current = _api["PyThreadState_Get"]
_current.restype = ctypes.c_void_p
_next = _api["PyThreadState_Next"]
_next.restype, _next.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
_frame = _api["PyThreadState_GetFrame"]
_frame.restype, _frame.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
_object = _api["Py_NewRef"]
_object.restype, _object.argtypes = ctypes.py_object, [ctypes.c_void_p]
_drop = _api["Py_DecRef"]
_drop.restype, _drop.argtypes = None, [ctypes.c_void_p]


def innermost() -> list[FrameType]:
    """Return the innermost frame of each other thread that runs Python code, also of those that C code has started."""
    frames: list[FrameType] = []
    _run(lambda found: [map(frames.append, map(_object, found))])
    return frames


def stacks() -> list[tuple[list[FrameType], list[int]]]:
    """Return all frames of each such thread, the innermost first, and the lines at which they were at one moment."""
    frames: list[list[FrameType]] = []
    lines: list[list[int]] = []

    def steps(found: list[int]) -> list[Iterable[object]]:
        # a list of frames is extended by the caller of each frame in it, and thus of each that was added
        callers = map(takewhile, repeat(bool), map(map, repeat(attrgetter("f_back")), frames))
        return [
            map(frames.append, map(list, zip(map(_object, found)))),
            map(list.extend, frames, callers),
            map(lines.append, map(list, map(map, repeat(attrgetter("f_lineno")), frames))),
        ]

    _run(steps)
    return list(zip(frames, [[line or 0 for line in stack] for stack in lines], strict=True))


def _run(steps: Callable[[list[int]], Iterable[Iterable[object]]]) -> None:
    """Take these steps, one after the other, with the addresses of the innermost frames.

    All in one expression, in which only C code runs: so no other thread gets the GIL within it, and none can go on, or
    end and free its state.
    """
    found: list[int] = []
    all_states = takewhile(bool, accumulate(chain(map(_first, (_interpreter(),)), repeat(None)), _next))
    states = filter(_current().__ne__, all_states)  # a list of its own frames would refer to itself
    deque(chain(map(found.append, filter(None, map(_frame, states))), *steps(found)), maxlen=0)
    for address in found:
        _drop(address)  # the reference that came with the address


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
    return threading.main_thread() if outermost.f_code.co_name in ("<module>", "_run_module_as_main") else None


def stack(frame: FrameType | None) -> list[FrameSummary]:
    """Return a thread's stack, the outermost call first."""
    return summaries(reversed(calls_of(frame)))


def _ident(frame: FrameType) -> int | None:
    thread = thread_of(calls_of(frame)[-1])
    return None if thread is None else thread.ident

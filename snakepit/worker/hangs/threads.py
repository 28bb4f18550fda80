"""Finds the stacks of this interpreter's other threads, and raises exceptions in them.

It does not use `sys._current_frames()`: that walks the threads of all interpreters, which run meanwhile, each under a
GIL of its own, and this crashes 3.13. The functions of CPython's C API that are used here are public, and stay within
one interpreter.

Imported only if code hangs: ctypes takes memory in each interpreter.
"""

import importlib
import sys
import threading
from collections.abc import Collection, Iterator
from contextvars import Context
from itertools import accumulate, chain, repeat, takewhile
from pathlib import Path
from traceback import FrameSummary, StackSummary
from types import CodeType, FrameType
from typing import Any, cast

from snakepit.errors import Interrupted
from snakepit.system.import_order import StandardLibraryFirst

with StandardLibraryFirst():
    import ctypes

_PACKAGE = str(Path(__file__).parents[2])
_LOADER = str(Path(__file__).parents[1] / "loader.py")
_BOOTSTRAP = cast("Any", threading.Thread)._bootstrap.__code__  # where Python code of a thread begins

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
_raise = _api["PyThreadState_SetAsyncExc"]
_raise.argtypes = [ctypes.c_ulong, ctypes.py_object]
_clear = _api["PyThreadState_SetAsyncExc"]
_clear.argtypes = [ctypes.c_ulong, ctypes.c_void_p]


def frames() -> Iterator[tuple[int, FrameType]]:
    """Find the threads that run Python code, by identifier, with their innermost frames."""
    interpreter = _interpreter()
    # One expression in which only C code runs: so no other thread gets the GIL within it, and none can end and free its
    # state.
    found = list(map(_frame, takewhile(bool, accumulate(chain(map(_first, (interpreter,)), repeat(None)), _next))))
    innermost = []
    for address in found:
        if address:
            innermost.append(ctypes.cast(address, ctypes.py_object).value)
            _drop(address)  # the reference that came with the address
    for frame in innermost:
        ident = _ident(frame)
        if ident is not None:
            yield ident, frame


def frame_of(ident: int) -> FrameType | None:
    """Return the innermost frame of a thread."""
    return next((frame for found, frame in frames() if found == ident), None)


def raise_in(ident: int, error: type[BaseException]) -> None:
    """Raise an exception in a thread as soon as it runs Python code.

    If that is a finalizer or the callback of a weak reference, Python can't propagate the exception. Snakepit does not
    report these, and raises the exception again until it reaches the app's code.
    """
    _be_silent_about_ours()
    _raise(ident, error)


def raise_within(context: Context, ident: int, error: type[BaseException]) -> bool:
    """Raise an exception in a thread if it is within the `run` of this context, which no other thread uses.

    Returns whether it is. The exception comes before the thread has left the statement that called `run`: Python looks
    for it in each function that is called there, and after each call.
    """
    _be_silent_about_ours()
    try:
        context.run(int)  # refused only where another run has begun, and has not ended
    except RuntimeError:
        # Python changes threads when a function begins, when a loop goes round and after a call that succeeds, and none
        # of these was since the refusal; so the thread is where it was.
        _raise(ident, error)
        return True
    return False


def _be_silent_about_ours() -> None:
    global _report_others
    if sys.unraisablehook is not _report:
        _report_others, sys.unraisablehook = sys.unraisablehook, _report


def _report(unraisable: "sys.UnraisableHookArgs") -> None:
    if not issubclass(unraisable.exc_type, Interrupted):
        _report_others(unraisable)


_report_others = sys.unraisablehook


def clear(ident: int) -> None:
    """Take back an exception that has not been raised yet."""
    _clear(ident, None)


def is_in_app(frame: FrameType | None, callers: Collection[CodeType], others: Collection[CodeType] = ()) -> bool:
    """Tell whether a thread runs the app's code, or code that the app called.

    That is so if, from its innermost frame outwards, one of the `callers` comes before other code of Snakepit, which
    the app may have called, and before the `others`.
    """
    while frame is not None:
        code = frame.f_code
        if code in callers:
            return True
        if code in others or code.co_filename.startswith(_PACKAGE):
            return False
        frame = frame.f_back
    return True


def stack(frame: FrameType | None) -> list[FrameSummary]:
    """Return a thread's stack, the outermost call first. Reads no file: the thread may go on while this one waits."""
    found: list[FrameSummary] = []
    while frame is not None:
        found.append(FrameSummary(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, lookup_line=False))
        frame = frame.f_back
    return found[::-1]


def text(found: list[FrameSummary]) -> str:
    """Format a stack for people, without Snakepit's own calls and the calls that led to them."""
    ours = [at for at, summary in enumerate(found) if summary.filename.startswith(_PACKAGE)]
    return "".join(StackSummary.from_list(found[ours[-1] + 1 :] if ours else found).format()).rstrip("\n")


def text_of_task(found: list[FrameSummary]) -> str:
    """Format the stack of an exchange's task for people, without the calls that led to the app's: those that Snakepit
    makes of its own functions, the first."""
    began = next((at for at, summary in enumerate(found) if not summary.filename.startswith(_PACKAGE)), 0)
    return "".join(StackSummary.from_list(found[began:]).format()).rstrip("\n")


def text_of_import(found: list[FrameSummary]) -> str:
    """Format the stack of an import for people: the calls of the app, and of packages that import each other."""
    began = next((at for at, summary in enumerate(found) if summary.filename == _LOADER), -1)
    machinery = (_PACKAGE, "<frozen importlib", importlib.__file__)
    shown = [summary for summary in found[began + 1 :] if not summary.filename.startswith(machinery)]
    return "".join(StackSummary.from_list(shown).format()).rstrip("\n")


def _ident(frame: FrameType) -> int | None:
    outermost = frame
    while (caller := outermost.f_back) is not None:  # read once: a function that has returned has no caller any more
        outermost = caller
    if outermost.f_code is _BOOTSTRAP:
        ident = outermost.f_locals["self"].ident
        return ident if isinstance(ident, int) else None
    # The first thread of a process; in other runtimes it waits for the worker's. Threads of C code are not the app's.
    return threading.main_thread().ident if outermost.f_code.co_name == "<module>" else None

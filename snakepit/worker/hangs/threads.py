"""Raises exceptions in this interpreter's other threads, and renders their stacks.

Imported only if code hangs: ctypes takes memory in each interpreter.
"""

import importlib
import sys
from collections.abc import Collection
from contextvars import Context
from pathlib import Path
from traceback import FrameSummary, StackSummary
from types import CodeType, FrameType

from snakepit.errors import Interrupted
from snakepit.system.import_order import StandardLibraryFirst

with StandardLibraryFirst():
    import ctypes

_PACKAGE = str(Path(__file__).parents[2])
_LOADER = str(Path(__file__).parents[1] / "loader.py")

_api = ctypes.pythonapi  # keeps the GIL; indexed, because its attributes are shared by all users of ctypes
_raise = _api["PyThreadState_SetAsyncExc"]
_raise.argtypes = [ctypes.c_ulong, ctypes.py_object]
_clear = _api["PyThreadState_SetAsyncExc"]
_clear.argtypes = [ctypes.c_ulong, ctypes.c_void_p]


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


def text(found: list[FrameSummary]) -> str:
    """Format a stack for people, without Snakepit's own calls and the calls that led to them."""
    ours = [at for at, summary in enumerate(found) if summary.filename.startswith(_PACKAGE)]
    return "".join(StackSummary.from_list(found[ours[-1] + 1 :] if ours else found).format()).rstrip("\n")


def text_of_import(found: list[FrameSummary]) -> str:
    """Format the stack of an import for people: the calls of the app, and of packages that import each other."""
    began = next((at for at, summary in enumerate(found) if summary.filename == _LOADER), -1)
    machinery = (_PACKAGE, "<frozen importlib", importlib.__file__)
    shown = [summary for summary in found[began + 1 :] if not summary.filename.startswith(machinery)]
    return "".join(StackSummary.from_list(shown).format()).rstrip("\n")

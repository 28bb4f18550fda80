"""Tells the app's calls from those that lead to them, and from those of Snakepit.

Of a stack, an operator wants to see what the app does. The calls before it are the same in each stack: how Python
starts a thread, Snakepit's own, how an event loop runs a task. A stack that has only such calls is idle.
"""

import linecache
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

PACKAGE = str(Path(__file__).parents[1])
"""The folder of Snakepit's own code."""

_LEADING_MODULES = (
    "threading",
    "queue",
    "selectors",
    "runpy",
    "asyncio.base_events",
    "asyncio.events",
    "asyncio.runners",
    "asyncio.selector_events",
    "asyncio.proactor_events",
    "asyncio.windows_events",
    "concurrent.futures.thread",
    "anyio._backends._asyncio",
    "asgiref.current_thread_executor",
)
"""Modules whose calls lead to the app's, or wait for something to do. asyncio, anyio and asgiref call functions in
threads."""

_WAITING_MODULES = (
    "threading",
    "queue",
    "selectors",
    "socket",
    "subprocess",
    "asyncio.runners",
    "asyncio.windows_events",
    "concurrent.futures.thread",
    "concurrent.interpreters",
)
"""Modules whose calls wait, when they are the innermost of a thread of the main interpreter."""

_WAITS_FOR_END = str(Path(__file__).parents[1] / "worker" / "asgi" / "lifespan.py"), "Lifespan.wait_message"
"""The file and the name of the function that an app awaits until it is told to shut down."""

type Call = tuple[str, int, str]
"""A file, a line, and the name of a function."""


def ours(calls: Sequence[Call], is_thread: bool = True, led: int = 0) -> list[bool]:
    """Tell of each call of a stack, the outermost first, whether it is left out where only the app's are shown.

    `is_thread`: Python code of a thread begins with the outermost call. Otherwise, in the first thread of a process,
    what leads to Snakepit is left out as well. `led`: so many calls led to the app, which works for a request; what it
    calls then is shown, whatever it is. 0: that is not known.
    """
    if any((file, function) == _WAITS_FOR_END for file, _, function in calls):
        return [True] * len(calls)
    files = _files_of(_LEADING_MODULES)
    found = [call[0].startswith(PACKAGE) for call in calls]
    if not led and all(own or _is_standard(call[0]) for own, call in zip(found, calls, strict=True)):
        return [True] * len(calls)
    if not (is_thread or led) and True in found:
        led = len(found) - found[::-1].index(True)
    found[:led] = [True] * led
    for at in range(led, len(calls)):
        if not (found[at] or calls[at][0] in files or calls[at][0].startswith("<frozen runpy")):
            break
        found[at] = True
    return found


def kind_of(file: str) -> Literal["app", "library", "machinery"]:
    """Tell whose code a file is: the app's, a library's, or else Python's or Snakepit's."""
    if file.startswith(PACKAGE) or _is_standard(file):
        return "machinery"
    is_library = "site-packages" in file or "dist-packages" in file or file.startswith("<")  # or made by one
    return "library" if is_library else "app"


def waits(innermost: Call) -> bool:
    """Tell of the innermost call of a thread of the main interpreter whether it waits for something to do.

    A worker's thread stands in the call that runs the worker, for as long as that lives. uvloop waits within the call
    that runs it, and its own C code is taken for waiting as well.
    """
    file, _, function = innermost
    if file.startswith(PACKAGE):
        return function.rpartition(".")[2].lstrip("_").startswith("wait")
    return file in _files_of(_WAITING_MODULES) or _BACKPORT in file


def _is_standard(file: str) -> bool:
    """Tell whether a file belongs to the standard library, whose calls alone say nothing of the app."""
    standard = file.startswith(_LIBRARY) and "site-packages" not in file
    return standard or file.startswith("<frozen") or file == _STARTS_WORKER or _BACKPORT in file


_STARTS_WORKER = "<string>"  # the code that starts a worker is given as text
_BACKPORT = f"{os.sep}interpreters_backport{os.sep}"  # of a module of 3.14, for 3.13
_LIBRARY = str(Path(linecache.__file__).parent) + os.sep


def _files_of(modules: Sequence[str]) -> frozenset[str]:
    files = (getattr(sys.modules.get(name), "__file__", None) for name in modules)
    return frozenset(cast("str", file) for file in files if file is not None)

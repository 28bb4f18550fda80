"""Guards the working directory of the process, which all workers and the server have in common.

Where a worker is an interpreter, `os.chdir` and `os.fchdir` (and so `contextlib.chdir`) change the directory of all
apps. What happens then is an option. Entering the directory in which the process is already is always allowed: so each
worker may do what the first one has done.
"""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any, Literal

from snakepit.system.import_order import StandardLibraryFirst

REMEDY = (
    "use absolute paths, --app-dir to say where the app is, cwd= for subprocess, or --runtime process, which gives "
    "each worker a working directory of its own"
)

_notes: list[str] = []  # at most one: what is said once in each worker
_logs = False  # whether that is to be logged here


def install(policy: Literal["error", "warn", "allow"]) -> None:
    """Replace `os.chdir` and `os.fchdir` in this interpreter, permanently, unless everything is allowed."""
    if policy == "allow":
        return
    for name in ("chdir", "fchdir"):
        change: Callable[..., None] | None = getattr(os, name, None)
        if change is not None:
            guarded = _guarded(change, policy == "error")
            vars(os)[name] = guarded
            if change in os.supports_fd:
                os.supports_fd.add(guarded)


def _guarded(change: Callable[..., None], refuses: bool) -> Callable[..., None]:
    @wraps(change)
    def guarded(*given: Any, **named: Any) -> None:
        wanted = [*given, *named.values()][:1]
        if wanted and _is_elsewhere(wanted[0]):
            if refuses:
                raise RuntimeError(f"os.{change.__name__}: the working directory is that of all workers; {REMEDY}")
            _warn(wanted[0])
        change(*given, **named)

    return guarded


def _is_elsewhere(directory: Any) -> bool:
    """Tell whether this is another directory than that of the process; False if it can't be entered."""
    try:
        wanted = os.stat(directory)
    except (OSError, TypeError, ValueError):
        return False
    try:
        return not os.path.samestat(wanted, os.stat(os.curdir))
    except OSError:  # the working directory has been removed
        return True


def _warn(directory: Any) -> None:
    if _notes:
        return
    where = directory if isinstance(directory, int) else os.fsdecode(directory)
    _notes.append(
        f"The app has changed the working directory of all workers to {where!r}: {REMEDY}. --on-chdir allow accepts "
        "it silently"
    )
    if _logs:
        with StandardLibraryFirst():
            import logging
        logging.getLogger("snakepit.worker").warning("%s", _notes[0])


def notes() -> list[str]:
    """Return what is to be said of the time until now; later it is logged at once."""
    global _logs
    _logs = True
    return _notes.copy()

"""Controls what processes of the app inherit from this process, whose state all workers share.

- The environment. A worker's `os.environ` is its own, over one environment of the process, which C code sees, and in
  which the last change by any worker counts. Children get their worker's `os.environ`.
- The limit on open files. The server raises its soft limit for its connections; processes of the app get the one that
  the server was started with. Some programs loop over all numbers up to it, and select() does not support large ones.

Both are set where Python starts processes: `fork_exec`, which `subprocess`, asyncio and multiprocessing call, and
`posix_spawn`. C code that starts processes, including `os.system`, passes on the values of this process.

A child inherits the limit that holds in this process at that moment, and nothing can be done in between. So the limit
is lowered for the moment, a millisecond or a few, if that leaves room for as many files again: a connection that finds
no descriptor is lost. (Should it stay low, `snakepit.server.net.open_files` raises it again.) With more files open, and
where two threads start processes at the same time, the child's limit is set when it has begun, which it may notice.
"""

import math
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

_installed = False


def set_environment(wanted: Mapping[str, str]) -> None:
    """Set `os.environ` to exactly these variables, without changing the environment of the process.

    Other workers may have set variables of the process for their C code.
    """
    environ = os.environ
    data = vars(environ)["_data"]  # assigning to os.environ would set the process's, too
    data.clear()
    data.update({environ.encodekey(name): environ.encodevalue(value) for name, value in wanted.items()})


def install(own_environment: bool, open_files: tuple[int, int] | None) -> None:
    """Replace the functions that start processes in this interpreter, permanently.

    Args:
        own_environment: whether `os.environ` may differ from the process's environment.
        open_files: the soft limit that children get, and the raised one; None: it was not raised. If the app sets yet
            another limit, that is meant for its children, too.
    """
    global _installed
    if _installed or sys.platform == "win32":  # a worker in the main interpreter may have been there before
        return
    _installed = True
    import _posixsubprocess

    # The places of `env` among the arguments are the same in Python 3.13 to 3.15; it has none by name.
    for module, name, place in ((_posixsubprocess, "fork_exec", 5), (os, "posix_spawn", 2), (os, "posix_spawnp", 2)):
        start: Callable[..., int] | None = getattr(module, name, None)
        if start is None:
            continue  # not every system has all of them
        if open_files is not None:
            start = _limited(start, *open_files)
        if own_environment:
            start = _with_environment(start, place, as_lines=module is _posixsubprocess)
        vars(module)[name] = start
    if "subprocess" in sys.modules:  # this module has a reference of its own to that function
        vars(sys.modules["subprocess"])["_fork_exec"] = _posixsubprocess.fork_exec


def _with_environment(start: Callable[..., int], place: int, as_lines: bool) -> Callable[..., int]:
    """Give a process `os.environ` instead of the environment of this process."""

    def start_with_environment(*given: Any, **more: Any) -> int:
        if given[place : place + 1] == (None,):
            data = vars(os.environ)["_data"].copy()
            environment = [name + b"=" + value for name, value in data.items()] if as_lines else data
            given = (*given[:place], environment, *given[place + 1 :])
        return start(*given, **more)

    return start_with_environment


def _limited(start: Callable[..., int], soft: int, raised: int) -> Callable[..., int]:
    """Give a process this soft limit instead of the raised one."""
    was_imported = "resource" in sys.modules
    import resource

    if not was_imported:
        del sys.modules["resource"]  # the app may have a module with this name, too
    limit = resource.RLIMIT_NOFILE

    def start_limited(*given: Any, **more: Any) -> int:
        now, hard = resource.getrlimit(limit)
        if now not in (soft, raised):
            return start(*given, **more)  # the app has set another one, for its children, too
        lowers = now == raised and _open_files() < soft // 2
        try:
            if lowers:
                resource.setrlimit(limit, (soft, hard))
            process = start(*given, **more)
        finally:
            if lowers:
                resource.setrlimit(limit, (raised, hard))
        if sys.platform == "linux":
            try:
                if resource.prlimit(process, limit)[0] == raised:
                    resource.prlimit(process, limit, (soft, hard))
            except OSError:
                pass  # it has ended, or runs as another user
        return process

    return start_limited


def _open_files() -> float:
    """Return how many files this process has open; infinity if that is not known."""
    try:
        return len(os.listdir("/dev/fd")) if sys.platform in ("linux", "darwin") else math.inf
    except OSError:
        return math.inf

"""Finds the limit of the system that keeps a server from getting more threads or memory.

Python says "can't start new thread" or MemoryError then, and not why. On POSIX it may be a limit on the processes and
threads of a user (`ulimit -u`), that of a container or service (the pids controller of its cgroups), or one on address
space (`ulimit -v`), of which each thread's stack takes some.
"""

import os
import re
import sys
from collections.abc import Iterator

from snakepit.system import cgroups

NO_THREAD = "can't start new thread"
"""What CPython says (Modules/_threadmodule.c)."""

_NO_MEMORY = re.compile(r"MemoryError$|MemoryError: |OSError: .*Cannot allocate memory|.*interpreter creation failed")


def explain(fault: str) -> str | None:
    """Explain a fault whose last line says that there is no thread or no memory left; None for any other fault.

    A lack of memory is explained only if a limit is known: an app may ask for more than any machine has.
    """
    last = fault.rstrip("\n").rpartition("\n")[2]
    if NO_THREAD in last:
        limits = [*_threads(), *_address_space()]
        found = " and ".join(limits) if limits else "none that this server can see"
        return (
            f"the system gives no more threads (limits: {found}); raise the limit, or use fewer interpreters or threads"
        )
    if _NO_MEMORY.match(last) and (limits := list(_address_space())):
        return f"the system gives no more memory (limit: {limits[0]}); raise the limit, or use fewer interpreters"
    return None


def _threads() -> Iterator[str]:
    """Return the limits on threads, as texts; the lowest first."""
    found: list[tuple[int, str]] = []
    if sys.platform != "win32" and os.geteuid() != 0:  # the limit does not apply to root
        import resource

        limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        if limit != resource.RLIM_INFINITY:
            found.append((limit, f"{limit} processes and threads of this user, ulimit -u"))
    for most, used in cgroups.thread_limits():
        found.append((most, f"{most} processes and threads of this container or service, {used} in use, pids.max"))
    yield from (text for _, text in sorted(found))


def _address_space() -> Iterator[str]:
    if sys.platform != "win32":
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            yield f"{limit // 1024} KiB of address space, ulimit -v"

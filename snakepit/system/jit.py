"""CPython's JIT compiler: whether this Python has one, and how to start a process with it.

It can only be switched on at the start of a process, by the environment variable PYTHON_JIT. It compiles code that runs
in the main interpreter, and none in other interpreters: the server's own code, and workers that are processes or
threads.

The variable is for one process only, as the Pythons that this process starts may be others. So a second variable says
what the first one was before, and the process restores it when it starts (`take_back`).
"""

import sys
from collections.abc import Mapping, MutableMapping

VARIABLE = "PYTHON_JIT"
"""The environment variable that switches it on ("1") or off ("0"); an empty value has no effect."""

BEFORE = "SNAKEPIT_PYTHON_JIT_BEFORE"
"""The environment variable with the value that PYTHON_JIT had before it was set for a process."""

GAINS = sys.version_info >= (3, 15)
"""Whether it makes enough of a difference. On 3.15 the server takes 10 % fewer instructions for a request with it, and
an ASGI worker that is a process 5 % fewer (callgrind); on 3.14 the server takes 2 % fewer."""


def is_available() -> bool:
    """Return whether this Python has a JIT compiler: a build option. Python 3.13 does not tell, so False."""
    jit = getattr(sys, "_jit", None)
    return jit is not None and bool(jit.is_available())


def is_enabled() -> bool:
    """Return whether it is on; to be called in the main interpreter."""
    jit = getattr(sys, "_jit", None)
    return jit is not None and bool(jit.is_enabled())


def changes(wanted: bool | None, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the changes to the environment of a process that switch the compiler on or off.

    `wanted` None: on if it makes enough of a difference, unless the environment already has the variable.
    """
    said = environ.get(VARIABLE, "")
    if not is_available() or (wanted is None and (said or not GAINS)):
        return {}
    value = "0" if wanted is False else "1"
    return {} if value == said else {VARIABLE: value, BEFORE: said}


def take_back(environ: MutableMapping[str, str]) -> None:
    """Undo these changes in the process that was started with them, for the processes that it starts."""
    before = environ.pop(BEFORE, None)
    if before:
        environ[VARIABLE] = before
    elif before is not None:
        environ.pop(VARIABLE, None)


def trouble(wanted: bool | None) -> str:
    """Return why the compiler is not on or off as wanted, and what to do; empty if it is."""
    if wanted is None or wanted == is_enabled():
        return ""
    if not is_available():
        return (
            "--jit: this Python has no JIT compiler, so nothing is compiled. The installers of python.org for Windows "
            "and macOS have one; elsewhere it is an option of CPython's build (--enable-experimental-jit)"
        )
    state, value = ("off", 1) if wanted else ("on", 0)
    return (
        f"--{'' if wanted else 'no-'}jit: the JIT compiler stays {state}, which is settled when a process starts. "
        "Only the supervisor of snakepit run starts one, as the options say when it starts itself; "
        f"anywhere else set {VARIABLE}={value} before Python starts (with -E or -I it takes no notice)"
    )

"""CPython's JIT compiler: whether this Python has one, and how a process comes to have it switched on.

A process has it or not from its start on, by the variable PYTHON_JIT of its environment. It compiles what runs in the
main interpreter, and nothing of what runs in others: the server's own work, and workers that are processes or threads.

Who starts a process with it keeps it from what that process starts, which may be other Pythons: beside the variable
goes what it was before, and the process takes it back at its start (`take_back`).
"""

import sys
from collections.abc import Mapping, MutableMapping, Sequence

VARIABLE = "PYTHON_JIT"
"""The environment variable that switches it on ("1") and off ("0"); empty it says nothing."""

BEFORE = "SNAKEPIT_PYTHON_JIT_BEFORE"
"""The environment variable that tells a process what the other one was before it was set for that process."""

GAINS = sys.version_info >= (3, 15)
"""Whether it is worth having. On 3.15 the server takes 10 % fewer instructions for a request with it, and an ASGI
worker that is a process 5 % fewer (callgrind); on 3.14 the server takes 2 % fewer."""

_ON, _OFF = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def is_available() -> bool:
    """Whether this Python has it. It can be left out where Python is built, and 3.13 does not tell."""
    jit = getattr(sys, "_jit", None)
    return jit is not None and bool(jit.is_available())


def is_enabled() -> bool:
    """Whether it is on in the main interpreter of this process, if asked there."""
    jit = getattr(sys, "_jit", None)
    return jit is not None and bool(jit.is_enabled())


def asked_for(arguments: Sequence[str], environ: Mapping[str, str]) -> bool | None:
    """What a command line and its environment say of the option `--jit`, without parsing it; None: nothing."""
    for argument in reversed(arguments):
        if argument in ("--jit", "--no-jit"):
            return argument == "--jit"
    said = environ.get("SNAKEPIT_JIT", "").strip().lower()
    return said in _ON if said in _ON | _OFF else None


def changes(wanted: bool | None, environ: Mapping[str, str]) -> dict[str, str]:
    """What to change in the environment of a process so that it has the JIT or not, as wanted.

    Where nobody says anything (None), it has it if that is worth it; but the variable counts if it is set.
    """
    said = environ.get(VARIABLE, "")
    if not is_available() or (wanted is None and (said or not GAINS)):
        return {}
    value = "0" if wanted is False else "1"
    return {} if value == said else {VARIABLE: value, BEFORE: said}


def take_back(environ: MutableMapping[str, str]) -> None:
    """Undo these changes in a process that was started with them, for what it starts itself."""
    before = environ.pop(BEFORE, None)
    if before:
        environ[VARIABLE] = before
    elif before is not None:
        environ.pop(VARIABLE, None)


def trouble(wanted: bool | None) -> str:
    """Why this process does not have it as is wanted, and what helps; empty: it does, or nothing is wanted."""
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
        f"Only snakepit run with its supervisor starts one; anywhere else set {VARIABLE}={value} before Python starts "
        "(with -E or -I it takes no notice)"
    )

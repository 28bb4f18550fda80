"""The first look at a command: whether this process becomes a supervisor.

Three options concern it: supervise, runtime and jit. They may be on the command line, in the environment or in files,
but they rarely are, and only the command line's own code parses them, which takes a third of the time of a start, and
memory that a supervisor would keep. So this parses nothing. It looks for words without which none of the three can be
given, and where it finds one, it leaves the decision to the command.
"""

import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence

from snakepit.config import place
from snakepit.supervisor.link import is_supervised
from snakepit.system import jit, working_directory

SUPERVISE = "supervise"
"""This process becomes a supervisor: nothing says otherwise."""

ASK = "ask"
"""The options have to be parsed to know."""

NO = "no"
"""It does not become one: it is not asked to serve, or has a supervisor."""

DECIDED = "SNAKEPIT_SUPERVISES"
"""The environment variable that tells a process that it is to be a supervisor, and what the option `jit` says."""

_IN_ARGUMENTS = {"-h", "--help", "--version", "--supervise", "--no-supervise"}
_JIT_IN_ARGUMENTS = {"--jit", "--no-jit"}
_IN_FILES = (b"supervise", b"SUPERVISE", b'"thread"', b"'thread'", b"RUNTIME", b"env_file", b"env-file")
_JIT_IN_FILES = (b"jit", b"JIT")


def look(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return SUPERVISE, ASK or NO for a command line and an environment."""
    if arguments[:1] != ["run"] or is_supervised(environ) or not sys.executable:
        return NO
    if DECIDED in environ:
        return SUPERVISE
    has_jit = jit.is_available()
    flags = _IN_ARGUMENTS | _JIT_IN_ARGUMENTS if has_jit else _IN_ARGUMENTS
    if flags & set(arguments) or any(argument.rpartition("=")[2] == "thread" for argument in arguments):
        return ASK
    if environ.get("SNAKEPIT_SUPERVISE") or environ.get("SNAKEPIT_RUNTIME") == "thread":
        return ASK
    if has_jit and environ.get("SNAKEPIT_JIT"):
        return ASK
    words = (*_IN_FILES, *_JIT_IN_FILES) if has_jit else _IN_FILES
    for path in _files(arguments, environ):
        data = _contents(path)
        if data is None:
            return ASK
        lines = b"\n".join(line for line in data.splitlines() if not line.lstrip().startswith(b"#"))
        if any(word in lines for word in words):
            return ASK
    return SUPERVISE


def decision(jit: bool | None) -> str:
    """Return the value of the variable that makes this process, once it has begun anew, a supervisor."""
    return "as it is" if jit is None else "with" if jit else "without"


def take_decision(environ: MutableMapping[str, str]) -> bool | None:
    """Remove the variable, and return what the option `jit` says; None where nothing was decided."""
    return {"with": True, "without": False}.get(environ.pop(DECIDED, ""))


def _files(arguments: Sequence[str], environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the files that may contain options: those that are named, and those that would be found."""
    for option, variable in (("--config", place.VARIABLE), ("--env-file", "SNAKEPIT_ENV_FILE")):
        yield from (arguments[at + 1] for at, each in enumerate(arguments[:-1]) if each == option)
        yield from (argument[len(option) + 1 :] for argument in arguments if argument.startswith(f"{option}="))
        if path := environ.get(variable):
            yield path
    for path in place.candidates(working_directory.name()):
        if path.endswith(place.OWN):
            yield path
            return
        data = _contents(path)
        if data is not None and place.may_have_table(data):
            yield path


def _contents(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None

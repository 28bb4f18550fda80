"""Records that the child process writes during a check, so that the parent can read them after a crash.

One file for each interpreter, in the folder for copies; records are tuples by `marshal`. Files instead of pipes: a file
keeps what was written even if the process dies a moment later, and needs no reader meanwhile.

Records, by their first field (`thread` is an identifier as `threading.get_ident` gives it):

    stage, thread, name             what is being done with the interpreter, see STAGES
    begin, thread, module           a module is being loaded
    end, thread                     the last one that this thread began is, or failed
    load, module, file, how, importers, reason    as in `snakepit.worker.extensions.loader.Load`
    app, interface                  the app was imported
    size, modules, memory           how many modules are imported then, and bytes of memory of the process, or None
    error, text                     it was not
    daemons, names                  daemon threads of the app that outlive it, so that the interpreter is not closed
    open                            it could not be closed in time
"""

import marshal
import os
from typing import Any

STAGES = {
    "importing": "importing the app",
    "collecting": "collecting garbage",
    "ending": "running exit handlers",
    "closing": "closing the interpreter",
    "closed": "ending the process",
}
"""Names of stages, with words for people."""

INTERPRETERS = 2
"""Interpreters in a check: one shows which modules refuse; only two show the effects of shared state."""

FAULTS = "faults"
"""The file in the same folder where `faulthandler` says what crashed."""

type Record = tuple[Any, ...]


def path_of(folder: str, interpreter: int) -> str:
    """Return the path of an interpreter's file, from 1; above INTERPRETERS, of one tried in place of another."""
    return os.path.join(folder, f"progress-{interpreter}")


class Progress:
    """Appends records to a file. May be used by any thread."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)

    def say(self, *record: Any) -> None:
        """Write a record of builtin types, in one system call."""
        os.write(self._file, marshal.dumps(record))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read(path: str) -> list[Record]:
    """Return all complete records; none if there is no file."""
    records: list[Record] = []
    try:
        with open(path, "rb") as file:
            while True:
                records.append(marshal.load(file))
    except (OSError, EOFError, ValueError, TypeError):  # the end, or a record that a crash cut off
        return records

"""The child process of a check, which may crash: creates two isolated interpreters, as for workers, and closes them.

Its parent (`snakepit.check.command`) starts it, with the settings on its standard input.
"""

import faulthandler
import marshal
import os
import signal
import threading
import time
from typing import Any, TypedDict, cast

from snakepit.check.progress import FAULTS, Progress, path_of, read
from snakepit.errors import fault
from snakepit.wire.interpreters import any_kept_open, create_interpreter, keep_open, stop_tracing_memory
from snakepit.wire.settings import ImportSettings

CLOSING_SECONDS = 10.0
"""Seconds that closing the interpreters may take: closing waits for the app's threads, without a limit."""

ORPHAN_SECONDS = 10.0
"""Seconds after which this process ends by itself if its parent, which should have ended it, did not."""

ATTEMPTS = 3
"""How often an interpreter may try to import the app, if it failed although another one succeeded: as in a server."""

PAUSE = 0.5
"""Seconds before another attempt, as in a server."""

_IMPORT = """
import marshal, sys
settings = marshal.loads(settings)
if hasattr(sys, "set_lazy_imports"):
    sys.set_lazy_imports("normal")
sys.path[:] = settings["own_path"]
sys.argv[:] = settings["argv"]
from snakepit.check import inside
inside.import_app(settings, path)
"""

_END = "inside.end(path)"


class ChildSettings(TypedDict):
    """The child's settings. `inside`: for the interpreters. `folder`: for their records. `timeout`: in seconds.

    `interpreters`: how many at the same time.
    """

    inside: ImportSettings
    folder: str
    timeout: float
    interpreters: int


def run(settings: ChildSettings) -> None:
    """Import the app in parallel interpreters; returns, or ends the process with status 0, when all have finished."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl+C reaches the parent too, which reports it
    stop_tracing_memory()
    with open(os.path.join(settings["folder"], FAULTS), "w", encoding="utf-8") as faults:
        faulthandler.enable(faults)
        faulthandler.dump_traceback_later(settings["timeout"] + ORPHAN_SECONDS, exit=True, file=faults)
        owners = [_Owner(number, settings) for number in range(1, settings["interpreters"] + 1)]
        for owner in owners:
            owner.thread.start()
        for owner in owners:
            owner.imported.wait()
        _try_again(owners, settings)
        for owner in owners:
            owner.may_end.set()
        deadline = time.monotonic() + CLOSING_SECONDS
        left_open = [owner for owner in owners if not owner.closed(deadline)]
        for owner in left_open:
            owner.progress.say("open")
        if left_open or any_kept_open():
            os._exit(0)  # as in the server: threads of the app would keep the process alive, or crash it
        faulthandler.cancel_dump_traceback_later()


def _try_again(owners: "list[_Owner]", settings: ChildSettings) -> None:
    """Replace interpreters that could not import the app by others, one at a time; adds those to the list.

    Two that import an app at the same time may race for something, as workers that start together may.
    """
    for _ in [owner for owner in owners if not owner.has_app]:
        for _ in range(ATTEMPTS - 1):
            time.sleep(PAUSE)
            another = _Owner(len(owners) + 1, settings)
            owners.append(another)
            another.thread.start()
            another.imported.wait()
            if another.has_app:
                break
            if not any(owner.has_app for owner in owners):
                return  # even an interpreter that is alone can't import it
        else:
            return


class _Owner:
    """The thread that creates an interpreter, runs it and closes it."""

    def __init__(self, number: int, settings: ChildSettings) -> None:
        self.thread = threading.Thread(target=self._own, daemon=True)
        self.imported = threading.Event()  # or could not be
        self.may_end = threading.Event()
        self._path = path_of(settings["folder"], number)
        self.progress = Progress(self._path)
        self._settings = marshal.dumps(cast("Any", settings["inside"]))

    @property
    def has_app(self) -> bool:
        """Whether the app was imported, once that is over."""
        return any(record[0] == "app" for record in read(self._path))

    def closed(self, deadline: float) -> bool:
        """Wait until it has finished, or until a moment of `time.monotonic`; returns whether it has."""
        self.thread.join(max(0.0, deadline - time.monotonic()))
        return not self.thread.is_alive()

    def _own(self) -> None:
        try:
            interpreter = create_interpreter()
            interpreter.prepare_main({"settings": self._settings, "path": self._path})
            interpreter.exec(_IMPORT)
            self.imported.set()
            self.may_end.wait()
            interpreter.exec(_END)
            if any(record[0] == "daemons" and record[1] for record in read(self._path)):
                keep_open(interpreter)
            else:
                self._stage("closing")
                interpreter.close()
        except Exception as error:  # reported to the operator, like any other error
            self.progress.say("error", fault(error))
        finally:
            self._stage("closed")
            self.imported.set()

    def _stage(self, name: str) -> None:
        self.progress.say("stage", threading.get_ident(), name)

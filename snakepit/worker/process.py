"""What a worker in a process of its own has to set up, which one in an interpreter finds set up by the server."""

import faulthandler
import os
import signal
import sys
import threading

from snakepit.memory import keep_freed_memory


def prepare() -> None:
    """Make this process a worker of the one that started it.

    Signals are the main process's business: Ctrl+C and service managers signal all processes of a group, and this one
    must finish what it has begun. Its standard input tells when the main process has gone, however that came about;
    the app gets an empty one.
    """
    for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGBREAK", signal.SIGTERM)):
        signal.signal(number, lambda *_: None)  # not SIG_IGN, which processes that the app starts would inherit
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0, inheritable=True)
    os.close(nothing)
    threading.Thread(target=_end_with_parent, args=(lifeline,), name="snakepit-lifeline", daemon=True).start()
    if sys.stderr is not None:
        faulthandler.enable()
    keep_freed_memory()


def _end_with_parent(lifeline: int) -> None:
    while os.read(lifeline, 1):
        pass
    os._exit(1)

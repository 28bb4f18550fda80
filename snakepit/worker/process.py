"""Sets up a worker's own process; with interpreters, the server has already done this."""

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Iterable

from snakepit.system import jit
from snakepit.system.group_signals import GROUP_SIGNALS
from snakepit.system.memory import keep_freed_memory
from snakepit.wire.carrier import ChannelAddress


def prepare(sockets: Iterable[ChannelAddress]) -> None:
    """Make this process a worker of its parent, with which it communicates over these sockets.

    Only the main process handles signals: Ctrl+C and service managers signal all processes of a group, and this one
    must finish what it has begun. Signals were held back until here, so that none could end it earlier. The end of its
    standard input means that the main process has ended, for any reason; the app gets an empty standard input.
    """
    jit.take_back(os.environ)
    for number in GROUP_SIGNALS:
        signal.signal(number, _ignore)  # not SIG_IGN, which processes that the app starts would inherit
    lifeline = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0, inheritable=True)
    os.close(nothing)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, GROUP_SIGNALS)
        for descriptor in sockets:
            assert isinstance(descriptor, int)
            os.set_inheritable(descriptor, False)  # processes that the app starts must not use it
        _end_by_signal(lifeline)
    threading.Thread(target=_end_with_parent, args=(lifeline,), name="snakepit-lifeline", daemon=True).start()
    if sys.stderr is not None:
        faulthandler.enable()
    keep_freed_memory()


def _ignore(number: int, frame: object) -> None:
    pass


def _end_with_parent(lifeline: int) -> None:
    while os.read(lifeline, 1):
        pass
    os._exit(1)


def _end_by_signal(lifeline: int) -> None:
    """Make the kernel end this process, by SIGIO, when the main one has ended: a thread can't do this while C code
    keeps the GIL."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
        except OSError:
            pass  # a system that does not do this for pipes

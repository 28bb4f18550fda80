"""What a worker in a process of its own has to set up, which one in an interpreter finds set up by the server."""

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Iterable

from snakepit.system.group_signals import GROUP_SIGNALS
from snakepit.system.memory import keep_freed_memory
from snakepit.wire.carrier import ChannelAddress


def prepare(sockets: Iterable[ChannelAddress]) -> None:
    """Make this process a worker of the one that started it, which it is to speak to over these sockets.

    Signals are the main process's business: Ctrl+C and service managers signal all processes of a group, and this one
    must finish what it has begun. They were held back until here, so that none could end it earlier.
    Its standard input tells when the main process has gone, however that came about; the app gets an empty one.
    """
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
            os.set_inheritable(descriptor, False)  # what the app starts has no business there
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
    """Have the kernel end this process, by SIGIO, when the main one has gone: C code that keeps the GIL for ever would
    not let a thread do it."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
            fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
        except OSError:
            pass  # a system that does not do this for pipes

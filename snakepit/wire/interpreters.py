"""The one module that uses Python's API for interpreters, and works around its bugs.

Python 3.14 has `concurrent.interpreters` (PEP 734). Python 3.13 has the implementation but not the module. There the
package `interpreters-pep-734`, by the PEP's author, provides it, and a queue needs an argument so that it does not
pickle.
"""

import _imp
import _interpqueues
import _interpreters
import sys
import threading
from functools import partial
from typing import Protocol

if sys.version_info >= (3, 14):
    from concurrent import interpreters as _api

    def create_queue() -> "Queue":
        """Make a queue that bytes, and tuples of them, can cross from one interpreter to another."""
        return _DirectQueue(_api.create_queue())
else:
    from interpreters_backport import interpreters as _api

    def create_queue() -> "Queue":
        """Make a queue that bytes, and tuples of them, can cross from one interpreter to another."""
        return _DirectQueue(_api.create_queue(syncobj=True))


QueueEmpty: type[Exception] = _api.QueueEmpty


class Queue(Protocol):
    """The part of a cross-interpreter queue that Snakepit uses.

    `get()` and `put()` are left out on purpose: they poll, and sleep for 10 ms between attempts.
    """

    @property
    def id(self) -> int:
        """The number by which other interpreters find this queue."""

    def put_nowait(self, item: bytes | tuple[bytes, ...], /) -> None:
        """Add an item."""

    def get_nowait(self) -> object:
        """Take the oldest item, or raise QueueEmpty. None stands for an item whose interpreter was closed."""

    def qsize(self) -> int:
        """Return how many items wait."""


class _DirectQueue:
    """A queue whose `qsize` is a C function: it is called several times for each item."""

    def __init__(self, queue: Queue) -> None:
        self.id = queue.id
        self.put_nowait = queue.put_nowait
        self.get_nowait = queue.get_nowait
        self.qsize = partial(_interpqueues.get_count, queue.id)


class Interpreter(Protocol):
    """The part of an interpreter that Snakepit uses."""

    @property
    def id(self) -> int:
        """The interpreter's number in this process."""

    def prepare_main(self, namespace: dict[str, object], /) -> None:
        """Bind shareable values in the interpreter's `__main__`."""

    def exec(self, code: str, /) -> None:
        """Run code in the interpreter, in the calling thread."""

    def close(self) -> None:
        """End the interpreter; waits for its threads for as long as they live."""


_creating = threading.Lock()  # interpreters are made one after another; many at once have hung and crashed on 3.13
_kept_open: list[Interpreter] = []


def create_interpreter() -> Interpreter:
    """Make an idle interpreter with a GIL of its own (PEP 684), in which daemon threads may be started.

    The public `create()` forbids those, but many libraries start some: Django's ASGI handler does so for requests. In
    return, Snakepit must not close an interpreter while one of them runs (see `snakepit.worker.ending`, and
    `keep_open`).
    """
    with _creating:
        return _create()


def keep_open(interpreter: Interpreter) -> None:
    """Never close an interpreter, because daemon threads run in it: that would abort the process.

    A reference is kept here, since an interpreter is closed when the last reference to it is dropped.
    """
    _kept_open.append(interpreter)


def any_kept_open() -> bool:
    """Return whether some interpreter was kept open; then the process has to end without Python's own clean-up."""
    return bool(_kept_open)


def _create() -> Interpreter:
    config = _interpreters.new_config("isolated", allow_daemon_threads=True)
    # the new interpreter has one reference, which the object takes over (as in the public create())
    interpreter: Interpreter = _api.Interpreter(_interpreters.create(config, reqrefs=True), _ownsref=True)
    return interpreter


def queue_by_id(number: int) -> Queue:
    """Attach to a queue that another interpreter made."""
    return _DirectQueue(_api.Queue(number))


def current_id() -> int:
    """Return the number of the interpreter that this code runs in."""
    return int(_api.get_current().id)


def check_extensions(on: bool) -> None:
    """Make this subinterpreter refuse extension modules that do not support several interpreters, or accept them."""
    vars(_imp)["_override_multi_interp_extensions_check"](
        0 if on else -1
    )  # 0: as the interpreter was configured, and it was configured to check


def stop_tracing_memory() -> bool:
    """Stop tracemalloc's tracing in this process (`PYTHONTRACEMALLOC`, `-X tracemalloc`); returns whether it was on.

    It makes a process with several interpreters hang or crash (CPython issue 134604): its data are shared by all
    interpreters, and refer to objects of interpreters that have been closed. Interpreters can't import it either.
    """
    import _tracemalloc  # not above: this module is for workers, too

    if not _tracemalloc.is_tracing():
        return False
    _tracemalloc.stop()
    return True


def is_main() -> bool:
    """Return whether this code runs in the main interpreter."""
    return bool(_api.get_current().id == _api.get_main().id)


if is_main():
    # before the first interpreter, because the first imports fill tables that all interpreters share, without a lock
    import datetime  # noqa: F401  # on 3.13 two that import it at once corrupt the heap

    try:
        import _ctypes
    except ImportError:  # a Python without libffi
        pass
    else:
        # ctypes fills its table of types; two interpreters that did it at once have failed, and crashed. On 3.14 each
        # further import writes the same table again: this leaves little of the race, but not nothing.
        _first_of_ctypes = type("_FirstOfCtypes", (_ctypes._SimpleCData,), {"_type_": "P"})

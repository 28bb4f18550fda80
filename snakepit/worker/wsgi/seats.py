"""The worker of a WSGI app (PEP 3333): threads, and no event loop.

Each thread is a seat with a channel of its own, and the main interpreter gives an exchange to a free seat: the thread
that the doorbell wakes is the one that runs the app, and nothing is handed over between threads, which costs dearly
under one GIL. What an exchange does is in `snakepit.worker.wsgi.exchange`.

While a quick app has more to do on a seat, its thread keeps the answers and sends them together (`BlockingEnd.keep`).
So they cross in batches, like those of an event loop. The thread may keep a complete response even before the app has
closed its result. A request that takes long does not hold up what is kept: the main interpreter then has the watchdog
send it.

An app may hand its request to threads of its own, and these may read the body while its seat's thread sends the
response. So one thread at a time reads the channel, and what it reads it hands out; the others wait for that
(`WsgiSeat.read`). When the exchange is over, what still wants to read it gets an error. If it is at the channel just
then, it leaves, since the main interpreter says of a request that did not come whole that its client has gone.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, cast
from wsgiref.util import FileWrapper

from snakepit.wire import envelopes
from snakepit.wire.ends import BlockingEnd, attach_blocking
from snakepit.wire.envelopes import ALL, KIND, REQUEST, RETIRE, STOP, Envelope
from snakepit.worker.error_page.choice import error_pages
from snakepit.worker.hangs.wsgi_threads import RunningThreads
from snakepit.worker.wsgi.environ import EnvironFactory, WsgiApp
from snakepit.worker.wsgi.exchange import WsgiExchange

if TYPE_CHECKING:
    from snakepit.wire.settings import WorkerSettings
    from snakepit.worker.error_page.answers import ErrorPages
    from snakepit.worker.hangs.watchdog import Watchdog

KEPT = 0.0005
"""Seconds that answers may be kept while others follow. That is long enough for several answers of a quick app, and
short for their clients."""

_FOR_SEAT = frozenset((REQUEST, RETIRE, STOP))  # kinds; all others belong to an exchange


def serve(app: object, settings: "WorkerSettings", loaded: Envelope, watchdog: "Watchdog") -> Envelope | None:
    """Run the app until this worker is retired; returns why not (never: a WSGI app has no start-up)."""
    environs = EnvironFactory(
        root_path=settings["root_path"],
        mount=settings["mount"],
        multithread=len(settings["channels"]) > 1,
        multiprocess=settings["interpreters"] > 1,
        file_wrapper=FileWrapper,
        errors=sys.stderr,
    )
    ends = [attach_blocking(address) for address in settings["channels"]]
    for end in ends:
        end.released = 0
    pages = error_pages(settings, "wsgi")
    running = RunningThreads([WsgiExchange.call_app.__code__, *(pages.callers if pages is not None else ())], ends)
    watchdog.watch(running)
    same_process = settings["runtime"] != "process"
    first, *others = [WsgiSeat(end, cast("WsgiApp", app), environs, running, same_process, pages) for end in ends]
    try:
        threads = _start_threads(others)
    except BaseException:
        for end in ends:
            end.close()
        raise
    first.end.post(loaded, envelopes.ready(0.0))
    first.run()
    for thread in threads:
        thread.join()
    for seat in (first, *others):
        seat.end.close()
    return None


def _start_threads(seats: "list[WsgiSeat]") -> list[threading.Thread]:
    """Have each seat served by a thread. Raises RuntimeError where the system has too few; none is left then."""
    all_started = threading.Event()
    served = True

    def serve_seat(seat: WsgiSeat) -> None:
        all_started.wait()
        if served:
            seat.run()

    threads: list[threading.Thread] = []
    try:
        for number, seat in enumerate(seats, start=2):
            thread = threading.Thread(target=serve_seat, args=(seat,), name=f"snakepit-seat-{number}")
            thread.start()
            threads.append(thread)
    except BaseException:
        served = False
        raise
    finally:
        all_started.set()
    return threads


class WsgiSeat:
    """One thread's place: takes one exchange after the other off its channel, and runs the app.

    Args:
        same_process: the main interpreter has the same descriptors of files.
        error_pages: makes answers that show exceptions; None: clients get none.
    """

    def __init__(
        self,
        end: BlockingEnd,
        app: WsgiApp,
        environs: EnvironFactory,
        threads: RunningThreads,
        same_process: bool = True,
        error_pages: "ErrorPages | None" = None,
    ) -> None:
        self.end = end
        self.same_process = same_process
        self.error_pages = error_pages
        self.threads = threads
        self.app = app
        self.environs = environs
        self.changed = threading.Condition(threading.Lock())  # something was read, or an exchange is over
        self._being_read = False
        self._exchange: WsgiExchange | None = None  # that is being served
        self._came: deque[Envelope] = deque()  # for the seat itself

    def run(self) -> None:
        """Serve until the worker is retired."""
        alone = True
        while True:
            while self._came:
                envelope = self._came.popleft()
                if envelope[KIND] != REQUEST:  # RETIRE or STOP
                    self.end.release(ALL)
                    return
                self._exchange = exchange = WsgiExchange(self, envelope)
                exchange.run()
                self._exchange = None
                self.end.flush_late(KEPT)
                alone = exchange.is_whole and not self._being_read
            if alone:
                for envelope in self.end.wait():
                    self._hand_out(envelope)
            else:  # a thread of the app may be reading, though what it read for is over
                self.read(lambda: bool(self._came))

    def read(self, enough: Callable[[], object], seconds: float | None = None) -> bool:
        """Read the channel once, or wait until another thread has read what is `enough`.

        Reads for so many seconds at most. Returns whether this thread has read something.
        """
        with self.changed:
            while self._being_read and not enough():
                self.changed.wait()
            if enough():
                return False
            self._being_read = True
        came: list[Envelope] = []
        try:
            came = self.end.wait(seconds)
            return bool(came)
        finally:
            with self.changed:
                self._being_read = False
                for envelope in came:
                    self._hand_out(envelope)
                self.changed.notify_all()

    def look(self) -> None:
        """Read what has come, unless another thread reads anyhow."""
        while not self._being_read and self.read(bool, 0.0):
            pass

    def post(self, *sent: Envelope, large: bool = False) -> None:
        """Send, and wait for room in the channel if the main interpreter is far behind."""
        self.end.post(*sent, large=large)
        while self.end.holds_back:
            self.read(lambda: not self.end.holds_back)

    def _hand_out(self, envelope: Envelope) -> None:
        kind, number, *_ = envelope
        exchange = self._exchange
        if kind == REQUEST and exchange is not None:
            # this thread waits for its client, and it would wait, too
            self.end.post(envelopes.declined(number, envelope))
        elif kind in _FOR_SEAT:
            self._came.append(envelope)
        elif exchange is not None and number == exchange.number:
            exchange.take(envelope)
        # anything else belongs to an exchange that is over

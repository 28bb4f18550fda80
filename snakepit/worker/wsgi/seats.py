"""The worker of a WSGI app (PEP 3333): threads, and no event loop.

Each thread is a seat with a channel of its own, and the main interpreter gives an exchange to a free seat: the thread
that the doorbell wakes is the one that runs the app, and nothing is handed over between threads, which costs dearly
under one GIL. While the app runs, its thread reads the channel only when it has to wait: for more of the request's
body, or for credit to send more of the response; and now and then while it streams, to see the client go.

An app may hand its request to threads of its own, and these may read the body while its seat's thread sends the
response. So one thread at a time reads the channel, and what it reads it hands out; the others wait for that
(`Seat.read`). When the exchange is over, what still wants to read it gets an error. If it is at the channel just then,
it leaves, since the main interpreter says of a request that did not come whole that its client has gone.
"""

import io
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, MutableSequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast
from wsgiref.util import FileWrapper, is_hop_by_hop

from snakepit.errors import ClientDisconnected, LocalProtocolError, WorkerStopping, fault
from snakepit.http.fields import NO_BODY, NONE, of_length, render, wrong_length
from snakepit.wire import envelopes
from snakepit.wire.ends import BlockingEnd, attach_blocking
from snakepit.wire.envelopes import CHUNK, LARGE, WINDOW, Envelope, cost, split
from snakepit.worker.hangs.contract import Seats
from snakepit.worker.wsgi.disconnect import client_disconnected
from snakepit.worker.wsgi.environ import EnvironFactory

if TYPE_CHECKING:
    from snakepit.wire.settings import WorkerSettings
    from snakepit.worker.hangs.watchdog import Watchdog

type Environ = dict[str, Any]
type ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
type WsgiApp = Callable[[Environ, Callable[..., Callable[[bytes], None]]], Iterable[bytes]]


def serve(app: object, settings: "WorkerSettings", loaded: Envelope, watchdog: "Watchdog") -> tuple[str, str] | None:
    """Run the app until this worker is retired; returns why not (never: a WSGI app has no start-up)."""
    environs = EnvironFactory(
        root_path=settings["root_path"],
        multithread=len(settings["channels"]) > 1,
        multiprocess=settings["interpreters"] > 1,
        file_wrapper=FileWrapper,
        errors=sys.stderr,
    )
    ends = [attach_blocking(address) for address in settings["channels"]]
    seats = Seats([Exchange.call_app.__code__])
    watchdog.watch(seats)
    first, *others = [Seat(end, cast("WsgiApp", app), environs, seats) for end in ends]
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


def _start_threads(seats: "list[Seat]") -> list[threading.Thread]:
    """Have each seat served by a thread. Raises RuntimeError where the system has too few; none is left then."""
    all_started = threading.Event()
    served = True

    def serve_seat(seat: Seat) -> None:
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


LOOK = 0.05
"""Seconds between looks at the channel while a response is streamed: so late at most, and at its next piece, an endless
stream ends when its client has left."""


class Seat:
    """One thread's place: takes one exchange after the other off its channel, and runs the app."""

    def __init__(self, end: BlockingEnd, app: WsgiApp, environs: EnvironFactory, seats: Seats) -> None:
        self.end = end
        self.seats = seats
        self.app = app
        self.environs = environs
        self.changed = threading.Condition(threading.Lock())  # something was read, or an exchange is over
        self._being_read = False
        self._exchange: Exchange | None = None  # that is being served
        self._came: deque[Envelope] = deque()  # for the seat itself

    def run(self) -> None:
        """Serve until the worker is retired."""
        alone = True
        while True:
            while self._came:
                envelope = self._came.popleft()
                if envelope[0] != envelopes.REQUEST:
                    return  # RETIRE or STOP
                self._exchange = exchange = Exchange(self, envelope)
                exchange.run()
                self._exchange = None
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
        kind, exchange = envelope[0], self._exchange
        if kind == envelopes.REQUEST and exchange is not None:
            self.end.post(
                envelopes.declined(envelope[1], envelope)
            )  # this thread waits for its client, and it would wait, too
        elif kind in (envelopes.REQUEST, envelopes.RETIRE, envelopes.STOP):
            self._came.append(envelope)
        elif exchange is not None and envelope[1] == exchange.number:
            exchange.take(envelope)
        # anything else belongs to an exchange that is over


class Exchange:
    """One request, its response, and what PEP 3333 gives the app for both."""

    def __init__(self, seat: Seat, envelope: Envelope) -> None:
        (_, self.number, method, *_, body, more, expects_continue, _) = envelope
        self.is_whole = not more  # nobody needs the channel to read the request
        self._seat = seat
        self._credit = WINDOW
        self._is_head = method == "HEAD"
        self._status = 0  # as given to start_response
        self._fields = NONE
        self._begun = False  # the response's head has been sent
        self._complete = False
        self._answer: Envelope | None = None  # the whole response, if it leaves together with the news of the end
        self._left: int | None = None  # body bytes that Content-Length still allows for
        self._disconnected = False
        self._over = False  # the app is through with it
        self._looked = math.inf  # when the channel was looked at; inf: not while this is streamed
        self._body: deque[tuple[bytes, bool]] = deque()  # chunks of the request that came while a send had to wait
        stream = io.BufferedReader(Input(self, body, expects_continue), WINDOW) if more else io.BytesIO(body)
        self._environ = seat.environs.make(envelope, stream)

    def run(self) -> None:
        """Call the app and send what it answers."""
        trouble, seats = None, self._seat.seats
        try:
            try:
                seats.enter(self.number)
                self.call_app()
            finally:
                seats.leave(self.number)
        except ClientDisconnected as error:
            if not self._disconnected:
                trouble = fault(error)
        except WorkerStopping:
            seats.leave(self.number)  # if it was raised when the app was just about to return
        except BaseException as error:
            seats.leave(self.number)
            trouble = fault(error)
        if self.is_whole:
            self._over = True
        else:
            with self._seat.changed:
                self._over = True
                self._seat.changed.notify_all()
        self._environ = {}  # whose wsgi.input refers to this exchange, and holds up to WINDOW bytes
        if trouble is None and self._answer is not None:
            self._seat.post(self._answer, large=len(self._answer[4]) > LARGE)
        else:
            self._seat.post(envelopes.done(self.number, trouble))

    def call_app(self) -> None:
        """Call the app and send what it answers, but for an answer that is whole."""
        result = self._seat.app(self._environ, self._start_response)
        if type(result) is list and len(result) == 1 and not self._begun:
            body = bytes(result[0]) if isinstance(result[0], bytes | bytearray | memoryview) else None
            if body is not None and len(body) <= CHUNK:
                self._send(body, False, hold=True)  # not even a close() is left to be done: this is the end
                return
        try:
            if isinstance(result, list | tuple):
                body = b"".join(result)
                self._send(body, False, len(body))
            else:
                is_file = isinstance(result, FileWrapper)
                for data in result:
                    if is_file and self._left is not None:
                        data = data[: self._left]  # PEP 3333, "Optional Platform-Specific File Handling"
                    if data:
                        self._send(data, True)
                    if is_file and self._left == 0:
                        break
                if not self._complete:
                    self._send(b"", False)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _start_response(
        self, status: str, headers: MutableSequence[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        if exc_info is not None:
            try:
                if self._begun and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # breaks the reference cycle through the traceback's frames
        elif self._status:
            raise LocalProtocolError("start_response was called twice without exc_info")
        code = status[:3]
        if len(code) < 3 or not code.isdecimal() or status[3:4] not in ("", " "):
            raise LocalProtocolError(f"the status must look like '200 OK', not {status!r}")
        if int(code) < 200:
            raise LocalProtocolError(f"the status must be from 200 to 999, not {status!r}")
        self._fields = render(
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers if not is_hop_by_hop(name)
        )
        self._left = self._fields[2]
        self._status = int(code)
        return self._write

    def _write(self, data: bytes) -> None:
        self._send(data, True)

    def _send(self, data: bytes, more: bool, length: int | None = None, hold: bool = False) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise LocalProtocolError(f"a body must be bytes, not {type(data).__name__}")
        data = bytes(data)
        if not self._status:
            raise LocalProtocolError("the app sent a body before it called start_response")
        if self._complete:
            if not data:
                return
            raise LocalProtocolError("the app sent more than its Content-Length announces")
        if self._is_head or self._status in NO_BODY:
            self._send_head(more, hold)
            return
        if self._left is not None:
            if not self._begun and (len(data) > self._left or (len(data) < self._left and not more)):
                raise wrong_length(len(data) > self._left)
            self._left -= len(data)
            more = more and self._left > 0  # with the last byte announced, the response is complete
        chunks = split(data)
        last = len(chunks) - 1
        for index, chunk in enumerate(chunks):
            if self._credit <= 0:
                self._wait_until(lambda: self._credit > 0)
            self._credit -= cost(chunk)
            self._put(chunk, more or index < last, length, hold)
        self._complete = not more
        if more:
            self._look()

    def _send_head(self, more: bool, hold: bool) -> None:
        """Send the head, which is all of the response. If the app goes on, it is as if its client had left then."""
        if not self._begun:
            self._put(b"", False, None, hold)
            self._disconnected = more
        self._complete = not more
        if more:
            self._look()

    def _put(self, chunk: bytes, more: bool, length: int | None, hold: bool) -> None:
        if self._begun:
            self._seat.post(envelopes.body(self.number, chunk, more), large=len(chunk) > LARGE)
        elif hold:
            self._begun = True
            self._answer = envelopes.answer(self.number, self._status, self._fields, chunk)
        else:
            self._begun = True
            fields = self._fields if length is None else of_length(self._fields, length)
            self._seat.post(
                envelopes.response(self.number, self._status, fields, chunk, more), large=len(chunk) > LARGE
            )

    def wait_for_body(self) -> tuple[bytes, bool]:
        """The next chunk of the request's body, and whether more follows.

        Raises ClientDisconnected, and ValueError, as a closed file does, when the app is through with the exchange.
        """
        self._wait_until(lambda: self._body)
        return self._body.popleft()

    def give_credit(self, amount: int) -> None:
        """Let the main interpreter send so many more bytes of the request's body."""
        self._seat.post(envelopes.credit(self.number, amount))

    def go_on(self) -> None:
        """Let the client send its body."""
        self._seat.post(envelopes.continue_(self.number))

    def take(self, envelope: Envelope) -> None:
        """Something came for this exchange."""
        if envelope[0] == envelopes.BODY:
            self._body.append((envelope[2], envelope[3]))
        elif envelope[0] == envelopes.CREDIT:
            self._credit += envelope[2]
        elif envelope[0] in (envelopes.DISCONNECT, envelopes.TIMED_OUT):
            self._disconnected = True

    def _wait_until(self, ready: Callable[[], object]) -> None:
        """Raises ClientDisconnected if the client leaves before that, and ValueError if the app returns."""
        while not ready():
            self._check_open()
            self._seat.read(lambda: ready() or self._disconnected or self._over)

    def _look(self) -> None:
        """See whether the client has left, if it is time for that. Raises ClientDisconnected."""
        now = time.monotonic()
        if self._looked == math.inf:
            self._looked = now
        elif now - self._looked >= LOOK:
            self._looked = now
            self._seat.look()
            self._check_open()

    def _check_open(self) -> None:
        if self._over:
            raise ValueError("the request can't be read any more: its response is complete")
        if self._disconnected:
            raise client_disconnected()


class Input(io.RawIOBase):
    """The request's body as it comes: what stands behind `wsgi.input` when not all of it came with the head."""

    def __init__(self, exchange: Exchange, first: bytes, expects_continue: bool) -> None:
        self._exchange = exchange
        self._rest = memoryview(first)
        self._more = True
        self._owed = cost(first)
        self._expects_continue = expects_continue

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what is there; waits only if there is nothing. 0: the body is complete."""
        if not self._rest and self._expects_continue:
            self._exchange.go_on()
        self._expects_continue = False
        while not self._rest and self._more:
            data, self._more = self._exchange.wait_for_body()
            self._rest = memoryview(data)
            self._owed += cost(data)
        if self._owed >= WINDOW // 2 and self._more:
            self._exchange.give_credit(self._owed)
            self._owed = 0
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

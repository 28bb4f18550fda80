"""One request of a WSGI app, its response, and what PEP 3333 gives the app for both.

While the app runs, its thread reads the channel only when it has to wait: for more of the request's body, or for credit
to send more of the response; and now and then while it streams, to see the client go.
"""

import io
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, MutableSequence
from typing import TYPE_CHECKING, ClassVar, Protocol
from wsgiref.util import FileWrapper, is_hop_by_hop

from snakepit.errors import ClientDisconnected, Interrupted, LocalProtocolError, WorkerStopping, fault
from snakepit.http.fields import NO_BODY, NONE, of_length, render, wrong_length
from snakepit.wire import envelopes
from snakepit.wire.ends import BlockingEnd
from snakepit.wire.envelopes import CHUNK, LARGE, WINDOW, Envelope, cost
from snakepit.worker.hangs.wsgi_threads import RunningThreads
from snakepit.worker.wsgi.disconnect import client_disconnected
from snakepit.worker.wsgi.environ import EnvironFactory, ExcInfo, WsgiApp
from snakepit.worker.wsgi.files import file_behind, path_of
from snakepit.worker.wsgi.input import Input

if TYPE_CHECKING:
    from snakepit.worker.error_page.answers import ErrorPages

LOOK = 0.05
"""Seconds between looks at the channel while a response is streamed: so late at most, and at its next piece, an endless
stream ends when its client has left."""


READ_HERE = WINDOW
"""Bytes; what has no more of them, the worker reads from a file at once: it can send that without waiting for the
client, and this costs less than to have the main interpreter send it and to wait for that."""


class ExchangeSeat(Protocol):
    """The seat that serves an exchange.

    `changed`: something was read, or an exchange is over. `same_process`: the main interpreter has its descriptors.
    """

    end: BlockingEnd
    app: WsgiApp
    environs: EnvironFactory
    threads: RunningThreads
    changed: threading.Condition
    same_process: bool
    error_pages: "ErrorPages | None"

    def read(self, enough: Callable[[], object], seconds: float | None = None) -> bool:
        """Read the channel once, or wait until another thread has read what is `enough`."""

    def look(self) -> None:
        """Read what has come, unless another thread reads anyhow."""

    def post(self, *sent: Envelope, large: bool = False) -> None:
        """Send, and wait for room in the channel if the main interpreter is far behind."""


class WsgiExchange:
    """One request, its response, and what PEP 3333 gives the app for both."""

    def __init__(self, seat: ExchangeSeat, envelope: Envelope) -> None:
        (_, self.number, method, *_, body, more, expects_continue, _, _) = envelope
        self.is_whole = not more  # the channel is not needed to read the request
        self._seat = seat
        self._credit = WINDOW
        self._is_head = method == "HEAD"
        self._status = 0  # as given to start_response
        self._fields = NONE
        self._begun = False  # the response's head has been sent
        self._complete = False
        self._answer: bytes | None = None  # the response's body, if all of it leaves together with the news of the end
        self._kept: Envelope | None = None  # the RESPONSE, if it is complete and the seat keeps it
        self._left: int | None = None  # body bytes that Content-Length still allows for
        self._disconnected = False
        self._over = False  # the app is through with it
        self._looked = math.inf  # when the channel was looked at; inf: not while this is streamed
        self._file_sent: bool | None = None  # whether the main interpreter has sent the file; None: that is not known
        self._body: deque[tuple[bytes, bool]] = deque()  # chunks of the request that came while a send had to wait
        stream = io.BufferedReader(Input(self, body, expects_continue), WINDOW) if more else io.BytesIO(body)
        self._environ = seat.environs.make(envelope, stream)

    def run(self) -> None:
        """Call the app and send what it answers."""
        trouble, threads = None, self._seat.threads
        try:
            try:
                threads.enter(self.number)
                self.call_app()
            finally:
                threads.leave(self.number)
        except ClientDisconnected as error:
            if not self._disconnected:
                trouble = fault(error)
        except WorkerStopping:
            threads.leave(self.number)  # if it was raised when the app was just about to return
        except BaseException as error:
            threads.leave(self.number)
            trouble = fault(error)
            if self._seat.error_pages is not None:
                self._show(error, self._seat.error_pages)
        if self.is_whole:
            self._over = True
        else:
            with self._seat.changed:
                self._over = True
                self._seat.changed.notify_all()
        self._environ = {}  # whose wsgi.input refers to this exchange, and holds up to WINDOW bytes
        if trouble is None and self._complete and self._end_with_answer():
            return
        self._seat.post(envelopes.done(self.number, trouble))

    def _show(self, error: BaseException, pages: "ErrorPages") -> None:
        """Send an answer that shows what the app has raised, unless another has begun."""
        if self._begun or self._disconnected or issubclass(type(error), Interrupted):
            return
        threads, made = self._seat.threads, None
        try:
            try:
                threads.enter(self.number)  # since it calls the app's code, which may hang
                made = pages.for_environ(error, self._environ, self._is_head)
            finally:
                threads.leave(self.number)
        except Interrupted:
            threads.leave(self.number)
        if made is not None:
            fields, body = made
            self._seat.post(envelopes.response(self.number, 500, fields, body, False), large=len(body) > LARGE)

    def _end_with_answer(self) -> bool:
        """Send the response and the news of the end as one, if the response is still here; returns whether it was."""
        if self._answer is not None:
            answer = envelopes.answer(self.number, self._status, self._fields, self._answer)
            large = len(self._answer) > LARGE
            if large or not self.is_whole or not self._seat.end.keep(answer):
                self._seat.post(answer, large=large)
            return True
        if self._kept is None:
            return False
        _, number, status, fields, body, _ = self._kept
        return self._seat.end.replace(self._kept, envelopes.answer(number, status, fields, body))

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
            elif type(result) is not FileWrapper or not self._send_file(result):
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
        if (
            not status.isprintable()
        ):  # the reason is not sent, but an app that lets a client write it has to learn of it
            raise LocalProtocolError(f"the app sent an illegal response: control characters in the status {status!r}")
        if int(code) < 200:
            raise LocalProtocolError(f"the status must be from 200 to 999, not {status!r}")
        self._fields = render(
            [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers if not is_hop_by_hop(name)]
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
        chunks: Iterable[bytes] = (data,)
        last = 0
        if len(data) > CHUNK:  # one after the other: a copy of all of it would stay while its client is waited for
            chunks, last = (data[at : at + CHUNK] for at in range(0, len(data), CHUNK)), (len(data) - 1) // CHUNK
        for index, chunk in enumerate(chunks):
            if self._credit <= 0:
                self._wait_until(lambda: self._credit > 0)
            self._credit -= cost(chunk)
            self._put(chunk, more or index < last, length, hold)
        self._complete = not more
        if more:
            self._look()

    def _send_file(self, wrapper: FileWrapper) -> bool:
        """Send what is left of the file behind a wrapper; returns whether that was the response.

        Otherwise what remains of it is to be read from the wrapper.
        """
        if not self._status or self._begun:
            return False
        if self._is_head or self._status in NO_BODY:
            self._send(b"", False)
            return True
        file = file_behind(wrapper.filelike)
        if file is None or file.size < (self._left or 0):
            return False
        size = file.size if self._left is None else self._left
        if size <= READ_HERE:
            data = wrapper.filelike.read(size)
            whole = len(data) == size
            if data or whole:
                self._send(data, not whole, size if whole else None)
            return whole
        source = file.descriptor if self._seat.same_process else path_of(file)
        if source is None:
            return False
        part = source, file.device, file.inode, file.start, file.start + size
        self._begun = True
        self._seat.post(envelopes.file(self.number, self._status, self._fields, part))
        self._wait_until(lambda: self._file_sent is not None)
        self._begun = self._complete = self._file_sent is True
        return self._complete

    def _send_head(self, more: bool, hold: bool) -> None:
        """Send the head, which is all of the response. If the app goes on, it is as if its client had left then."""
        if not self._begun:
            self._put(b"", False, None, hold)
            self._disconnected = more
        self._complete = not more
        if more:
            self._look()

    def _put(self, chunk: bytes, more: bool, length: int | None, hold: bool) -> None:
        large = len(chunk) > LARGE
        if self._begun:
            self._seat.post(envelopes.body(self.number, chunk, more), large=large)
        elif hold:
            self._begun = True
            self._answer = chunk
        else:
            self._begun = True
            fields = self._fields if length is None else of_length(self._fields, length)
            response = envelopes.response(self.number, self._status, fields, chunk, more)
            if not more and self.is_whole and not large and self._seat.end.keep(response):
                self._kept = response
            else:
                self._seat.post(response, large=large)

    def wait_for_body(self) -> tuple[bytes, bool]:
        """Wait for the next chunk of the request's body; returns it, and whether more follows.

        Raises ClientDisconnected, and ValueError, as a closed file does, when the app is through with the exchange.
        """
        self._wait_until(lambda: self._body)
        return self._body.popleft()

    def give_credit(self, amount: int) -> None:
        """Let the main interpreter send so many more bytes of the request's body."""
        self._seat.post(envelopes.credit(self.number, amount))

    def send_continue(self) -> None:
        """Let the client send its body."""
        self._seat.post(envelopes.continue_(self.number))

    def take(self, envelope: Envelope) -> None:
        """Take in what came for this exchange."""
        kind, _, *fields = envelope
        if (tell := self._TOLD_OF.get(kind)) is not None:
            tell(self, *fields)

    def _on_body(self, data: bytes, more: bool) -> None:
        self._body.append((data, more))

    def _on_credit(self, amount: int) -> None:
        self._credit += amount

    def _on_disconnect(self, stopping: bool = False) -> None:
        self._disconnected = True

    def _on_file_sent(self) -> None:
        self._file_sent = True

    def _on_file_refused(self) -> None:
        self._file_sent = False

    def _wait_until(self, ready: Callable[[], object]) -> None:
        """Wait until something is so.

        Raises ClientDisconnected if the client leaves before that, and ValueError if the app returns.
        """
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

    _TOLD_OF: ClassVar[dict[int, Callable[..., None]]] = {
        envelopes.BODY: _on_body,
        envelopes.CREDIT: _on_credit,
        envelopes.DISCONNECT: _on_disconnect,
        envelopes.TIMED_OUT: _on_disconnect,
        envelopes.FILE_SENT: _on_file_sent,
        envelopes.FILE_REFUSED: _on_file_refused,
    }
    """By kind: what takes the fields of an envelope for this exchange."""

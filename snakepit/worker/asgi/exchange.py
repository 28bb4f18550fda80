"""One request of an ASGI app and its response: the app's `receive` and `send` (ASGI specification 3.0, HTTP 2.3).

A client that leaves is no fault of the app's, and none of its business: `receive` tells whoever asks, and `send` does
nothing from then on, so the app ends as it would have, commits what it has done, and runs what it does afterwards. That
is what other servers do, and why HTTP 2.3 is announced: since 2.4 `send` has to raise. A response that goes on and on,
to nobody, is cut (see ENDLESS). A response that has no body, such as one to HEAD, is complete with its head: if the
app goes on with it, its client is taken to have left.

A response's head waits for the first of the body, to leave together with it, but not for long: who opens an event
stream wants to know that it is open, though nothing may happen there for hours. A response that is complete waits for
the app to return, to leave as one envelope (ANSWER), but not past the turn of the loop. So an app that answers without
waiting for anything costs one envelope, and nothing is called later; whatever else happens makes what it needs then.
"""

import asyncio
import math
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import unquote

from snakepit.errors import ClientDisconnected, Interrupted, LocalProtocolError, WorkerStopping, fault
from snakepit.http.fields import NONE, of_length, wrong_length
from snakepit.http.target import origin_form
from snakepit.wire import envelopes
from snakepit.wire.envelopes import ANSWER, CHUNK, LARGE, WINDOW, Envelope, cost, split
from snakepit.worker.asgi.heads import NOTHING, Head, as_bytes, head_of
from snakepit.worker.asgi.lifespan import Message
from snakepit.worker.hangs.asgi_tasks import CURRENT_EXCHANGE

if TYPE_CHECKING:
    from snakepit.worker.asgi.host import ExchangeHost
    from snakepit.worker.error_page.answers import ErrorPages

_DISCONNECT = "http.disconnect"

START: Final = "http.response.start"
BODY: Final = "http.response.body"
FILE: Final = "http.response.pathsend"
COMPLETE: Final = object()
GONE: Final = object()
"""What is expected of the app next: one of these messages; nothing, since its response is complete; or nothing, since
the client has left."""

_ASGI = {"version": "3.0", "spec_version": "2.3"}

_SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": None,
    "http_version": "",
    "method": "",
    "scheme": "",
    "path": "",
    "raw_path": b"",
    "query_string": b"",
    "root_path": "",
    "headers": (),
    "client": None,
    "server": None,
    "state": None,
}
"""All keys of a scope. To copy it and replace values takes less time than to make a new dict of that size. What an app
could change in place has to be made for each request."""

ENDLESS = 5.0, 16 * 1024 * 1024
"""Seconds after a client has left, and bytes that were sent to it since then, past which a response is taken for one
without an end, and its task cancelled: events, a camera, the lines of a log. What has an end comes to it in less."""

HEAD_TURNS = 3
"""Turns of the loop for which a head waits for the first of the body. Most apps send both in one turn; a middleware
that hands messages from task to task, such as Starlette's BaseHTTPMiddleware, takes a turn or two more."""


class AsgiExchange:
    """One request, its response, and the app's `receive` and `send` for both."""

    # While it runs on after its first step. After that it would be a cycle wherever the app has put the request into a
    # context variable.
    task: asyncio.Task[None] | None = None

    # Defaults are only for what most exchanges neither read nor set: both take longer where there is one.
    _chunks: tuple[bytes, ...] = (b"",)  # of the request's body; they have come, and wait for the app
    _more = _expects_continue = False  # of the body is to come; the client waits for the app to read
    _owed = 0  # request bytes that the app has read and the main interpreter got no credit for
    _credit = WINDOW
    _turns_left = 0  # for which a head may still wait; 0: `_look` will not be called
    _disconnected = _timed_out = False
    _left = 0.0, 0  # when the client left, and bytes that were sent to it since
    _waiters: Sequence[asyncio.Future[None]] = ()

    def __init__(self, worker: "ExchangeHost[AsgiExchange]", envelope: Envelope) -> None:
        (
            _,
            self.number,
            method,
            target,
            http_version,
            headers,
            client,
            server,
            scheme,
            body,
            more,
            expects_continue,
            root_path,
            tls,
        ) = envelope
        self._worker = worker
        self._expected: object = START
        self._head: Head | None = None  # of a response whose first envelope has not been posted
        self._answer: Envelope | None = None  # a complete response that has not been posted
        self._answer_is_large = False  # its body is LARGE
        self._has_waited = False  # the app, for whatever it may be
        self._is_head = method == "HEAD"
        if body or more:
            self._chunks = (body,) if body else ()
            self._more, self._expects_continue = more, expects_continue
        if not target.startswith(b"/"):
            target = origin_form(target)
        raw_path, _, query_string = target.partition(b"?")
        path = raw_path.decode("ascii", "replace")
        if "%" in path:
            path = unquote(path)
        if root_path is None:
            root_path = worker.root_path
        self.scope = scope = _SCOPE.copy()
        if root_path:
            path, raw_path = root_path + path, root_path.encode() + raw_path
            scope["root_path"] = root_path
        if worker.mount:
            scope["root_path"] = root_path + worker.mount
        scope["asgi"] = _ASGI.copy()
        scope["http_version"] = http_version
        scope["method"] = method
        scope["scheme"] = scheme
        scope["path"] = path
        scope["raw_path"] = raw_path
        scope["query_string"] = query_string
        scope["headers"] = headers.copy()  # requests that crossed together, and say the same, have one list
        scope["client"] = client
        scope["server"] = server
        scope["state"] = worker.state.copy()
        if worker.app_sends_files:
            scope["extensions"] = {FILE: {}}
        if tls is not None:
            scope.setdefault("extensions", {})["tls"] = tls[0]

    async def run(self) -> None:
        """Call the app and say how it ended."""
        worker = self._worker
        trouble = None
        try:
            if worker.may_time_out:
                CURRENT_EXCHANGE.set(self.number)
            await worker.app(self.scope, self.receive, self.send)
            if self._answer is None:
                trouble = self._unfinished()
        except BaseException as error:
            trouble = self._trouble(error)
            if worker.error_pages is not None and trouble is not None:
                self._show(error, worker.error_pages)
        finally:
            answer = self._answer
            if answer is None or trouble is not None:
                self._post_done(trouble)
            else:
                self._answer = None
                worker.end.post(answer, self._answer_is_large)
            if self._has_waited:
                worker.finished(self)

    def goes_on(self, task: asyncio.Task[None]) -> None:
        """Note that the app waits for something, and goes on in this task in a later turn."""
        self.task = task
        self._has_waited = True
        if self._answer is not None:
            self._send_response()
        elif self._head is not None:
            self._look_later()

    def _trouble(self, error: BaseException) -> str | None:
        """Return the fault for what the app has raised; None if the app is not at fault."""
        kind = type(error)  # isinstance() would ask the app's own class, which may raise
        if issubclass(kind, asyncio.CancelledError) and not self._timed_out:
            return None if self._worker.stopping or self._disconnected else "the request's task was cancelled"
        if issubclass(kind, WorkerStopping) or (self._disconnected and issubclass(kind, ClientDisconnected)):
            return None
        return fault(error)

    def _show(self, error: BaseException, pages: "ErrorPages") -> None:
        """Make an answer that shows what the app has raised, unless another has begun to leave.

        What frameworks answer by themselves before they raise the exception again gives way, an answer of the app's own
        making does not.
        """
        if not self._may_be_replaced or self._disconnected or issubclass(type(error), Interrupted):
            return
        made = pages.for_scope(error, self.scope, self._is_head)
        if made is not None:
            self._head, self._expected = None, COMPLETE
            self._answer = envelopes.answer(self.number, 500, *made)
            self._answer_is_large = len(made[1]) > LARGE

    @property
    def _may_be_replaced(self) -> bool:
        """Whether nothing of an answer has left, and it is no more than what Starlette makes of any exception."""
        if self._answer is None:
            return self._expected is START or (self._expected is BODY and self._head is not None)
        _, _, status, _, body = self._answer
        return status == 500 and body in (b"Internal Server Error", b"")  # empty: to HEAD

    def _unfinished(self) -> str | None:
        """Tell what the app, which has returned, has left undone."""
        if self._expected is COMPLETE or self._disconnected:
            return None
        has_started = self._expected == BODY and self._head is None
        return f"the app returned without {'completing its' if has_started else 'starting a'} response"

    def _post_done(self, trouble: str | None) -> None:
        if self._answer is not None:
            self._send_response()
        self._worker.end.post(envelopes.done(self.number, trouble, self._was_cut_off))

    @property
    def _was_cut_off(self) -> bool:
        """Tell whether the client left before the app had all of its request: what comes of that is no fault."""
        return self._disconnected and self._more and not self._timed_out

    async def receive(self) -> Message:
        """ASGI's `receive`: the body's next chunk, then `http.disconnect` when the client or the response is done."""
        if self._expects_continue:
            self._begin_to_read()
        while not self._chunks:
            if self._disconnected or self._expected is COMPLETE:
                return {"type": _DISCONNECT}
            await self._wait()
        data, *rest = self._chunks
        self._chunks = tuple(rest)
        more = self._more or bool(self._chunks)
        if more:
            self._owed += cost(data)
            if self._owed >= WINDOW // 2:
                self._worker.end.post(envelopes.credit(self.number, self._owed))
                self._owed = 0
        return {"type": "http.request", "body": data, "more_body": more}

    async def send(self, message: Message) -> None:
        """ASGI's `send`. Does nothing once the client has left. Raises LocalProtocolError for what makes no sense."""
        kind = message["type"]
        if kind != self._expected:
            await self._send_unexpected(message)
        elif kind == START:
            self._head = head_of(message, self._is_head)
            self._expected = BODY
            if self._has_waited:
                self._look_later()
        else:
            data, more = message.get("body", b""), message.get("more_body", False)
            if type(data) is not bytes:
                data = as_bytes(data, "a body")
            size, head = len(data), self._head
            if head is not None and not more and size <= LARGE and (head[2] == size or head[2] is None):
                # as `_complete`, without two more calls for each response
                self._expected = COMPLETE
                self._answer = ANSWER, self.number, head[0], head[1], data
                if self._has_waited:
                    self._completed()
            elif head is not None and self._ends_with_head(head, size, more):
                self._complete(head, b"")
                if more:
                    self.disconnect()
            elif size <= CHUNK and self._credit > 0:
                self._send_chunk(data, bool(more))
            else:
                await self._send_chunks(data, bool(more))

    def add_body(self, data: bytes, more: bool) -> None:
        """Add a chunk of the request's body, which came."""
        self._more = more
        self._chunks = (*self._chunks, data)
        self._wake()

    def add_credit(self, amount: int) -> None:
        """Add credit: the client took so many bytes."""
        was_used_up = self._credit <= 0
        self._credit += amount
        if was_used_up and self._credit > 0:
            self._wake()

    def time_out(self) -> None:
        """Cut what the app does: it took too long, and the client has been answered."""
        self._timed_out = True
        self._worker.tasks.cancelled.add(self.number)
        self.cancel()
        self.disconnect()

    def cancel(self) -> None:
        """Cut what the app does for it."""
        if self.task is not None:
            self.task.cancel()

    def disconnect(self, stopping: bool = False) -> None:
        """Note that the client has left, or is to because the server stops, and then nothing more is to be streamed."""
        self._disconnected = True
        if self._expected is not COMPLETE:
            self._expected = GONE
        self._left = -math.inf if stopping else self._worker.loop.time(), 0
        self._wake()

    async def _send_unexpected(self, message: Message) -> None:
        """Send a file, drop a message for a client that has left, and cancel what goes on sending; or raise.

        Raises LocalProtocolError for what makes no sense.
        """
        if message["type"] == FILE and self._expected == BODY:
            await self._send_file(os.fspath(message["path"]))
            return
        if not self._disconnected:
            raise LocalProtocolError(f"{message['type']!r} is not a message that can be sent {self._phase()}")
        if not message.get("more_body"):
            return
        left_at, sent = self._left
        sent += cost(message.get("body", b""))
        self._left = left_at, sent
        seconds, size = ENDLESS
        endless = sent > size or self._worker.loop.time() - left_at > seconds
        if endless:
            self.cancel()
        await asyncio.sleep(0)  # an app that only ever waits for the client would block the loop
        if endless:
            raise asyncio.CancelledError  # in a task that the app has made for this

    async def _send_file(self, path: str) -> None:
        """Have the main interpreter send a file as the body, and wait until it has."""
        head, self._head = self._head, None
        if head is not None and head[2] == NOTHING:
            self._complete(head, b"")
            return
        status, fields = (0, NONE) if head is None else head[:2]
        self._worker.end.post(envelopes.file(self.number, status, fields, str(path)))
        while self._expected == BODY:
            await self._wait()

    def file_sent(self) -> None:
        """Note that the file that is the body has been sent."""
        self._expected = COMPLETE
        self._wake()

    def _phase(self) -> str:
        if self._expected is COMPLETE:
            return "after the response was completed"
        return "within a response" if self._expected == BODY else "before 'http.response.start'"

    def _begin_to_read(self) -> None:
        """Tell the client, which waits for that, to send the request's body, unless that has come all the same."""
        self._expects_continue = False
        if not self._chunks and self._more:
            if self._answer is not None:
                self._send_response()  # in the order in which the app did both
            self._worker.end.post(envelopes.continue_(self.number))
        if self._head is not None and self._has_waited:
            self._look_later()

    def _complete(self, head: Head, data: bytes) -> None:
        """Complete a response of which nothing has been posted: `data` is all of its body."""
        self._expected = COMPLETE
        self._answer = envelopes.answer(self.number, head[0], head[1], data)
        if self._has_waited:
            self._completed()

    def _completed(self) -> None:
        """Note that the response is complete: it leaves in this turn, and who waits for the client gets to know."""
        self._look_later()
        self._wake()

    def _look_later(self) -> None:
        """Call `_look` when this turn of the loop is over."""
        if not self._turns_left:
            self._turns_left = HEAD_TURNS
            self._worker.end.call_at_end_of_turn(self._look)

    def _look(self) -> None:
        """Send what has waited: a complete response, or a head, if that has waited for HEAD_TURNS.

        While a client waits for 100 (Continue), the head waits for the app to read: behind a head it comes too late.
        """
        turns_left, self._turns_left = self._turns_left - 1, 0
        if self.task is None:  # the app has ended, and nothing may follow
            return
        if self._answer is not None:
            self._send_response()
        elif self._head is None or self._expected != BODY or self._expects_continue:
            pass
        elif turns_left:
            self._turns_left = turns_left
            self._worker.end.call_at_end_of_turn(self._look)
        elif self._head[2] == NOTHING:
            self.disconnect()
            self._complete(self._head, b"")
        else:
            self._send_chunk(b"", True)

    def _send_response(self) -> None:
        """Send a complete response, while the app goes on."""
        assert self._answer is not None
        _, _, status, fields, data = self._answer
        self._answer = None
        self._worker.end.post(envelopes.response(self.number, status, fields, data, False), self._answer_is_large)

    def _ends_with_head(self, head: Head, size: int, more: bool) -> bool:
        """Tell whether a head is all of its response, with any body that the app sends.

        Raises LocalProtocolError if it announced another length; then the app may send another head.
        """
        length = head[2]
        if length is not None and length != NOTHING and (length < size or (length > size and not more)):
            self._head, self._expected = None, START
            raise wrong_length(length < size)
        return length == NOTHING

    async def _send_chunks(self, data: bytes, more: bool) -> None:
        chunks = split(data)
        last = len(chunks) - 1
        for index, chunk in enumerate(chunks):
            while self._credit <= 0:
                await self._wait()
                if self._disconnected:
                    return
            self._send_chunk(chunk, more or index < last, len(data) if index < last and not more else None)

    def _send_chunk(self, chunk: bytes, more: bool, length: int | None = None) -> None:
        """Send some of the body, with the head if that has waited; `length`: of all of it, where that is known."""
        head, is_large = self._head, len(chunk) > LARGE
        if head is not None and not more:
            self._answer_is_large = is_large
            self._complete(head, chunk)
            return
        self._credit -= cost(chunk)
        if head is None:
            envelope = envelopes.body(self.number, chunk, more)
        else:
            self._head = None
            status, fields, _ = head
            if length is not None:
                fields = of_length(fields, length)
            envelope = envelopes.response(self.number, status, fields, chunk, True)
        self._worker.end.post(envelope, is_large)
        if not more:
            self._expected = COMPLETE
            self._wake()

    async def _wait(self) -> None:
        """Wait for news of the client: an app may in several tasks at once, one that streams, one that listens."""
        waiter: asyncio.Future[None] = self._worker.loop.create_future()
        self._has_waited = True
        self._waiters = [*self._waiters, waiter]
        try:
            await waiter
        finally:
            self._waiters = [other for other in self._waiters if other is not waiter]

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    TOLD_OF: ClassVar[dict[int, Callable[..., None]]] = {
        envelopes.BODY: add_body,
        envelopes.CREDIT: add_credit,
        envelopes.DISCONNECT: disconnect,
        envelopes.FILE_SENT: file_sent,
        envelopes.TIMED_OUT: time_out,
    }
    """By kind: what takes the fields of an envelope for this exchange."""

"""One request of an ASGI app and its response: the app's `receive` and `send` (ASGI specification 3.0, HTTP 2.3).

A client that leaves is no fault of the app's, and none of its business: `receive` tells whoever asks, and `send` does
nothing from then on, so the app ends as it would have, commits what it has done, and runs what it does afterwards. That
is what other servers do, and why HTTP 2.3 is announced: since 2.4 `send` has to raise. A response that goes on and on,
to nobody, is cut (see ENDLESS). A response that has no body, such as one to HEAD, is complete with its head: if the
app goes on with it, its client is taken to have left.

A response's head waits for the first of the body, to leave together with it, but not for long: who opens an event
stream wants to know that it is open, though nothing may happen there for hours.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from urllib.parse import unquote

from snakepit.errors import ClientDisconnected, LocalProtocolError, WorkerStopping, fault
from snakepit.http.fields import NO_BODY, Fields, of_length, render, wrong_length
from snakepit.http.target import split_target
from snakepit.wire import envelopes
from snakepit.wire.envelopes import CHUNK, LARGE, WINDOW, Envelope, cost, split
from snakepit.worker.asgi.lifespan import AsgiApp, Lifespan, Message
from snakepit.worker.hangs.asgi_tasks import CURRENT_EXCHANGE, RunningTasks

if TYPE_CHECKING:
    from snakepit.http.types import Headers
    from snakepit.wire.loop_ends import WorkerLoopEnd

_ASGI = {"version": "3.0", "spec_version": "2.3"}
_DISCONNECT = "http.disconnect"

ENDLESS = 5.0, 16 * 1024 * 1024
"""Seconds after a client has left, and bytes that were sent to it since then, past which a response is taken for one
without an end, and its task cancelled: events, a camera, the lines of a log. What has an end comes to it in less."""

HEAD_TURNS = 3
"""Turns of the loop for which a head waits for the first of the body. Most apps send both in one turn; a middleware
that hands messages from task to task, such as Starlette's BaseHTTPMiddleware, takes a turn or two more."""


class ExchangeHost(Protocol):
    """The worker, as an exchange needs it."""

    app: AsgiApp
    end: "WorkerLoopEnd"
    lifespan: Lifespan
    loop: asyncio.AbstractEventLoop
    may_time_out: bool
    root_path: str
    stopping: bool
    tasks: RunningTasks
    ws_max_queue: int

    def finished(self, exchange: "AsgiExchange") -> None:
        """Note that the task of an exchange is over."""


class AsgiExchange:
    """One request, its response, and the app's `receive` and `send` for both."""

    # While it runs. After that it would be a cycle wherever the app has put the request into a context variable.
    task: asyncio.Task[None] | None = None

    # What most exchanges never change is not made for each.
    _owed = 0  # request bytes that the app has read and the main interpreter got no credit for
    _credit = WINDOW
    _start: tuple[int, Fields] | None = None  # held until the first of the body, to leave together with it
    _started = _complete = _disconnected = _timed_out = False
    _left_at, _to_nobody = 0.0, 0
    _waiters: Sequence[asyncio.Future[None]] = ()

    def __init__(self, worker: ExchangeHost, envelope: Envelope) -> None:
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
            self._more,  # of the request's body is to come
            self._expects_continue,
            root_path,
        ) = envelope
        self._worker = worker
        self._is_head = method == "HEAD"
        self._chunks: deque[bytes] = deque((body,)) if body or not self._more else deque()
        raw_path, query_string = split_target(target)
        path = raw_path.decode("ascii", "replace")
        if "%" in path:
            path = unquote(path)
        if root_path is None:
            root_path = worker.root_path
        if root_path:
            path, raw_path = root_path + path, root_path.encode() + raw_path
        self.scope: Message = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": http_version,
            "method": method,
            "scheme": scheme,
            "path": path,
            "raw_path": raw_path,
            "query_string": query_string,
            "root_path": root_path,
            "headers": headers,
            "client": client,
            "server": server,
            "state": worker.lifespan.state.copy(),
        }

    async def run(self) -> None:
        """Call the app and say how it ended."""
        trouble = None
        try:
            if self._worker.may_time_out:
                CURRENT_EXCHANGE.set(self.number)
            await self._worker.app(self.scope, self.receive, self.send)
            if not self._complete:
                trouble = self._unfinished()
        except asyncio.CancelledError as error:
            if self._timed_out:
                trouble = fault(error)
            elif not (self._worker.stopping or self._disconnected):
                trouble = "the request's task was cancelled"
        except WorkerStopping:
            pass
        except BaseException as error:
            if not (self._disconnected and isinstance(error, ClientDisconnected)):  # let through: not a fault
                trouble = fault(error)
        finally:
            self._post_done(trouble)
            self._worker.finished(self)

    def goes_on(self, task: asyncio.Task[None]) -> None:
        """Note that the app has not returned within the turn in which the request came."""
        self.task = task
        self._send_head_soon()

    def _unfinished(self) -> str | None:
        """Tell what the app, which has returned, has left undone."""
        if self._disconnected:
            return None
        return f"the app returned without {'completing its' if self._started else 'starting a'} response"

    def _post_done(self, trouble: str | None) -> None:
        end = self._worker.end
        if trouble is None and self._complete:
            end.post_done(self.number)
        else:
            end.post(envelopes.done(self.number, trouble, self._was_cut_off))

    @property
    def _was_cut_off(self) -> bool:
        """Tell whether the client left before the app had all of its request: what comes of that is no fault."""
        return self._disconnected and self._more and not self._timed_out

    async def receive(self) -> Message:
        """ASGI's `receive`: the body's next chunk, then `http.disconnect` when the client or the response is done."""
        if self._expects_continue:
            self._expects_continue = False
            if not self._chunks and self._more:
                self._worker.end.post(envelopes.continue_(self.number))
            self._send_head_soon()
        while not self._chunks:
            if self._disconnected or self._complete:
                return {"type": _DISCONNECT}
            await self._wait()
        data = self._chunks.popleft()
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
        if self._disconnected:
            await self._send_to_nobody(message)
        elif kind == "http.response.body" and (self._start is not None or self._started) and not self._complete:
            body, more = _as_bytes(message.get("body", b""), "a body"), bool(message.get("more_body", False))
            if self._start is not None and not self._fits(body, more):
                self._end_with_head(more)
            elif len(body) <= CHUNK and self._credit > 0:
                self._send_chunk(body, more)
            else:
                await self._send_chunks(body, more)
        elif kind == "http.response.start" and self._start is None and not self._started:
            self._start = _checked_start(message)
            if self.task is not None:
                self._worker.loop.call_soon(self._send_head, HEAD_TURNS)
        else:
            raise LocalProtocolError(f"{kind!r} is not a message that can be sent {self._phase()}")

    def add_body(self, data: bytes, more: bool) -> None:
        """Add a chunk of the request's body, which came."""
        self._more = more
        self._chunks.append(data)
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
        self._left_at, self._to_nobody = -math.inf if stopping else self._worker.loop.time(), 0
        self._wake()

    async def _send_to_nobody(self, message: Message) -> None:
        """Drop a message; cancel what goes on sending such."""
        if not message.get("more_body"):
            return
        self._to_nobody += cost(message.get("body", b""))
        seconds, size = ENDLESS
        endless = self._to_nobody > size or self._worker.loop.time() - self._left_at > seconds
        if endless:
            self.cancel()
        await asyncio.sleep(0)  # an app that only ever waits for the client would block the loop
        if endless:
            raise asyncio.CancelledError  # in a task that the app has made for this

    def _phase(self) -> str:
        if self._complete:
            return "after the response was completed"
        return "within a response" if self._started or self._start is not None else "before 'http.response.start'"

    def _send_head_soon(self) -> None:
        if self._start is not None and self.task is not None:
            self._worker.loop.call_soon(self._send_head, HEAD_TURNS)

    def _send_head(self, turns: int) -> None:
        """Send the head alone, unless the first of the body comes within so many turns.

        While a client waits for 100 (Continue), the head waits for the app to read: behind a head it comes too late.
        """
        if self._start is None or self.task is None or self._disconnected or self._expects_continue:
            return
        if turns > 1:
            self._worker.loop.call_soon(self._send_head, turns - 1)
        elif self._is_head or self._start[0] in NO_BODY:
            self._end_with_head(True)
        else:
            self._send_chunk(b"", True)

    def _end_with_head(self, more: bool) -> None:
        """Send a head that is all of its response; `more`: though the app has more to say."""
        self._send_chunk(b"", False)
        if more:
            self.disconnect()

    def _fits(self, body: bytes, more: bool) -> bool:
        """Tell whether the head allows for this, the first of the body; not if it allows for none.

        Raises LocalProtocolError where it announced another length; then another head may be sent.
        """
        assert self._start is not None
        status, (_, _, length) = self._start
        if self._is_head or status in NO_BODY:
            return False
        if length is not None and length != len(body) and (length < len(body) or not more):
            self._start = None
            raise wrong_length(length < len(body))
        return True

    async def _send_chunks(self, body: bytes, more: bool) -> None:
        chunks = split(body)
        last = len(chunks) - 1
        for index, chunk in enumerate(chunks):
            while self._credit <= 0:
                await self._wait()
                if self._disconnected:
                    return
            self._send_chunk(chunk, more or index < last, len(body) if index < last and not more else None)

    def _send_chunk(self, chunk: bytes, more: bool, length: int | None = None) -> None:
        """Send some of the body, behind the head if that was held; `length`: of all of it, where that is known."""
        self._credit -= cost(chunk)
        start = self._start
        if start is None:
            envelope = envelopes.body(self.number, chunk, more)
        else:
            self._start, self._started = None, True
            status, fields = start
            if length is not None:
                fields = of_length(fields, length)
            envelope = envelopes.response(self.number, status, fields, chunk, more)
        self._worker.end.post(envelope, len(chunk) > LARGE)
        if not more:
            self._complete = True
            self._wake()

    async def _wait(self) -> None:
        """Wait for news of the client: an app may in several tasks at once, one that streams, one that listens."""
        waiter: asyncio.Future[None] = self._worker.loop.create_future()
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
        envelopes.TIMED_OUT: time_out,
    }
    """By kind: what takes the fields of an envelope for this exchange."""


def _checked_start(message: Message) -> tuple[int, Fields]:
    """Make builtin types of status and fields: others could not cross, and must fail where the app can see it."""
    status = message.get("status")
    if not isinstance(status, int) or not 200 <= status <= 999:
        raise LocalProtocolError(f"a response's status must be a number from 200 to 999, not {status!r}")
    headers = message.get("headers") or ()
    try:
        if type(headers) is not list:
            headers = list(headers)  # it may be an iterator, and have to be read again
        return int(status), render(headers)
    except (TypeError, ValueError, AttributeError):
        return int(status), render(as_pairs(headers))


def as_pairs(headers: Any) -> "Headers":
    try:
        return [(_as_bytes(name, "a header's name"), _as_bytes(value, "a header's value")) for name, value in headers]
    except (TypeError, ValueError):
        raise LocalProtocolError("a response's headers must be pairs of bytes") from None


def _as_bytes(value: Any, what: str) -> bytes:
    if type(value) is bytes:
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise LocalProtocolError(f"{what} must be bytes, not {type(value).__name__}")

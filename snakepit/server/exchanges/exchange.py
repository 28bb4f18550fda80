"""One request and its response, from the main interpreter's side.

An exchange stands between a connection, which speaks HTTP, and a worker's channel, which speaks envelopes. It knows
neither's insides: it keeps the state (see `snakepit.server.lifecycle`) and the credit of both bodies.

Upstream, `receives_body` turns false when the window is used up, and the connection stops reading until the app has
read. Downstream, credit goes back for what the transport took; while the client is slow nothing goes back, and the
app's send waits.

As long as no worker has it, the exchange holds the envelopes that the worker is to get. When a worker dies before it
began them, they come back and are held again.
"""

from time import monotonic
from typing import Any, Protocol

from snakepit.errors import LocalProtocolError
from snakepit.http.events import RequestHead
from snakepit.http.fields import Fields
from snakepit.http.types import Endpoints, Headers
from snakepit.server.lifecycle import EXCHANGE, ExchangeState, advance
from snakepit.wire import envelopes
from snakepit.wire.envelopes import CHUNK, LARGE, WINDOW, Envelope, cost, split

_HALF = WINDOW // 2  # bytes; credit goes back in portions of this


class EnvelopeSink(Protocol):
    """Where envelopes for a worker go."""

    def post(self, envelope: Envelope, large: bool = False, /) -> None:
        """Send; `large`: its body may be LARGE."""


class Client(Protocol):
    """What an exchange needs of the connection it belongs to."""

    @property
    def writable(self) -> bool:
        """Whether the transport takes more without piling it up."""

    def send_continue(self) -> None:
        """Write 100 (Continue)."""

    def send_response(self, status: int, fields: Fields, body: bytes, more: bool) -> None:
        """Write the response's head and the first of its body. Raises LocalProtocolError."""

    def send_body(self, data: bytes, more: bool) -> None:
        """Write some of the response's body. Raises LocalProtocolError."""

    def send_error(self, status: int, reason: str, headers: Headers) -> None:
        """Answer in the app's stead; where the response has begun, break the connection off."""

    def body_wanted(self) -> None:
        """The request's body may flow again."""

    def report_fault(self, exchange: "Exchange", fault: str, cut_off: bool = False) -> None:
        """Log what went wrong in the app; `cut_off`: because its client left in the middle of the request."""


class RequestClient(Client, Protocol):
    """What an exchange needs of it in the beginning."""

    def endpoints(self, head: RequestHead) -> Endpoints:
        """Where a request comes from, and where it went, as far as can be known."""


class Clock(Protocol):
    """What limits the time until the app begins to answer."""

    def add(self, exchange: "Exchange", /) -> None:
        """Start its time, anew if it runs."""

    def discard(self, exchange: "Exchange", /) -> None:
        """Stop its time."""


class Destination(Protocol):
    """Who answers exchanges: a pool of workers, or what stands before one."""

    @property
    def interface(self) -> str:
        """What the app speaks: "asgi" or "wsgi"."""

    def submit(self, exchange: "Exchange") -> None:
        """Give an exchange to a worker, or let it wait, or answer it."""

    def withdraw(self, exchange: "Exchange") -> None:
        """Forget an exchange that waits in the line."""


class Exchange:
    """See the module. `number` is unique in the process."""

    __slots__ = (
        "_client",
        "_clock",
        "_held",
        "_large",
        "_owed",
        "_upstream",
        "_worker",
        "began",
        "destination",
        "endpoints",
        "head",
        "home",
        "number",
        "request_complete",
        "served_by",
        "state",
        "status",
        "timed_out",
        "waits_for_continue",
        "where",
    )

    def __init__(self, number: int, client: RequestClient, destination: Destination, head: RequestHead) -> None:
        self.number = number
        self.began = monotonic()
        self.head = head
        self.home: Any = None  # the worker that has it, or until then, that had the one before it on its connection
        self.endpoints = client.endpoints(head)
        self.destination = destination
        self.state = ExchangeState.NEW
        self.request_complete = False
        self.served_by = "no worker"  # for the log
        self.status = 0  # of the response, once it has begun
        self.timed_out = False
        self.where = ""  # the app was after that, as a stack
        self._client: Client = client
        self._clock: Clock | None = None  # which runs until the response begins
        self.waits_for_continue = head.expects_continue  # its client holds the body back until it reads 100
        self._held: list[Envelope] = []
        self._large = False  # a body among what a worker gets may be LARGE
        self._owed = 0  # response bytes that the transport took and the worker has not got credit for
        self._upstream = WINDOW
        self._worker: EnvelopeSink | None = None

    def __repr__(self) -> str:
        return f"<Exchange {self.number} {self.head.method} {self.head.target!r} {self.state.name}>"

    @property
    def asked_for(self) -> str:
        """Method and target, for the log."""
        return f"{self.head.method} {self.head.target.decode('latin-1')}"

    @property
    def answered(self) -> bool:
        """Whether the response is complete, or never will be."""
        return self.state in (ExchangeState.ANSWERED, ExchangeState.ABANDONED, ExchangeState.CLOSED)

    @property
    def whole(self) -> bool:
        """Whether a worker gets all of the request as one envelope."""
        return self.request_complete and len(self._held) == 1

    @property
    def receives_body(self) -> bool:
        """Whether there is credit for more of the request's body."""
        return self._upstream > 0

    # -- from the connection -------------------------------------------------------------------------------------

    def add_body(self, data: bytes, more: bool) -> None:
        """Some of the request's body came; not `more`: it is complete."""
        self.request_complete = not more
        if data:
            self.waits_for_continue = False  # the client did not wait
        if self._clock is not None:
            self._clock.add(self)  # the app can't be blamed for what a client takes to send
        if self.answered:
            return
        *chunks, last = split(data)
        self._large = self._large or len(data) > LARGE
        for chunk in chunks:
            self._forward(envelopes.body(self.number, chunk, True))
        self._forward(envelopes.body(self.number, last, more))
        self._upstream -= sum(map(cost, chunks)) + cost(last)

    def begin(self, body: bytes, more: bool) -> None:
        """The head and as much of the body as came with it are there: make the request that the worker will get."""
        head = self.head
        if body or not more:
            self.waits_for_continue = False
        first, rest = (body, b"") if len(body) <= CHUNK else (body[:CHUNK], body[CHUNK:])
        self._upstream -= cost(first)
        self._large = len(first) > LARGE
        client, server, scheme, root_path = self.endpoints
        self._held = [
            envelopes.request(
                self.number,
                head.method,
                head.target,
                head.http_version,
                head.headers,
                client,
                server,
                scheme,
                first,
                more or bool(rest),
                self.waits_for_continue,
                root_path,
            )
        ]
        if rest:
            self.add_body(rest, more)
        self.request_complete = not more

    def client_gone(self, stopping: bool = False) -> None:
        """The client has closed the connection, or was cut off; `stopping`: because the server stops."""
        if self.state is ExchangeState.WAITING:
            self.destination.withdraw(self)
        if self._worker is not None and not self.answered:
            self._worker.post(envelopes.disconnect(self.number, stopping))
            self._to(ExchangeState.ABANDONED)
        elif not self.answered:
            self._to(ExchangeState.CLOSED)

    def stalled(self) -> None:
        """The server stops, and the client does not go on with its request."""
        self.client_gone(stopping=True)
        self._client.send_error(503, "The server is stopping", [])

    def pay(self) -> None:
        """The transport takes data again: give the credit back that was kept."""
        if self._owed and self._worker is not None and self.state is ExchangeState.RESPONDING:
            self._worker.post(envelopes.credit(self.number, self._owed))
            self._owed = 0

    # -- from the pool -------------------------------------------------------------------------------------------

    def wait(self) -> None:
        """Every worker is full; the exchange stands in the line now."""
        self._to(ExchangeState.WAITING)

    def assign(self, worker: EnvelopeSink, name: str) -> None:
        """A worker gets the exchange."""
        self._to(ExchangeState.ASSIGNED)
        self.served_by = name
        self._worker = worker
        for envelope in self._held:
            worker.post(envelope, self._large)
        self._held = []

    def limit(self, clock: Clock) -> None:
        """The worker's time runs from now until the response begins."""
        self._clock = clock
        clock.add(self)

    def time_out(self, seconds: float) -> None:
        """It has not begun in time: answer in the app's stead, and have the worker end what it does."""
        if self._worker is not None:
            self._worker.post(envelopes.timed_out(self.number))
        self.timed_out, self.status = True, 504
        self._to(ExchangeState.ABANDONED)
        self._client.report_fault(self, f"no response after {seconds:g} s; ending it")
        self._client.send_error(504, "The app took too long", [])

    def seen_to(self, where: str, aside: bool) -> None:
        """It had timed out, and the app is being ended here."""
        self.where = where
        if aside:
            self._client.report_fault(self, f"Ending what runs for it in another thread, here:\n{where}")

    def come_back(self, held: list[Envelope]) -> None:
        """The worker died before it began: be as if it had never been assigned."""
        if self.state is ExchangeState.ABANDONED:
            self._to(ExchangeState.CLOSED)
            return
        self._to(ExchangeState.NEW)
        self._worker = None
        self._held = held

    def refuse(self, status: int, reason: str, headers: Headers) -> None:
        """No worker will ever get the exchange."""
        self._to(ExchangeState.CLOSED)
        self._client.send_error(status, reason, headers)

    def answer_instead(self, status: int, fields: Fields, body: bytes) -> None:
        """No worker will get the exchange, and this is its answer."""
        self.served_by = "no worker"
        self.status = status
        self._to(ExchangeState.CLOSED)
        self._client.send_response(status, fields, body, False)

    def respond(self, status: int, fields: Fields, body: bytes, more: bool) -> None:
        """The response's head and the first of its body."""
        if self.state is ExchangeState.ASSIGNED:
            self._to(ExchangeState.RESPONDING)
            self.status = status
            try:
                self._client.send_response(status, fields, body, more)
            except LocalProtocolError as error:
                self._break_off(error)
            else:
                self._sent(body, more)

    def answer(self, status: int, fields: Fields, body: bytes) -> None:
        """The whole response; and the app is through."""
        if self.state is ExchangeState.ASSIGNED:
            self.status = status
            self._leave_worker()
            self._to(ExchangeState.CLOSED)
            try:
                self._client.send_response(status, fields, body, False)
            except LocalProtocolError as error:
                self._client.report_fault(self, str(error))
                self._client.send_error(500, "Internal Server Error", [])
        else:
            self.done(None)

    def respond_body(self, data: bytes, more: bool) -> None:
        """Some more of the response's body."""
        if self.state is ExchangeState.RESPONDING:
            try:
                self._client.send_body(data, more)
            except LocalProtocolError as error:
                self._break_off(error)
            else:
                self._sent(data, more)

    def add_credit(self, amount: int) -> None:
        """The app has read so many bytes of the request's body."""
        was_open = self.receives_body
        self._upstream += amount
        if not was_open and self.receives_body and not self.answered:
            self._client.body_wanted()

    def go_on(self) -> None:
        """The app reads: tell the client to send its body."""
        if self.waits_for_continue and self.state is ExchangeState.ASSIGNED:  # once it is answered, it is too late
            self.waits_for_continue = False
            self._client.send_continue()

    def done(self, fault: str | None, cut_off: bool = False) -> None:
        """The app is through. Without a complete response the client gets 500, or a broken connection.

        `cut_off`: the client left in the middle of its request, and the fault came of that.
        """
        state = self.state
        self._leave_worker()
        self._to(ExchangeState.CLOSED)
        if fault is not None:
            self._client.report_fault(self, fault, cut_off)
        if state in (ExchangeState.ASSIGNED, ExchangeState.RESPONDING):
            self._client.send_error(500, "Internal Server Error", [])

    def lost(self, status: int = 500) -> None:
        """The worker died over it, or hangs (504)."""
        state, self._worker = self.state, None
        self._to(ExchangeState.CLOSED)
        if state in (ExchangeState.ASSIGNED, ExchangeState.RESPONDING):
            self._client.send_error(status, "Internal Server Error" if status == 500 else "The app took too long", [])

    def _leave_worker(self) -> None:
        """The app is through; a thread of its own that still waits for the request's body is to hear of it."""
        worker, self._worker = self._worker, None
        if worker is not None and not self.request_complete and self.state is not ExchangeState.ABANDONED:
            worker.post(envelopes.disconnect(self.number))

    def _forward(self, envelope: Envelope) -> None:
        if self._worker is None:
            self._held.append(envelope)
        else:
            self._worker.post(envelope, self._large)

    def _sent(self, data: bytes | str, more: bool) -> None:
        if self.state is not ExchangeState.RESPONDING:
            return  # the transport found out while writing that the client has gone
        if not more:
            self._to(ExchangeState.ANSWERED)
            return
        self._owed += cost(data)
        if self._owed >= _HALF and self._client.writable:
            self.pay()

    def _break_off(self, error: LocalProtocolError) -> None:
        # To the app it looks as if the client had gone: nothing that it could send now would make sense.
        self._client.report_fault(self, str(error))
        self.client_gone()
        self._client.send_error(500, "Internal Server Error", [])

    def _to(self, state: ExchangeState) -> None:
        self.state = advance(EXCHANGE, self.state, state)
        if self._clock is not None:
            self._clock.discard(self)
            self._clock = None

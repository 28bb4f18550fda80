"""One request and its response, from the main interpreter's side.

An exchange stands between a connection, which speaks HTTP, and a worker's channel, which speaks envelopes. It knows
neither's insides: it keeps the state (see `snakepit.server.lifecycle`) and the credit of both bodies. Nothing here
takes it that a connection has one exchange at a time: what is asked of a client is about this exchange alone.

Upstream, see `snakepit.server.exchanges.request_side`. Downstream, credit goes back for what the transport took; while
the client is slow nothing goes back, and the app's send waits.
"""

from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol

from snakepit.errors import LocalProtocolError
from snakepit.http.events import RequestHead
from snakepit.http.fields import Fields
from snakepit.http.types import AppFile, Endpoints, Headers
from snakepit.server.exchanges.request_side import BodySource, RequestSide, RequestSource
from snakepit.server.exchanges.sink import AnswerKeeper, AnswerKeepers, EnvelopeSink, ResponseDeadlines
from snakepit.server.lifecycle import EXCHANGE, ExchangeState, advance
from snakepit.wire import envelopes
from snakepit.wire.envelopes import LARGE, WINDOW, Envelope, cost

NO_WORKER = "no worker"  # what the log calls the worker of an exchange that none has
_ASSIGNED, _CLOSED = ExchangeState.ASSIGNED, ExchangeState.CLOSED  # looked up once: for each exchange
_HALF = WINDOW // 2  # bytes; credit goes back in portions of this


type OnChange = Callable[[Exchange], object]
"""Called when the client of a response takes more of it, and once when it is over."""


class Client(BodySource, Protocol):
    """The client of an exchange, whatever is spoken with it."""

    @property
    def writable(self) -> bool:
        """Whether the transport takes more without piling it up."""

    def report_fault(self, exchange: "Exchange", fault: str, cut_off: bool = False) -> None:
        """Log what went wrong in the app; `cut_off`: because its client left in the middle of the request."""


class HttpClient(Client, RequestSource, Protocol):
    """The client of a request that has not been answered yet."""

    def endpoints(self, head: RequestHead) -> Endpoints:
        """Return where a request comes from, and where it went, as far as can be known."""

    @property
    def is_trusted(self) -> bool:
        """Whether it is a proxy that may say where a request comes from."""

    def send_response(self, status: int, fields: Fields, body: bytes, more: bool) -> None:
        """Write the response's head and the first of its body. Raises LocalProtocolError."""

    def send_body(self, data: bytes, more: bool) -> None:
        """Write some of the response's body. Raises LocalProtocolError."""

    def hold_little(self) -> None:
        """Take nothing more of a body as soon as any of it waits for the client to read."""

    def send_file(self, exchange: "Exchange", status: int, fields: Fields, file: AppFile) -> OnChange:
        """Begin to send a file."""


class Destination(Protocol):
    """Who answers exchanges: a pool of workers, or what needs none."""

    @property
    def interface(self) -> str:
        """What the app speaks: "asgi" or "wsgi"; empty if there is no app."""

    def submit(self, exchange: "Exchange") -> None:
        """Give an exchange to a worker, or let it wait, or answer it."""

    def withdraw(self, exchange: "Exchange") -> None:
        """Forget an exchange that waits here, or is being answered without a worker: its client has gone."""


class Exchange(RequestSide):
    """One request and its response.

    Args:
        number: unique in the process.
        client: gets the response.
        destination: answers; the exchange tells it when its client goes.
        head: with as much of the body as came with it.
        home: the worker that had the exchange before it on its connection. Once one has this, `home` is that.
    """

    served_by = NO_WORKER
    """The name of the worker that has it, for the log."""
    where: str | None = None
    """The stack at which the app was after it timed out; empty: that is not known yet."""
    # what most exchanges never need is of the class, and not made for each
    request_id = b""
    """Its ID, if it has one."""
    is_logged = True
    """Whether the access log is to have it."""
    keepers: "AnswerKeepers[Exchange] | None" = None
    """What keeps the rest of the answer where the client is slow; None: the app waits for it."""
    _rest: "AnswerKeeper[Exchange] | None" = None  # what keeps it
    _file_is_here = False  # so that the app is through
    _on_writable: OnChange | None = None  # of who answers without a worker
    _owed = 0  # response bytes that the transport took and the worker has not got credit for

    def __init__(
        self, number: int, client: HttpClient, destination: Destination, head: RequestHead, home: Any = None
    ) -> None:
        self.number = number
        self.began = monotonic()
        self.head = head
        self.home = home
        self.endpoints = client.endpoints(head)
        self.destination = destination
        self.request_complete = not head.more
        self._client: Client = client
        self._http: HttpClient = client
        if head.more or head.body:
            self._take_first(head)

    def __repr__(self) -> str:
        return f"<Exchange {self.number} {self.head.method} {self.head.target!r} {self.state.name}>"

    @property
    def asked_for(self) -> str:
        """Method and target, for the log."""
        return f"{self.head.method} {self.head.target.decode('latin-1')}"

    @property
    def timed_out(self) -> bool:
        """Whether the app did not begin to answer in time."""
        return self.where is not None

    # -- from the connection -------------------------------------------------------------------------------------

    def _give_body_up(self, error: OSError) -> None:
        """Answer 500, since the request's body can't be kept: most likely, the disk is full."""
        fault = f"what came of the request's body can't be kept on disk: {error}"
        if self.answered:
            self._client.report_fault(self, fault)
            self._leave_worker()
        else:
            self.break_off(LocalProtocolError(fault))

    def client_gone(self, stopping: bool = False) -> None:
        """Hear that the client has closed the connection, or was cut off; `stopping`: because the server stops."""
        if self.answered:
            return
        if self._worker is not None:
            self._worker.post(envelopes.disconnect(self.number, stopping))
            self._to(ExchangeState.ABANDONED)
        else:
            if self.state is not ExchangeState.NEW and not self._is_kept:
                self.destination.withdraw(self)
            self._to(ExchangeState.CLOSED)

    def error_sent(self, fields: Fields, body: bytes) -> None:
        """Hear what the client got in place of an answer of the app's."""

    def stalled(self) -> None:
        """Hear that the client does not go on with its request, while the server stops."""
        self.client_gone(stopping=True)
        self._http.send_error(503, "The server is stopping", [])

    def return_credit(self) -> None:
        """Let who answers send more, a worker by the credit that was kept: the transport takes data again."""
        if self.state is ExchangeState.RESPONDING:
            if self._on_writable is not None:
                self._on_writable(self)
            else:
                self.let_app_go_on()

    def let_app_go_on(self) -> None:
        """Give the app the credit back that it is owed."""
        if self._owed and self._worker is not None:
            self._worker.post(envelopes.credit(self.number, self._owed))
            self._owed = 0

    # -- from who answers without a worker (server.responders.responder) -----------------------------------------

    def redirect(self, destination: Destination) -> None:
        """Give the exchange to another destination, which answers it in place of the one that it had."""
        self.destination = destination
        destination.submit(self)

    def reply(self, status: int, fields: Fields, body: bytes) -> None:
        """Send the whole answer."""
        self.served_by = NO_WORKER
        self.status = status
        self._to(ExchangeState.CLOSED)
        self._http.send_response(status, fields, body, False)

    def begin_reply(self, status: int, fields: Fields, body: bytes, on_writable: OnChange | None = None) -> bool:
        """Send the head and the first of the body of an answer that goes on; returns whether the client takes more.

        `on_writable`: called when the client takes data again, after it did not, and once when it is over.
        """
        self.served_by = NO_WORKER
        self.status = status
        self._on_writable = on_writable
        self._to(ExchangeState.RESPONDING)
        self._http.send_response(status, fields, body, True)
        return self.state is ExchangeState.RESPONDING and self._client.writable

    def add_to_reply(self, data: bytes, more: bool = True) -> bool:
        """Send some more of it; not `more`: it is complete. Nothing is sent once the client has gone.

        Returns whether the client takes more. If it does not, `on_writable` says when it does.
        """
        if self.state is ExchangeState.RESPONDING:
            try:
                self._http.send_body(data, more)
            except LocalProtocolError as error:
                self.break_off(error)
            else:
                if not more and self.state is ExchangeState.RESPONDING:
                    self._to(ExchangeState.ANSWERED)
                    if self._worker is None:
                        self._to(ExchangeState.CLOSED)
        return self.takes_more

    @property
    def takes_more(self) -> bool:
        """Whether the client of an answer that goes on takes more of it now."""
        return self.state is ExchangeState.RESPONDING and self._client.writable

    # -- from the pool -------------------------------------------------------------------------------------------

    def mark_waiting(self) -> None:
        """Note that the exchange waits, for a worker that has room or for an answer without one."""
        self._to(ExchangeState.WAITING)

    def assigned_to(self, worker: EnvelopeSink, name: str, home: Any = None) -> None:
        """Hand what has come of the request to the worker that gets the exchange."""
        self.home = home
        self.state = _ASSIGNED  # an arrow leads there from NEW and WAITING: it is in no other state here
        self.served_by = name
        self._worker = worker
        large = WINDOW - self._upstream > LARGE  # bytes in all, so that each may be LARGE
        if self._held is None:
            worker.post(self._request(self.head.body, self.head.more), large)
        else:
            for envelope in self._held:
                worker.post(envelope, large)
            self._held = None

    def start_timeout(self, timeout: "ResponseDeadlines[Exchange]") -> None:
        """Limit the worker's time from now until the response begins."""
        self._timeout = timeout
        timeout.add(self)

    def time_out(self, why: str) -> None:
        """Answer in the app's stead, which has not begun in time, and have the worker end what it does; log why."""
        if self._worker is not None:
            self._worker.post(envelopes.timed_out(self.number))
        self.where, self.status = "", 504
        self._to(ExchangeState.ABANDONED)
        self._client.report_fault(self, f"{why}; ending it")
        self._http.send_error(504, "The app took too long", [])

    def interrupted(self, where: str, aside: bool) -> None:
        """Hear that the app is being ended, at this stack, for it timed out; `aside`: in a thread of its own."""
        self.where = where
        if aside:
            self._client.report_fault(self, f"Ending what runs for it in another thread, here:\n{where}")

    def unassign(self, held: list[Envelope]) -> None:
        """Be as if it had never been assigned, with these envelopes: the worker has not begun it."""
        if self.state is ExchangeState.ABANDONED:
            self._to(ExchangeState.CLOSED)
            return
        self._to(ExchangeState.NEW)
        self.served_by = NO_WORKER
        self._worker = None
        self._held = held

    def refuse(self, status: int, reason: str, headers: Headers) -> None:
        """Answer with an error: no worker will ever get the exchange."""
        self.status = status
        self._to(ExchangeState.CLOSED)
        self._http.send_error(status, reason, headers)

    def respond(self, status: int, fields: Fields, body: bytes, more: bool) -> None:
        """Send on the response's head and the first of its body."""
        if self.state is ExchangeState.ASSIGNED:
            self._to(ExchangeState.RESPONDING)
            self.status = status
            if more and self.keepers is not None:
                self._http.hold_little()
            try:
                self._http.send_response(status, fields, body, more)
            except LocalProtocolError as error:
                self.break_off(error)
            else:
                self._sent(body, more)

    def answer(self, status: int, fields: Fields, body: bytes) -> None:
        """Send on the whole response; and the app is through."""
        if self.state is _ASSIGNED:
            self.status = status
            if not self.request_complete or self._body_rest is not None:
                self._leave_worker()
            self.state = _CLOSED
            if self._timeout is not None:
                self._stop_timeout(self._timeout)
            try:
                self._http.send_response(status, fields, body, False)
            except LocalProtocolError as error:
                self.status = 500
                self._client.report_fault(self, str(error))
                self._http.send_error(500, "Internal Server Error", [])
        else:
            self.done(None)

    def respond_body(self, data: bytes, more: bool) -> None:
        """Send on some more of the response's body."""
        if self.state is ExchangeState.RESPONDING:
            if self._rest is not None:
                self._owed += cost(data)
                if self._rest.add(data, more) and self._owed >= _HALF:
                    self.let_app_go_on()
                return
            try:
                self._http.send_body(data, more)
            except LocalProtocolError as error:
                self.break_off(error)
            else:
                self._sent(data, more)

    def respond_file(self, status: int, fields: Fields, file: AppFile) -> None:
        """Have a file sent as the response's body, with this head; status 0: the head has been sent."""
        if self.state in (ExchangeState.ASSIGNED, ExchangeState.RESPONDING):
            self.keepers = None  # what the client does not take yet stays in the file
            self._on_writable = self._http.send_file(self, status, fields, file)

    def has_file(self) -> None:
        """Hear that all of the response's body is here, in a file: the app need not wait until it has been sent."""
        if self._worker is not None and self.state is ExchangeState.RESPONDING and not self._file_is_here:
            self._file_is_here = True
            self._worker.post(envelopes.file_sent(self.number))

    def return_file(self) -> None:
        """Have the worker send a file that the app has open, of which nothing has been sent."""
        self._on_writable = None
        if self._worker is not None and self.state is ExchangeState.ASSIGNED:
            self._worker.post(envelopes.file_refused(self.number))

    def done(self, fault: str | None, cut_off: bool = False) -> None:
        """Hear that the app is through. Without a complete response the client gets 500, or a broken connection.

        `cut_off`: the client left in the middle of its request, and the fault came of that.
        """
        state = self.state
        self._leave_worker()
        if not self._is_kept:
            if state is ExchangeState.ASSIGNED:
                self.status = 500
            self._to(ExchangeState.CLOSED)
        if fault is not None:
            self._client.report_fault(self, fault, cut_off)
        if self._is_kept:
            return
        if state in (ExchangeState.ASSIGNED, ExchangeState.RESPONDING):
            self._http.send_error(500, "Internal Server Error", [])

    def lost(self, status: int = 500) -> None:
        """Hear that the worker died over it, or hangs (504)."""
        state, self._worker = self.state, None
        if self._is_kept:
            return
        if state is ExchangeState.ASSIGNED:
            self.status = status
        self._to(ExchangeState.CLOSED)
        if state in (ExchangeState.ASSIGNED, ExchangeState.RESPONDING):
            self._http.send_error(status, "Internal Server Error" if status == 500 else "The app took too long", [])

    @property
    def _is_kept(self) -> bool:
        """Whether all that is still to come of the answer is here, so that nobody else is needed for it."""
        here = self._file_is_here or (self._rest is not None and self._rest.complete)
        return here and self.state is ExchangeState.RESPONDING

    def _leave_worker(self) -> None:
        """Forget the worker; a thread of the app's own that still waits for the request's body hears of it."""
        worker, self._worker = self._worker, None
        passed_on = self.request_complete and self._body_rest is None
        self._forget_rest()
        if worker is not None and not passed_on and self.state is not ExchangeState.ABANDONED:
            worker.post(envelopes.disconnect(self.number))

    def _sent(self, data: bytes | str, more: bool) -> None:
        if self.state is not ExchangeState.RESPONDING:
            return  # the transport found out while writing that the client has gone
        if not more:
            self._to(ExchangeState.ANSWERED)
            if self._worker is None:
                self._to(ExchangeState.CLOSED)
            return
        self._owed += cost(data)
        if self._client.writable:
            if self._owed >= _HALF:
                self.return_credit()
        elif self.keepers is not None:
            self._rest = self.keepers.keep(self)
            self._on_writable = self._rest.go_on
            self.let_app_go_on()

    def break_off(self, error: LocalProtocolError) -> None:
        """Log an error of the app, and break the response off. To the app it looks as if the client had gone."""
        self._client.report_fault(self, str(error))
        self.status = 500
        self.client_gone()
        self._http.send_error(500, "Internal Server Error", [])

    def _to(self, state: ExchangeState) -> None:
        self.state = advance(EXCHANGE, self.state, state)
        if self._timeout is not None:
            self._stop_timeout(self._timeout)
        if self._body_rest is not None and state > ExchangeState.ANSWERED:  # until then the app may read it
            self._forget_rest()
        if self._on_writable is not None and state > ExchangeState.RESPONDING:
            over, self._on_writable = self._on_writable, None
            told = self._rest is not None or self._file_is_here
            if state is ExchangeState.ANSWERED and self._worker is not None and not told:
                self._worker.post(envelopes.file_sent(self.number))
            over(self)

    def _stop_timeout(self, timeout: "ResponseDeadlines[Exchange]") -> None:
        timeout.discard(self)
        self._timeout = None

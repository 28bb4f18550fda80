"""The request of an exchange: what has come of it, and what of that its worker has got.

`receives_body` turns false when the window is used up, and the connection stops reading until the app has read. As long
as no worker has the exchange, what the worker is to get is held here. When a worker dies before it began, that comes
back and is held again.
"""

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from snakepit.server.lifecycle import ExchangeState
from snakepit.wire import envelopes
from snakepit.wire.envelopes import CHUNK, LARGE, WINDOW, cost, split

if TYPE_CHECKING:
    from snakepit.http.events import RequestHead
    from snakepit.http.types import Endpoints, Headers
    from snakepit.server.exchanges.sink import BodyKeeper, BodyRest, EnvelopeSink, ResponseDeadlines
    from snakepit.wire.envelopes import Envelope


class BodySource(Protocol):
    """The client of an exchange, as far as it sends the request's body."""

    def body_wanted(self) -> None:
        """Let what the client sends flow again."""


class RequestSource(Protocol):
    """The client of a request that has not been answered yet, as far as it sends that."""

    def send_continue(self) -> None:
        """Write 100 (Continue)."""

    def send_error(self, status: int, reason: str, headers: "Headers") -> None:
        """Answer in the app's stead; where the response has begun, break the connection off."""


class RequestSide(ABC):
    """What an exchange does with its request, from the client to the worker."""

    state = ExchangeState.NEW
    status = 0
    """Of the response, once it has begun."""
    waits_for_continue = False
    """Its client holds the body back until it reads 100."""
    # what most exchanges never need is of the class, and not made for each
    body_left: int | None = None
    """Bytes of the request's body that may still come; None: any number."""
    _kept: "BodyKeeper | None" = None  # what keeps the request's body, until it is here
    _body_rest: "BodyRest | None" = None  # of the request's body, which is here, and not passed on yet
    _held: "list[Envelope] | None" = None  # what the worker is to get; None: the request as it came
    _timeout: "ResponseDeadlines[Any] | None" = None  # which runs until the response begins
    _upstream = WINDOW  # bytes of the request's body that it takes
    _worker: "EnvelopeSink | None" = None

    number: int
    head: "RequestHead"
    endpoints: "Endpoints"
    request_complete: bool
    _client: BodySource
    _http: RequestSource

    @property
    def answered(self) -> bool:
        """Whether the response is complete, or never will be."""
        return self.state in (ExchangeState.ANSWERED, ExchangeState.ABANDONED, ExchangeState.CLOSED)

    @abstractmethod
    def client_gone(self, stopping: bool = False) -> None:
        """Hear that the client has closed the connection, or was cut off; `stopping`: because the server stops."""

    @abstractmethod
    def _give_body_up(self, error: OSError) -> None:
        """Answer 500, since the request's body can't be kept: most likely, the disk is full."""

    @abstractmethod
    def _leave_worker(self) -> None:
        """Forget the worker; a thread of the app's own that still waits for the request's body hears of it."""

    @property
    def whole(self) -> bool:
        """Whether a worker gets all of the request as one envelope."""
        return self.request_complete and self._body_rest is None and (self._held is None or len(self._held) == 1)

    @property
    def receives_body(self) -> bool:
        """Whether there is credit for more of the request's body."""
        return self._upstream > 0

    def add_body(self, data: bytes, more: bool) -> None:
        """Take some of the request's body; not `more`: it is complete."""
        self.request_complete = not more
        if data:
            self.waits_for_continue = False  # the client did not wait
        if self._timeout is not None:
            self._timeout.add(self)  # the app can't be blamed for what a client takes to send
        if self.answered:
            return
        if self.body_left is not None:
            self.body_left -= len(data)
            if self.body_left < 0:
                self.status = 413
                self.client_gone()
                self._http.send_error(413, "the request's body is too long", [])
                return
        if self._kept is None:
            self._pass_on(data, more)
            return
        self._upstream -= len(data)
        try:
            done = self._kept.add(data, more)
        except OSError as error:
            self._give_body_up(error)
        else:
            if done:
                self._pass_on_kept(self._kept, more)

    def keep_body(self, kept: "BodyKeeper", most: int | None) -> None:
        """Pass nothing of the request's body on until `kept` has it, and as much as this of it may come (None: all)."""
        self._kept, self._held, self._upstream = kept, None, sys.maxsize if most is None else most
        self.send_continue()

    def add_credit(self, amount: int) -> None:
        """Hear that the app has read so many bytes of the request's body."""
        was_open = self.receives_body
        self._upstream += amount
        if self._body_rest is not None:
            self._pass_on_rest()
        elif not was_open and self.receives_body and not self.answered:
            self._client.body_wanted()

    def send_continue(self) -> None:
        """Tell the client to send its body: the app reads."""
        if self.waits_for_continue and self.state <= ExchangeState.ASSIGNED:  # once it is answered, it is too late
            self.waits_for_continue = False
            self._http.send_continue()

    def _take_first(self, head: "RequestHead") -> None:
        """Take as much of the request's body as came with its head."""
        self.waits_for_continue = head.expects_continue and not head.body and head.more
        first = head.body[:CHUNK]
        self._upstream -= cost(first)
        if len(head.body) > CHUNK:
            self._held = [self._request(first, True)]
            self._pass_on(head.body[CHUNK:], head.more)

    def _pass_on(self, data: bytes, more: bool) -> None:
        *chunks, last = split(data)
        large = len(data) > LARGE
        for chunk in chunks:
            self._forward(envelopes.body(self.number, chunk, True), large)
        self._forward(envelopes.body(self.number, last, more), large)
        self._upstream -= sum(map(cost, chunks)) + cost(last)

    def _forward(self, envelope: "Envelope", large: bool) -> None:
        if self._worker is not None:
            self._worker.post(envelope, large)
        elif self._held is None:
            self._held = [self._request(self.head.body, True), envelope]
        else:
            self._held.append(envelope)

    def _request(self, body: bytes, more: bool) -> "Envelope":
        head = self.head
        client, server, scheme, root_path, tls = self.endpoints
        return envelopes.request(
            self.number,
            head.method,
            head.target,
            head.http_version,
            head.headers,
            client,
            server,
            scheme,
            body,
            more,
            self.waits_for_continue,
            root_path,
            tls,
        )

    def _pass_on_kept(self, kept: "BodyKeeper", more: bool) -> None:
        """Be as if the body had come with the request's head, and go on from there."""
        head = self.head
        head.body, head.more = bytes(kept.data), more or kept.rest is not None
        self._kept, self._body_rest, self._upstream = None, kept.rest, WINDOW
        self._take_first(head)
        self.waits_for_continue = False  # it was told to go on when the body began to be kept
        self._pass_on_rest()
        if not self.answered:
            kept.pass_on()

    def _pass_on_rest(self) -> None:
        """Pass on what is here of the request's body, as far as there is credit."""
        while self._body_rest is not None and self.receives_body:
            try:
                data, more = self._body_rest.read()
            except OSError as error:
                self._give_body_up(error)
                return
            if not more:
                self._body_rest = None
            self._pass_on(data, more)

    def _forget_rest(self) -> None:
        rest, self._body_rest = self._body_rest, None
        if rest is not None:
            rest.close()

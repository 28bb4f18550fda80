"""The life cycles of exchanges, workers and connections, as tables.

Each table says, for every state, which states may follow, and when. `python tools/state_diagrams.py --write` puts the
tables into docs/server-behavior.md, with the meaning of each state and a drawing. `advance` makes a move that is in the
table and refuses all others: a missing arrow is a bug in Snakepit, never bad input. The states are ints so that
look-ups are cheap: an exchange moves four times.

A connection makes two moves of each request by plain assignment, since `advance` would add two calls to every request;
the unit tests check these against the table (`tests/moves.py`). All other moves use `advance`.
"""

from collections.abc import Container, Mapping
from enum import IntEnum, auto

from snakepit.errors import InternalError


class ExchangeState(IntEnum):
    """The states of an exchange, as the main interpreter sees it."""

    NEW = auto()
    """Its head has been read."""
    WAITING = auto()
    """In the queue, since every worker is full; or a responder, which needs no worker, answers it later."""
    ASSIGNED = auto()
    """Given to a worker, which has not answered yet."""
    RESPONDING = auto()
    """The response's head has been written."""
    ANSWERED = auto()
    """The response is complete; the app may still be at work behind it."""
    ABANDONED = auto()
    """The client has gone, was cut off, or got an answer from the server; the app has been told and has not returned
    yet."""
    CLOSED = auto()
    """Finished: neither the app nor the server works on it any more."""


class WorkerState(IntEnum):
    """The states of a worker, as the main interpreter sees it."""

    STARTING = auto()
    """Its interpreter is being created, or imports the app."""
    READY = auto()
    """Its start-up is complete: it gets exchanges."""
    RETIRING = auto()
    """It finishes what it has begun and gets nothing more."""
    FAILED = auto()
    """It could not start."""
    LOST = auto()
    """It ended unasked, or does not answer."""
    ABANDONED = auto()
    """It did not end in time; the server waits for its thread no more."""
    CLOSED = auto()
    """Its interpreter is gone."""


class ConnectionState(IntEnum):
    """The states of a connection that speaks HTTP/1."""

    IDLE = auto()
    """Nothing of a request has come."""
    READING_HEAD = auto()
    """Some of a request's head has come, but not all of it."""
    SERVING = auto()
    """A request is being answered, while the rest of its body is read."""
    DISCARDING = auto()
    """It is answered, and the rest of the request's body is discarded."""
    LINGERING = auto()
    """Our side is closed, and the client gets time to read the answer and to close its own."""
    CLOSED = auto()
    """Closed, once all is written; or it speaks WebSocket from now on."""


class WebSocketState(IntEnum):
    """The states of a connection that speaks WebSocket."""

    OPEN = auto()
    """Messages cross both ways."""
    CLOSING = auto()
    """Our close frame is out, and the client's has not come."""
    BREACHED = auto()
    """The client broke the protocol, and the app gets time to answer what came before."""
    LINGERING = auto()
    """Our side is closed, after our last frame; the client gets time to close its own."""
    CLOSED = auto()
    """Closed, once all is written."""


class TlsState(IntEnum):
    """The states of a connection over TLS, below the protocol that is spoken through it."""

    HELLO = auto()
    """The client has not said yet what it wants."""
    CHOOSING = auto()
    """It waits for its certificate, which is being made."""
    STEPPING = auto()
    """A step of the handshake is being computed."""
    SHAKING = auto()
    """The handshake waits for the client."""
    OPEN = auto()
    """Data cross both ways."""
    HALF_CLOSED = auto()
    """Our side is closed, and what comes is discarded."""
    CLOSED = auto()
    """Closed, once all is written."""


EXCHANGE: Mapping[ExchangeState, Mapping[ExchangeState, str]] = {
    ExchangeState.NEW: {
        ExchangeState.WAITING: "every worker is full, or a responder answers it later",
        ExchangeState.ASSIGNED: "a worker has room",
        ExchangeState.RESPONDING: "a responder begins a response that goes on",
        ExchangeState.CLOSED: "the client has gone, or the server itself answers: by a responder, or since there "
        "is no worker, or no room",
    },
    ExchangeState.WAITING: {
        ExchangeState.ASSIGNED: "a worker has room",
        ExchangeState.RESPONDING: "a responder begins a response that goes on",
        ExchangeState.CLOSED: "it has waited too long, the client has gone, or the server itself answers",
    },
    ExchangeState.ASSIGNED: {
        ExchangeState.NEW: "its worker has not begun it, and is too busy for it, or has ended",
        ExchangeState.RESPONDING: "the response begins",
        ExchangeState.ABANDONED: "the client has gone; or the response does not begin in time, and the client gets 504",
        ExchangeState.CLOSED: "the response comes whole and the app returns; or the app fails, or its worker is lost",
    },
    ExchangeState.RESPONDING: {
        ExchangeState.ANSWERED: "the response ends",
        ExchangeState.ABANDONED: "the client has gone, or the response can't be sent on",
        ExchangeState.CLOSED: "the app fails, its worker is lost, or the client of a responder has gone",
    },
    ExchangeState.ANSWERED: {ExchangeState.CLOSED: "the app returns, or its worker is lost; at once after a responder"},
    ExchangeState.ABANDONED: {ExchangeState.CLOSED: "the app returns, its worker is lost, or had not begun it"},
    ExchangeState.CLOSED: {},
}

WORKER: Mapping[WorkerState, Mapping[WorkerState, str]] = {
    WorkerState.STARTING: {
        WorkerState.READY: "its start-up is completed",
        WorkerState.RETIRING: "it is not wanted any more: a newer one is on its way, or the server stops",
        WorkerState.FAILED: "the import fails, or lifespan start-up does, or they take too long",
        WorkerState.LOST: "it ends without a message, or could not even be created",
        WorkerState.ABANDONED: "it does not end in time",
    },
    WorkerState.READY: {
        WorkerState.RETIRING: "its successor is ready, fewer workers are wanted, or the server stops",
        WorkerState.LOST: "it ends by itself, dies, or misses its heartbeats",
    },
    WorkerState.RETIRING: {
        WorkerState.CLOSED: "it has said goodbye",
        WorkerState.LOST: "it ends without saying goodbye, or dies",
        WorkerState.ABANDONED: "it does not end in time",
    },
    WorkerState.FAILED: {
        WorkerState.CLOSED: "it has ended",
        WorkerState.ABANDONED: "it does not end in time",
    },
    WorkerState.LOST: {
        WorkerState.CLOSED: "it has ended; what it had is answered, or goes to others",
        WorkerState.ABANDONED: "it missed its heartbeats, and may still be there; what it had is answered, or goes to "
        "others",
    },
    WorkerState.ABANDONED: {WorkerState.CLOSED: "it ends after all"},
    WorkerState.CLOSED: {},
}

CONNECTION: Mapping[ConnectionState, Mapping[ConnectionState, str]] = {
    ConnectionState.IDLE: {
        ConnectionState.READING_HEAD: "a request begins to come, or its beginning came with the previous one",
        ConnectionState.SERVING: "a whole head of a request comes",
        ConnectionState.LINGERING: "the request is refused: it can't be served",
        ConnectionState.CLOSED: "no request comes in time, the client has gone, or the server stops",
    },
    ConnectionState.READING_HEAD: {
        ConnectionState.SERVING: "the rest of the head comes",
        ConnectionState.LINGERING: "the request is refused: it can't be served, or its head takes too long",
        ConnectionState.CLOSED: "the client has gone, or the server stops",
    },
    ConnectionState.SERVING: {
        ConnectionState.IDLE: "the answer is complete, and the request was; the connection can carry another",
        ConnectionState.DISCARDING: "the answer is complete, and the request is not",
        ConnectionState.LINGERING: "the answer is complete, and the rest of the request is not wanted; or it is broken",
        ConnectionState.CLOSED: "the answer is complete and was the last, or breaks off; the client has gone; or the "
        "connection speaks WebSocket",
    },
    ConnectionState.DISCARDING: {
        ConnectionState.IDLE: "the request ends",
        ConnectionState.LINGERING: "too much of it comes, or it is broken, or the server stops",
        ConnectionState.CLOSED: "the request ends and was the last, it takes too long, or the client has gone",
    },
    ConnectionState.LINGERING: {
        ConnectionState.CLOSED: "the client has closed its side too, or its time is over, or it sends too much",
    },
    ConnectionState.CLOSED: {},
}

WEBSOCKET: Mapping[WebSocketState, Mapping[WebSocketState, str]] = {
    WebSocketState.OPEN: {
        WebSocketState.CLOSING: "the app or the server closes",
        WebSocketState.BREACHED: "the client breaks the protocol, and the app has not answered all that came before",
        WebSocketState.LINGERING: "the client closes, breaks the protocol, or does not answer a ping",
        WebSocketState.CLOSED: "the client has gone",
    },
    WebSocketState.CLOSING: {
        WebSocketState.LINGERING: "the client's close frame comes, or it breaks the protocol",
        WebSocketState.CLOSED: "the client's time is over, or it has gone",
    },
    WebSocketState.BREACHED: {
        WebSocketState.LINGERING: "the app closes, or its time is over, or the server stops",
        WebSocketState.CLOSED: "the client has gone",
    },
    WebSocketState.LINGERING: {WebSocketState.CLOSED: "the client has closed its side too, or its time is over"},
    WebSocketState.CLOSED: {},
}

TLS: Mapping[TlsState, Mapping[TlsState, str]] = {
    TlsState.HELLO: {
        TlsState.STEPPING: "the ClientHello is there, and there is a certificate",
        TlsState.CHOOSING: "the ClientHello is there, and there is no certificate yet",
        TlsState.HALF_CLOSED: "what comes is not TLS, and gets an answer that says so",
        TlsState.CLOSED: "it takes too long, the client has gone, or the server stops",
    },
    TlsState.CHOOSING: {
        TlsState.STEPPING: "the certificate is there",
        TlsState.CLOSED: "there will be none, it takes too long, or the client has gone",
    },
    TlsState.STEPPING: {
        TlsState.SHAKING: "an answer of the client is needed",
        TlsState.OPEN: "the handshake is complete",
        TlsState.CLOSED: "the handshake fails, it takes too long, or the client has gone",
    },
    TlsState.SHAKING: {
        TlsState.STEPPING: "the client has answered",
        TlsState.CLOSED: "it takes too long, or the client has gone",
    },
    TlsState.OPEN: {
        TlsState.HALF_CLOSED: "the connection above closes its side",
        TlsState.CLOSED: "the connection above closes, the client has closed or gone, or what it sends is damaged",
    },
    TlsState.HALF_CLOSED: {TlsState.CLOSED: "the client has closed its side too, or its time is over"},
    TlsState.CLOSED: {},
}


EXCHANGE_WORDS: Mapping[ExchangeState, str] = {
    ExchangeState.NEW: "waiting",
    ExchangeState.WAITING: "waiting",
    ExchangeState.ASSIGNED: "running",
    ExchangeState.RESPONDING: "responding",
    ExchangeState.ANSWERED: "answered",
    ExchangeState.ABANDONED: "abandoned",
    ExchangeState.CLOSED: "done",
}
"""What commands and the live page call the states of an exchange, also in JSON (docs/how-to/find-what-hangs.md)."""


def advance[S: IntEnum](table: Mapping[S, Container[S]], state: S, to: S) -> S:
    """Return `to` if the table has an arrow from `state` to it; raises InternalError otherwise."""
    if to not in table[state]:
        raise InternalError(f"no way from {state.name} to {to.name}")
    return to

"""The life of an exchange and of a worker, as data.

Each table says, for every state, what may come next, and when; `python tools/state_diagrams.py --write` puts that into
docs/server-behavior.md, with the meaning of each state and a drawing. `advance` moves along an arrow and refuses to
move without one: a missing arrow is a bug of ours, never bad input. The states are ints so that looking one up is
cheap: an exchange moves four times.
"""

from collections.abc import Container, Mapping
from enum import IntEnum, auto

from snakepit.errors import InternalError


class ExchangeState(IntEnum):
    """Where an exchange stands, as the main interpreter sees it."""

    NEW = auto()
    """Its head has been read."""
    WAITING = auto()
    """In the line: every worker is full."""
    ASSIGNED = auto()
    """Given to a worker, which has not answered yet."""
    RESPONDING = auto()
    """The response's head has been written."""
    ANSWERED = auto()
    """The response is complete; the app may still be at work behind it."""
    ABANDONED = auto()
    """The client has gone or was cut off; the app has been told and has not returned yet."""
    CLOSED = auto()
    """Nobody works on it any more."""


class WorkerState(IntEnum):
    """Where a worker stands, as the main interpreter sees it."""

    STARTING = auto()
    """Its interpreter is being made, or imports the app."""
    READY = auto()
    """Start-up was completed: it gets exchanges."""
    RETIRING = auto()
    """It finishes what it has begun and gets nothing more."""
    FAILED = auto()
    """It could not start."""
    LOST = auto()
    """It ended though nobody had asked it to."""
    ABANDONED = auto()
    """It did not end in time; its thread is left to itself."""
    CLOSED = auto()
    """Its interpreter is gone."""


EXCHANGE: Mapping[ExchangeState, Mapping[ExchangeState, str]] = {
    ExchangeState.NEW: {
        ExchangeState.WAITING: "every worker is full",
        ExchangeState.ASSIGNED: "a worker has room",
        ExchangeState.CLOSED: "the client has gone, or the server answers itself: there is no worker, or no room",
    },
    ExchangeState.WAITING: {
        ExchangeState.ASSIGNED: "a worker has room",
        ExchangeState.CLOSED: "it has waited too long, or the client has gone",
    },
    ExchangeState.ASSIGNED: {
        ExchangeState.NEW: "its worker has not begun it, and is too busy for it, or has ended",
        ExchangeState.RESPONDING: "the response begins",
        ExchangeState.ABANDONED: "the client has gone",
        ExchangeState.CLOSED: "the response comes whole and the app returns; or the app fails, or its worker is lost",
    },
    ExchangeState.RESPONDING: {
        ExchangeState.ANSWERED: "the response ends",
        ExchangeState.ABANDONED: "the client has gone, or the response can't be sent on",
        ExchangeState.CLOSED: "the app fails, or its worker is lost",
    },
    ExchangeState.ANSWERED: {ExchangeState.CLOSED: "the app returns, or its worker is lost"},
    ExchangeState.ABANDONED: {ExchangeState.CLOSED: "the app returns, or its worker is lost"},
    ExchangeState.CLOSED: {},
}

WORKER: Mapping[WorkerState, Mapping[WorkerState, str]] = {
    WorkerState.STARTING: {
        WorkerState.READY: "its start-up is completed",
        WorkerState.RETIRING: "it is not wanted any more: a newer one is on its way, or the server stops",
        WorkerState.FAILED: "the import fails, or lifespan start-up does, or they take too long",
        WorkerState.LOST: "it ends without a word, or could not even be made",
        WorkerState.ABANDONED: "it does not end in time",
    },
    WorkerState.READY: {
        WorkerState.RETIRING: "its successor is ready, fewer workers are wanted, or the server stops",
        WorkerState.LOST: "it ends by itself, or dies",
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
        WorkerState.CLOSED: "what it had is answered, or goes to others",
        WorkerState.ABANDONED: "it does not end in time",
    },
    WorkerState.ABANDONED: {WorkerState.CLOSED: "it comes to its end after all"},
    WorkerState.CLOSED: {},
}


def advance[S: IntEnum](table: Mapping[S, Container[S]], state: S, to: S) -> S:
    """Return `to` if the table has an arrow from `state` to it; raises InternalError otherwise."""
    if to not in table[state]:
        raise InternalError(f"no way from {state.name} to {to.name}")
    return to

"""The life of an exchange and of a worker, as data.

Each table says, for every state, what may come next. `advance` moves along an arrow and refuses to move without
one: a missing arrow is a bug of ours, never bad input. The states are ints so that looking one up is cheap: an exchange
moves four times.
"""

from collections.abc import Mapping
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


EXCHANGE: Mapping[ExchangeState, frozenset[ExchangeState]] = {
    ExchangeState.NEW: frozenset({ExchangeState.WAITING, ExchangeState.ASSIGNED, ExchangeState.CLOSED}),
    ExchangeState.WAITING: frozenset({ExchangeState.ASSIGNED, ExchangeState.CLOSED}),
    # back to NEW: its worker died before it began the exchange, which is dispatched once more
    ExchangeState.ASSIGNED: frozenset(
        {ExchangeState.NEW, ExchangeState.RESPONDING, ExchangeState.ABANDONED, ExchangeState.CLOSED}
    ),
    ExchangeState.RESPONDING: frozenset({ExchangeState.ANSWERED, ExchangeState.ABANDONED, ExchangeState.CLOSED}),
    ExchangeState.ANSWERED: frozenset({ExchangeState.CLOSED}),
    ExchangeState.ABANDONED: frozenset({ExchangeState.CLOSED}),
    ExchangeState.CLOSED: frozenset(),
}

WORKER: Mapping[WorkerState, frozenset[WorkerState]] = {
    WorkerState.STARTING: frozenset(
        {WorkerState.READY, WorkerState.RETIRING, WorkerState.FAILED, WorkerState.LOST, WorkerState.ABANDONED}
    ),
    WorkerState.READY: frozenset({WorkerState.RETIRING, WorkerState.LOST}),
    WorkerState.RETIRING: frozenset({WorkerState.CLOSED, WorkerState.LOST, WorkerState.ABANDONED}),
    WorkerState.FAILED: frozenset({WorkerState.CLOSED, WorkerState.ABANDONED}),
    WorkerState.LOST: frozenset({WorkerState.CLOSED, WorkerState.ABANDONED}),
    WorkerState.ABANDONED: frozenset({WorkerState.CLOSED}),
    WorkerState.CLOSED: frozenset(),
}


def advance[S: IntEnum](table: Mapping[S, frozenset[S]], state: S, to: S) -> S:
    """Return `to` if the table has an arrow from `state` to it; raises InternalError otherwise."""
    if to not in table[state]:
        raise InternalError(f"no way from {state.name} to {to.name}")
    return to

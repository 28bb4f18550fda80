"""snakepit.server.lifecycle: the tables are closed, nothing is stuck, and no arrow is invented."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.errors import InternalError
from snakepit.server.lifecycle import (
    CONNECTION,
    EXCHANGE,
    EXCHANGE_WORDS,
    WEBSOCKET,
    WORKER,
    ConnectionState,
    ExchangeState,
    WebSocketState,
    WorkerState,
    advance,
)

TABLES = [
    pytest.param(EXCHANGE, ExchangeState, ExchangeState.NEW, id="exchange"),
    pytest.param(WORKER, WorkerState, WorkerState.STARTING, id="worker"),
    pytest.param(CONNECTION, ConnectionState, ConnectionState.IDLE, id="connection"),
    pytest.param(WEBSOCKET, WebSocketState, WebSocketState.OPEN, id="websocket"),
]
tables = pytest.mark.parametrize(("table", "states", "first"), TABLES)


def reachable(table, start):
    found, todo = {start}, [start]
    while todo:
        new = set(table[todo.pop()]) - found
        found |= new
        todo += new
    return found


@tables
def test_table_is_closed_over_its_states(table, states, first):
    assert set(table) == set(states)
    assert set().union(*table.values()) <= set(states)


@tables
def test_every_arrow_says_when(table, states, first):
    assert all(when.strip() for state in states for when in table[state].values())


@tables
def test_every_state_can_be_reached(table, states, first):
    assert reachable(table, first) == set(states)


@tables
def test_closed_is_the_only_end_and_can_always_be_reached(table, states, first):
    assert [state for state in states if not table[state]] == [states.CLOSED]
    for state in states:
        assert states.CLOSED in reachable(table, state)


@tables
def test_no_state_follows_itself(table, states, first):
    assert [state for state in states if state in table[state]] == []


@tables
def test_advance_goes_along_every_arrow_and_no_other_way(table, states, first):
    for state in states:
        for to in states:
            if to in table[state]:
                assert advance(table, state, to) is to
            else:
                with pytest.raises(InternalError, match=f"no way from {state.name} to {to.name}.*please report"):
                    advance(table, state, to)


@tables
def test_random_walks(table, states, first):
    @given(st.data())
    def walk(data):
        state = first
        for _ in range(50):
            to = data.draw(st.sampled_from(list(states)))
            if to in table[state]:
                state = advance(table, state, to)
            else:
                with pytest.raises(InternalError):
                    advance(table, state, to)
            if state is states.CLOSED:
                break
        assert state in states

    walk()


def test_each_state_of_an_exchange_has_a_word():
    assert set(EXCHANGE_WORDS) == set(EXCHANGE)
    assert EXCHANGE_WORDS[ExchangeState.ASSIGNED] == "running"


def test_an_answered_exchange_never_responds_again():
    assert not {ExchangeState.RESPONDING, ExchangeState.NEW} & reachable(EXCHANGE, ExchangeState.ANSWERED)


def test_an_exchange_that_responds_is_never_dispatched_again():
    assert not {ExchangeState.NEW, ExchangeState.WAITING, ExchangeState.ASSIGNED} & reachable(
        EXCHANGE, ExchangeState.RESPONDING
    )


def test_a_worker_that_retires_never_gets_ready_again():
    assert WorkerState.READY not in reachable(WORKER, WorkerState.RETIRING)


@pytest.mark.parametrize(("table", "states"), [(CONNECTION, ConnectionState), (WEBSOCKET, WebSocketState)])
def test_a_connection_that_ends_never_comes_back(table, states):
    assert reachable(table, states.LINGERING) == {states.LINGERING, states.CLOSED}


def test_the_states_in_which_a_connection_takes_nothing_come_last():
    """The connections compare: `state >= LINGERING`."""
    assert list(ConnectionState)[-2:] == [ConnectionState.LINGERING, ConnectionState.CLOSED]
    assert list(ConnectionState)[:2] == [ConnectionState.IDLE, ConnectionState.READING_HEAD]
    assert list(WebSocketState)[-3:] == [WebSocketState.BREACHED, WebSocketState.LINGERING, WebSocketState.CLOSED]

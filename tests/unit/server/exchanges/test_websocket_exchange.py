"""snakepit.server.exchanges.websocket: a session between a client that plays the socket and a worker's end."""

import pytest
from clients import FakeSession
from hypothesis import given
from hypothesis import strategies as st
from sinks import NUMBER, FakeDestination, FakeEnd

from snakepit.http.events import RequestHead
from snakepit.http.fields import NONE
from snakepit.http.ws.handshake import Handshake
from snakepit.server.exchanges.websocket import WebSocketExchange
from snakepit.server.lifecycle import ExchangeState
from snakepit.wire import envelopes
from snakepit.wire.envelopes import BREACH, CLOSE, CREDIT, DISCONNECT, MESSAGE, REQUEST, WINDOW

WAITING = 32


def assigned():
    socket, line, end = FakeSession(), FakeDestination(), FakeEnd()
    head = RequestHead("GET", b"/ws", "1.1", [(b"host", b"t")], False)
    session = WebSocketExchange(NUMBER, socket, line, head, Handshake(b"", ()), WAITING)
    session.assigned_to(end, "worker 1")
    return session, socket, end


def opened():
    session, socket, end = assigned()
    session.handle(envelopes.accept(NUMBER, "chat", NONE))
    return session, socket, end


def test_the_worker_gets_a_request_of_the_scheme_ws():
    _, _, end = assigned()
    (request,) = end.posted
    assert request[0] == REQUEST
    assert request[8] == "ws"


def test_it_is_accepted():
    session, socket, _ = opened()
    assert socket.opened == ("chat", NONE)
    assert session.state is ExchangeState.RESPONDING
    assert session.status == 101
    assert repr(session) == "<WebSocketExchange 7 b'/ws' RESPONDING>"


def test_it_is_accepted_once():
    session, socket, _ = opened()
    session.handle(envelopes.accept(NUMBER, None, NONE))
    assert socket.opened == ("chat", NONE)


def test_before_it_is_accepted_nothing_is_sent_or_closed():
    session, socket, _ = assigned()
    session.handle(envelopes.message(NUMBER, "early"))
    session.handle(envelopes.close(NUMBER, 1000, ""))
    assert (socket.said, socket.closed) == ([], None)
    assert session.state is ExchangeState.ASSIGNED


@pytest.mark.parametrize(("fault", "faults"), [(None, []), ("it raised", ["it raised"])])
def test_an_app_that_is_through_before_it_accepts(fault, faults):
    session, socket, _ = assigned()
    session.done(fault)
    assert socket.status == 500
    assert socket.faults == faults


def test_an_app_that_denies():
    session, socket, _ = assigned()
    session.respond(403, NONE, b"no", False)
    session.done(None)
    assert (socket.status, socket.body, socket.opened) == (403, b"no", None)
    assert session.state is ExchangeState.CLOSED


def test_a_client_that_goes_before_it_is_accepted():
    session, socket, end = assigned()
    session.client_gone()
    assert len(end.of(DISCONNECT)) == 1
    session.handle(envelopes.accept(NUMBER, None, NONE))
    assert socket.opened is None
    session.done(None)
    assert session.state is ExchangeState.CLOSED


def test_a_worker_that_dies_before_it_begins_gives_it_back():
    session, socket, end = assigned()
    session.unassign([end.posted[0]])
    other = FakeEnd()
    session.assigned_to(other, "worker 2")
    session.handle(envelopes.accept(NUMBER, None, NONE))
    assert other.posted == end.posted
    assert socket.opened == (None, NONE)


def test_messages_cross_both_ways():
    session, socket, end = opened()
    for data in ("text", b"bytes", ""):
        session.receive_message(data)
        session.handle(envelopes.message(NUMBER, data))
    assert end.of(MESSAGE) == [(MESSAGE, NUMBER, data) for data in ("text", b"bytes", "")]
    assert socket.said == ["text", b"bytes", ""]


@pytest.mark.parametrize(
    ("size", "count"), [(0, WAITING), (10, WAITING), (WINDOW // 4, 4), (WINDOW, 1), (9_999_999, 1)]
)
def test_so_many_messages_may_wait(size, count):
    session, _, _ = opened()
    for _ in range(count):
        assert session.receives_body
        session.receive_message(b"x" * size)
    assert not session.receives_body


@given(st.lists(st.integers(0, 2 * WINDOW), max_size=50))
def test_what_is_given_back_can_be_used_again(sizes):
    session, socket, _ = opened()
    for size in sizes:
        assert session.receives_body
        session.receive_message("x" * size)
        if not session.receives_body:
            wanted = socket.wanted
            session.add_credit(max(size, WINDOW // WAITING))
            assert socket.wanted == wanted + 1
        else:
            session.add_credit(max(size, WINDOW // WAITING))


def test_credit_goes_back_for_what_the_socket_took():
    session, socket, end = opened()
    session.handle(envelopes.message(NUMBER, b"x" * (WINDOW // 2)))
    assert end.credit == WINDOW // 2
    socket.writable = False
    session.handle(envelopes.message(NUMBER, b"x" * (WINDOW // 2)))
    assert end.credit == WINDOW // 2
    session.return_credit()
    assert end.credit == WINDOW


def test_the_client_closes():
    session, socket, end = opened()
    session.client_closed(3000, "bye")
    session.client_closed(1006, "")
    assert end.of(CLOSE) == [(CLOSE, NUMBER, 3000, "bye")]
    session.receive_message("late")
    session.handle(envelopes.message(NUMBER, "late"))
    session.handle(envelopes.close(NUMBER, 1000, ""))
    session.return_credit()
    session.done(None)
    assert (end.of(MESSAGE), end.of(CREDIT), socket.said, socket.closed) == ([], [], [], None)
    assert session.state is ExchangeState.CLOSED


def test_the_app_closes():
    session, socket, end = opened()
    session.handle(envelopes.close(NUMBER, 4000, "enough"))
    assert socket.closed == (4000, "enough")
    session.handle(envelopes.message(NUMBER, "late"))
    session.handle(envelopes.close(NUMBER, 1000, ""))
    session.receive_message("late")
    session.client_closed(4000, "")
    assert (end.of(MESSAGE), end.of(CLOSE), socket.said) == ([], [], [])
    session.done(None)
    assert session.state is ExchangeState.CLOSED


def test_a_breach_is_told_and_the_session_goes_on():
    session, socket, end = opened()
    assert session.client_broke(1002, "why")
    assert end.of(BREACH) == [(BREACH, NUMBER, 1002, "why")]
    session.handle(envelopes.message(NUMBER, "answer"))
    session.handle(envelopes.close(NUMBER, 1002, "why"))
    assert (socket.said, socket.closed) == (["answer"], (1002, "why"))


def test_a_breach_is_not_told_once_the_app_has_closed():
    session, _, end = opened()
    session.handle(envelopes.close(NUMBER, 1000, ""))
    assert not session.client_broke(1002, "why")
    assert end.of(BREACH) == []


@pytest.mark.parametrize(("fault", "code"), [(None, 1000), ("it raised", 1011)])
def test_an_app_that_is_through(fault, code):
    session, socket, _ = opened()
    session.done(fault)
    assert socket.closed == (code, "")
    assert socket.faults == ([fault] if fault else [])
    assert session.state is ExchangeState.CLOSED


@pytest.mark.parametrize("closed_by", [None, "client", "app"])
def test_a_worker_that_dies(closed_by):
    session, socket, _ = opened()
    if closed_by == "client":
        session.client_closed(1000, "")
    elif closed_by == "app":
        session.handle(envelopes.close(NUMBER, 1000, ""))
    session.lost()
    assert socket.closed == {None: (1011, ""), "client": None, "app": (1000, "")}[closed_by]
    assert session.state is ExchangeState.CLOSED


def test_a_worker_that_dies_before_it_is_accepted():
    session, socket, _ = assigned()
    session.lost()
    assert (socket.status, socket.closed) == (500, None)


def test_an_accepted_session_has_no_response_that_could_go_on():
    session, socket, _ = opened()
    session.respond_body(b"late", False)
    assert (session.state, socket.body) == (ExchangeState.RESPONDING, b"")

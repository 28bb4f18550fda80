"""server.exchanges.exchange and server.exchanges.request_side: between a client that plays HTTP and the end of a worker
that only keeps what is posted."""

import pytest
from clients import ILLEGAL
from fakes import fake_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sinks import NUMBER, FakeEnd, make

from snakepit.errors import InternalError
from snakepit.http.fields import NONE
from snakepit.server.exchanges.exchange import ResponseDeadlines
from snakepit.server.lifecycle import ExchangeState
from snakepit.wire import envelopes
from snakepit.wire.envelopes import BODY, CHUNK, CHUNK_COST, CREDIT, DISCONNECT, REQUEST, WINDOW, cost

HALF = WINDOW // 2


def assigned(*args, **kwargs):
    exchange, client, _ = make(*args, **kwargs)
    end = FakeEnd()
    exchange.assigned_to(end, "worker 1")
    return exchange, client, end


def responding(body=b"x", **kwargs):
    exchange, client, end = assigned(**kwargs)
    exchange.respond(200, NONE, body, True)
    return exchange, client, end


def in_state(state):
    """An exchange that came into a state the usual way, with its client and the end that it has or had."""
    exchange, client, _ = make(b"", True)
    end = FakeEnd()
    if state is ExchangeState.NEW:
        pass
    elif state is ExchangeState.WAITING:
        exchange.mark_waiting()
    elif state is ExchangeState.CLOSED:
        exchange.refuse(503, "full", [])
    else:
        exchange.assigned_to(end, "worker 1")
        if state is ExchangeState.ABANDONED:
            exchange.client_gone()
        elif state is ExchangeState.RESPONDING:
            exchange.respond(200, NONE, b"x", True)
        elif state is ExchangeState.ANSWERED:
            exchange.respond(200, NONE, b"x", False)
    assert exchange.state is state
    end.posted.clear()
    return exchange, client, end


S = ExchangeState


# -- an app that takes too long -------------------------------------------------------------------------------------


@fake_of(ResponseDeadlines)
class FakeClock:
    """Keeps whose time runs."""

    def __init__(self):
        self.running = []
        self.started = 0

    def add(self, exchange):
        self.started += 1
        if exchange not in self.running:
            self.running.append(exchange)

    def discard(self, exchange):
        self.running.remove(exchange)


def limited(**kwargs):
    exchange, client, end = assigned(**kwargs)
    clock = FakeClock()
    exchange.start_timeout(clock)
    assert clock.running == [exchange]
    end.posted.clear()
    return exchange, client, end, clock


def test_504_and_the_worker_hears_of_it():
    exchange, client, end, clock = limited()
    exchange.time_out("no response after 2.5 s")
    assert (client.status, client.body, client.complete) == (504, b"The app took too long", True)
    assert client.faults == ["no response after 2.5 s; ending it"]
    assert end.posted == [envelopes.timed_out(NUMBER)]
    assert (exchange.state, exchange.timed_out, exchange.status) == (S.ABANDONED, True, 504)
    assert clock.running == []


@pytest.mark.parametrize(
    "ends",
    [
        lambda exchange: exchange.respond(200, NONE, b"x", True),
        lambda exchange: exchange.respond(200, NONE, b"x", False),
        lambda exchange: exchange.answer(200, NONE, b"x"),
        lambda exchange: exchange.done(None),
        lambda exchange: exchange.lost(),
        lambda exchange: exchange.client_gone(),
        lambda exchange: exchange.unassign([]),
    ],
    ids=["response", "whole response", "answer", "done", "lost", "client gone", "come back"],
)
def test_time_stops(ends):
    exchange, _, _, clock = limited()
    ends(exchange)
    assert clock.running == []


def test_each_piece_from_the_client_starts_the_time_anew():
    exchange, _, _, clock = limited(more=True)
    assert clock.started == 1
    exchange.add_body(b"a", True)
    exchange.add_body(b"b", False)
    assert clock.started == 3
    exchange.respond(200, NONE, b"x", True)
    exchange.add_body(b"", False)
    assert clock.started == 3


@pytest.mark.parametrize(
    ("late", "told"),
    [
        (lambda exchange: exchange.respond(200, NONE, b"x", False), []),
        (lambda exchange: exchange.respond_body(b"x", False), []),
        (lambda exchange: exchange.answer(200, NONE, b"x"), []),
        (lambda exchange: exchange.done(None), []),
        (lambda exchange: exchange.done("where it was"), ["where it was"]),
        (lambda exchange: exchange.lost(), []),
        (lambda exchange: exchange.unassign([]), []),
        (lambda exchange: exchange.add_body(b"x", False), []),
        (lambda exchange: exchange.interrupted("", False), []),
        (lambda exchange: exchange.interrupted("a stack", False), []),
        (
            lambda exchange: exchange.interrupted("a stack", True),
            ["Ending what runs for it in another thread, here:\na stack"],
        ),
    ],
)
def test_what_comes_after_504_changes_nothing_for_the_client(late, told):
    exchange, client, _, _ = limited(more=True)
    exchange.time_out("too late")
    late(exchange)
    assert (client.status, client.body, client.broken) == (504, b"The app took too long", False)
    assert client.faults[1:] == told


@pytest.mark.parametrize("state", [S.ASSIGNED, S.RESPONDING])
def test_lost_with_a_worker_that_hangs(state):
    exchange, client, _ = in_state(state)
    exchange.lost(504)
    assert client.broken if state is S.RESPONDING else client.status == 504


# -- the request -----------------------------------------------------------------------------------------------------


def test_a_whole_request_is_one_envelope():
    exchange, _, end = assigned(b"abc", False)
    assert end.posted == [
        envelopes.request(
            NUMBER,
            "POST",
            b"/a",
            "1.1",
            [(b"host", b"t")],
            ("10.0.0.1", 5000),
            ("127.0.0.1", 8000),
            "http",
            b"abc",
            False,
            False,
        )
    ]
    assert exchange.request_complete
    assert exchange.served_by == "worker 1"
    assert repr(exchange) == "<Exchange 7 POST b'/a' ASSIGNED>"


def test_body_follows_the_request():
    exchange, _, end = assigned(b"a", True)
    assert not exchange.request_complete
    exchange.add_body(b"b", True)
    exchange.add_body(b"", False)
    assert end.posted[1:] == [envelopes.body(NUMBER, b"b", True), envelopes.body(NUMBER, b"", False)]
    assert exchange.request_complete


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1])
def test_a_large_first_body_is_cut(size, more):
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    exchange, _, end = assigned(body, more)
    kind, _, *_, first, first_more, _, _, _ = end.posted[0]
    assert kind == REQUEST
    pieces = [(first, first_more)] + [(data, data_more) for _, _, data, data_more in end.of(BODY)]
    assert b"".join(data for data, _ in pieces) == body
    assert all(0 < len(data) <= CHUNK for data, _ in pieces)
    assert [data_more for _, data_more in pieces] == [True] * (len(pieces) - 1) + [more]
    assert exchange.request_complete is not more


def test_a_large_later_body_is_cut():
    exchange, _, end = assigned(b"", True)
    exchange.add_body(b"x" * (2 * CHUNK + 5), False)
    assert [(len(data), more) for _, _, data, more in end.of(BODY)] == [(CHUNK, True), (CHUNK, True), (5, False)]


def test_held_until_a_worker_has_it():
    exchange, _, _ = make(b"a", True)
    exchange.add_body(b"b", True)
    exchange.mark_waiting()
    exchange.add_body(b"c", False)
    end = FakeEnd()
    exchange.assigned_to(end, "worker 1")
    assert [envelope[0] for envelope in end.posted] == [REQUEST, BODY, BODY]
    assert end.posted[1:] == [envelopes.body(NUMBER, b"b", True), envelopes.body(NUMBER, b"c", False)]


@pytest.mark.parametrize("state", [S.ANSWERED, S.ABANDONED, S.CLOSED])
def test_body_that_nobody_wants_any_more(state):
    exchange, _, end = in_state(state)
    exchange.add_body(b"x" * WINDOW, True)
    assert not exchange.request_complete
    exchange.add_body(b"", False)
    assert exchange.request_complete, "so that the connection knows that it can be used again"
    assert end.posted == []
    assert exchange.receives_body


# -- credit for the request's body -----------------------------------------------------------------------------------


def test_window_used_up_and_given_back():
    exchange, client, _ = assigned(b"x" * CHUNK, True)
    for _ in range(2):
        exchange.add_body(b"x" * CHUNK, True)
        assert exchange.receives_body
    exchange.add_body(b"x" * CHUNK, True)
    assert not exchange.receives_body
    exchange.add_body(b"x" * 10, True)  # what the socket's last read brought beyond the window
    exchange.add_credit(CHUNK_COST)
    assert client.wanted == 0
    assert not exchange.receives_body
    exchange.add_credit(1)
    assert client.wanted == 1
    assert exchange.receives_body
    exchange.add_credit(CHUNK)
    assert client.wanted == 1, "only once each time that the window opens"


def test_tiny_chunks_cost_more_than_their_bytes():
    exchange, _, end = assigned(b"", True)
    count = 1
    while exchange.receives_body:
        exchange.add_body(b"x", True)
        count += 1
    assert count == WINDOW // CHUNK_COST
    assert len(end.posted) == count


def test_window_counts_while_nobody_has_it():
    exchange, _, _ = make(b"x" * CHUNK, True)
    exchange.mark_waiting()
    exchange.add_body(b"x" * 3 * CHUNK, True)
    assert not exchange.receives_body


@pytest.mark.parametrize("state", [S.ANSWERED, S.ABANDONED])
def test_late_credit_wakes_nobody(state):
    exchange, client, _ = assigned(b"x" * 4 * CHUNK, True)
    assert not exchange.receives_body
    if state is S.ANSWERED:
        exchange.respond(200, NONE, b"", False)
    else:
        exchange.client_gone()
    exchange.add_credit(WINDOW)
    assert client.wanted == 0


# -- the response and its credit -------------------------------------------------------------------------------------


def test_response_in_one_piece():
    exchange, client, end = assigned()
    exchange.respond(201, NONE, b"hello", False)
    assert (client.status, client.body, client.complete) == (201, b"hello", True)
    assert (exchange.state, exchange.status, exchange.answered) == (S.ANSWERED, 201, True)
    exchange.done(None)
    assert exchange.state is S.CLOSED
    assert client.faults == []
    assert end.of(CREDIT) == []


def test_response_and_end_in_one():
    exchange, client, end = assigned()
    exchange.answer(201, NONE, b"hello")
    assert (client.status, client.body, client.complete) == (201, b"hello", True)
    assert (exchange.state, exchange.status, exchange.answered) == (S.CLOSED, 201, True)
    assert client.faults == []
    assert end.of(CREDIT) == []


def test_answer_is_closed_before_the_client_has_it():
    """The connection may go on to the next request within the write."""
    exchange, client, _ = assigned()
    seen = []
    client.send_response = lambda *response: seen.append((response, exchange.state, exchange.answered))
    exchange.answer(200, NONE, b"a")
    assert seen == [((200, NONE, b"a", False), S.CLOSED, True)]


def test_answer_after_the_client_has_gone():
    exchange, client, _ = in_state(S.ABANDONED)
    exchange.answer(200, NONE, b"late")
    assert (client.status, client.faults, exchange.state) == (None, [], S.CLOSED)


@pytest.mark.parametrize(("fields", "body", "status"), [(ILLEGAL, b"", 500), (NONE, b"illegal", 200)])
def test_illegal_answer(fields, body, status):
    """Nothing is told to the app, which is through with it."""
    exchange, client, end = assigned()
    exchange.answer(200, fields, body)
    assert (client.status, client.broken) == (status, status == 200)
    assert len(client.faults) == 1
    assert client.faults[0].startswith("illegal")
    assert exchange.state is S.CLOSED
    assert end.of(DISCONNECT) == []


def assigned_to_whoever_goes_within_a_write():
    exchange, client, end = assigned()
    plain = client.send_body

    def send_body(data, more):
        plain(data, more)
        exchange.client_gone()

    client.send_body = send_body
    return exchange, end


def test_client_that_goes_within_the_write_of_an_answer():
    exchange, end = assigned_to_whoever_goes_within_a_write()
    exchange.answer(200, NONE, b"x")
    assert exchange.state is S.CLOSED
    assert end.of(DISCONNECT) == []


@pytest.mark.parametrize(
    ("body", "more", "later", "whole"),
    [
        (b"", False, [], True),
        (b"a", False, [], True),
        (b"x" * CHUNK, False, [], True),
        (b"x" * (CHUNK + 1), False, [], False),
        (b"", True, [], False),
        (b"a", True, [(b"b", True)], False),
        (b"a", True, [(b"b", False)], False),
    ],
)
def test_whole_is_what_a_worker_gets_as_one_envelope(body, more, later, whole):
    exchange, _, _ = make(body, more)
    for data, data_more in later:
        exchange.add_body(data, data_more)
    assert exchange.whole is whole
    end = FakeEnd()
    exchange.assigned_to(end, "worker 1")
    assert (len(end.posted) == 1 and not more_of(end.posted[0])) is whole


def test_whole_after_it_came_back():
    exchange, _, end = assigned(b"a", False)
    exchange.unassign(list(end.posted))
    assert exchange.whole


def test_response_in_pieces():
    exchange, client, _ = responding(b"a")
    assert not exchange.answered
    exchange.respond_body(b"b", True)
    exchange.respond_body(b"c", False)
    assert (client.body, client.complete, exchange.state) == (b"abc", True, S.ANSWERED)


def test_credit_goes_back_by_the_half_window():
    exchange, _, end = responding(b"x" * CHUNK)
    assert end.credit == 0
    exchange.respond_body(b"x" * (CHUNK - CHUNK_COST), True)
    assert end.credit == 0
    exchange.respond_body(b"x", True)
    assert end.credit == HALF
    exchange.respond_body(b"x", True)
    assert end.credit == HALF


def test_a_slow_client_keeps_the_credit_until_it_reads():
    exchange, client, end = responding(b"x" * CHUNK)
    client.writable = False
    for _ in range(3):
        exchange.respond_body(b"x" * CHUNK, True)
    assert end.credit == 0
    client.writable = True
    exchange.return_credit()
    assert end.credit == WINDOW
    exchange.return_credit()
    assert len(end.of(CREDIT)) == 1


def test_pay_without_debt():
    exchange, _, end = assigned()
    exchange.return_credit()
    assert end.of(CREDIT) == []


@pytest.mark.parametrize("state", [S.NEW, S.WAITING, S.ASSIGNED, S.ANSWERED, S.ABANDONED, S.CLOSED])
def test_pay_outside_a_response(state):
    exchange, _, end = in_state(state)
    exchange.return_credit()
    assert end.posted == []


def test_no_credit_for_a_response_that_is_complete():
    exchange, client, end = responding(b"x" * CHUNK)
    client.writable = False
    exchange.respond_body(b"x" * CHUNK, False)
    client.writable = True
    exchange.return_credit()
    assert end.of(CREDIT) == []


def test_client_that_goes_within_a_write():
    exchange, end = assigned_to_whoever_goes_within_a_write()
    exchange.respond(200, NONE, b"x" * WINDOW, True)
    assert exchange.state is S.ABANDONED
    assert [envelope[0] for envelope in end.posted] == [REQUEST, DISCONNECT]


@pytest.mark.parametrize("state", [S.ANSWERED, S.ABANDONED, S.CLOSED])
def test_what_the_app_sends_too_late_goes_nowhere(state):
    exchange, client, end = in_state(state)
    before = (client.status, client.body)
    exchange.respond(200, NONE, b"late", False)
    exchange.respond_body(b"late", False)
    exchange.send_continue()
    assert (client.status, client.body) == before
    assert client.continues == 0
    assert end.posted == []


def test_second_response_head_is_ignored():
    exchange, client, _ = responding(b"a")
    exchange.respond(500, NONE, b"b", False)
    assert (exchange.status, client.body) == (200, b"a")


# -- what goes wrong -------------------------------------------------------------------------------------------------


def test_illegal_head_gets_500():
    exchange, client, end = assigned()
    exchange.respond(200, ILLEGAL, b"", False)
    assert (client.status, client.complete, client.faults) == (500, True, ["illegal header"])
    assert exchange.state is S.ABANDONED
    assert end.of(DISCONNECT) == [envelopes.disconnect(NUMBER)]
    exchange.done(None)
    assert exchange.state is S.CLOSED


def test_illegal_body_breaks_the_response_off():
    exchange, client, end = responding(b"a")
    exchange.respond_body(b"illegal", True)
    assert (client.status, client.broken, client.faults) == (200, True, ["illegal body"])
    assert exchange.state is S.ABANDONED
    assert len(end.of(DISCONNECT)) == 1
    exchange.respond_body(b"more", False)
    exchange.client_gone()  # as the connection does when the transport has gone
    assert len(end.of(DISCONNECT)) == 1
    exchange.done("gone")
    assert client.faults == ["illegal body", "gone"]


def test_fault_before_the_response():
    exchange, client, _ = assigned()
    exchange.done("Traceback")
    assert (client.status, client.complete, client.faults) == (500, True, ["Traceback"])
    assert exchange.state is S.CLOSED


def test_fault_within_the_response():
    exchange, client, _ = responding()
    exchange.done("Traceback")
    assert (client.status, client.complete, client.broken, client.faults) == (200, False, True, ["Traceback"])
    assert exchange.state is S.CLOSED


def test_fault_after_the_response():
    exchange, client, _ = in_state(S.ANSWERED)
    exchange.done("Traceback")
    assert (client.status, client.broken, client.faults) == (200, False, ["Traceback"])


def test_fault_after_the_client_has_gone():
    exchange, client, _ = in_state(S.ABANDONED)
    exchange.done("Traceback")
    assert (client.status, client.faults) == (None, ["Traceback"])


@pytest.mark.parametrize(("state", "status", "broken"), [(S.ASSIGNED, 500, False), (S.RESPONDING, 200, True)])
def test_lost_with_its_worker(state, status, broken):
    exchange, client, _ = in_state(state)
    exchange.lost()
    assert (client.status, client.broken, client.faults) == (status, broken, [])
    assert exchange.state is S.CLOSED


@pytest.mark.parametrize("state", [S.ANSWERED, S.ABANDONED])
def test_lost_when_there_is_nothing_left_to_say(state):
    exchange, client, _ = in_state(state)
    status = client.status
    exchange.lost()
    assert (client.status, client.broken, exchange.state) == (status, False, S.CLOSED)


@pytest.mark.parametrize("state", [S.NEW, S.WAITING])
def test_refused(state):
    exchange, client, _ = in_state(state)
    exchange.refuse(503, "full", [(b"retry-after", b"1")])
    assert (client.status, client.body, exchange.state) == (503, b"full", S.CLOSED)
    assert exchange.answered


@pytest.mark.parametrize("state", [S.ASSIGNED, S.RESPONDING, S.ANSWERED, S.ABANDONED])
def test_a_way_that_does_not_exist(state):
    exchange, _, _ = in_state(state)
    with pytest.raises(InternalError, match="no way from"):
        exchange.mark_waiting()


# -- the client goes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "after", "told"),
    [
        (S.NEW, S.CLOSED, False),
        (S.WAITING, S.CLOSED, False),
        (S.ASSIGNED, S.ABANDONED, True),
        (S.RESPONDING, S.ABANDONED, True),
        (S.ANSWERED, S.ANSWERED, False),
        (S.ABANDONED, S.ABANDONED, False),
        (S.CLOSED, S.CLOSED, False),
    ],
)
def test_client_gone(state, after, told):
    exchange, _, end = in_state(state)
    exchange.client_gone()
    assert exchange.state is after
    assert end.posted == ([envelopes.disconnect(NUMBER)] if told else [])


def test_client_gone_leaves_the_line():
    exchange, _, line = make()
    exchange.mark_waiting()
    exchange.client_gone()
    assert line.withdrawn == [exchange]


@pytest.mark.parametrize("state", [S.NEW, S.ASSIGNED, S.RESPONDING, S.ANSWERED])
def test_only_who_waits_leaves_the_line(state):
    exchange, _, _ = in_state(state)
    exchange.client_gone()
    assert exchange.destination.withdrawn == []


# -- a worker dies before it began -----------------------------------------------------------------------------------


def test_another_worker_gets_the_same_in_the_same_order():
    exchange, client, first = assigned(b"x" * (CHUNK + 1), True)
    exchange.add_body(b"b", True)
    exchange.unassign(list(first.posted))
    assert exchange.state is S.NEW
    exchange.add_body(b"c", True)
    exchange.mark_waiting()
    exchange.add_body(b"d", False)
    second = FakeEnd()
    exchange.assigned_to(second, "worker 2")
    assert second.posted[: len(first.posted)] == first.posted
    assert second.posted[len(first.posted) :] == [
        envelopes.body(NUMBER, b"c", True),
        envelopes.body(NUMBER, b"d", False),
    ]
    assert exchange.served_by == "worker 2"
    assert len(first.posted) == 3, "the dead worker got nothing more"
    exchange.respond(200, NONE, b"", False)
    assert client.status == 200


def test_comes_back_twice():
    exchange, _, first = assigned(b"a", True)
    exchange.add_body(b"b", False)
    exchange.unassign(list(first.posted))
    second = FakeEnd()
    exchange.assigned_to(second, "worker 2")
    exchange.unassign(list(second.posted))
    third = FakeEnd()
    exchange.assigned_to(third, "worker 3")
    assert third.posted == second.posted == first.posted


def test_coming_back_does_not_change_the_window():
    exchange, client, first = assigned(b"x" * CHUNK, True)
    exchange.unassign(list(first.posted))
    second = FakeEnd()
    exchange.assigned_to(second, "worker 2")
    exchange.add_body(b"x" * 3 * CHUNK, True)
    assert not exchange.receives_body
    exchange.add_credit(1)
    assert client.wanted == 1


def test_nobody_is_there_to_come_back_for():
    exchange, _, end = assigned()
    exchange.client_gone()
    exchange.unassign([end.posted[0]])
    assert exchange.state is S.CLOSED


def test_client_goes_after_it_came_back():
    exchange, client, first = assigned()
    exchange.unassign(list(first.posted))
    exchange.client_gone()
    assert exchange.state is S.CLOSED
    assert first.of(DISCONNECT) == []
    assert client.status is None


# -- Expect: 100-continue --------------------------------------------------------------------------------------------


def expectation(end):
    return end.posted[0][11]


def test_client_is_told_to_go_on_once():
    exchange, client, end = assigned(b"", True, expects_continue=True)
    assert expectation(end) is True
    assert exchange.waits_for_continue
    exchange.send_continue()
    assert client.continues == 1
    assert not exchange.waits_for_continue
    exchange.send_continue()
    assert client.continues == 1


@pytest.mark.parametrize(("body", "more"), [(b"a", True), (b"a", False), (b"", False)])
def test_client_that_does_not_wait(body, more):
    exchange, client, end = assigned(body, more, expects_continue=True)
    assert expectation(end) is False
    assert not exchange.waits_for_continue
    exchange.send_continue()
    assert client.continues == 0


def test_client_that_stops_waiting():
    exchange, client, _ = assigned(b"", True, expects_continue=True)
    exchange.add_body(b"a", True)
    assert not exchange.waits_for_continue
    exchange.send_continue()
    assert client.continues == 0


def test_client_that_expects_nothing():
    exchange, client, end = assigned(b"", True)
    assert expectation(end) is False
    exchange.send_continue()
    assert client.continues == 0


def test_response_without_reading():
    exchange, client, _ = assigned(b"", True, expects_continue=True)
    exchange.respond(403, NONE, b"no", False)
    assert exchange.waits_for_continue, "so that the connection knows that it can't be used again"
    exchange.send_continue()
    assert client.continues == 0


def test_an_interim_response_never_comes_within_a_response():
    exchange, client, _ = responding(more=True, expects_continue=True)
    exchange.send_continue()  # the app reads only after it began to answer
    assert client.continues == 0


# -- random walks ----------------------------------------------------------------------------------------------------

SIZES = st.sampled_from([0, 0, 0, 1, 100, CHUNK_COST, CHUNK_COST + 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
PIECES = st.sampled_from([b"", b"x", b"y" * CHUNK_COST, b"z" * CHUNK])


def body_of(envelope):
    return envelope[9] if envelope[0] == REQUEST else envelope[2]


def more_of(envelope):
    return envelope[10] if envelope[0] == REQUEST else envelope[3]


class Walk(RuleBasedStateMachine):
    """The client, the pool and the app do what they may at any time, and workers die."""

    @initialize(size=SIZES, more=st.booleans(), expects_continue=st.booleans())
    def request(self, size, more, expects_continue):
        self.exchange, self.client, self.line = make(b"b" * size, more, expects_continue)
        self.sent = b"b" * size
        self.more = more
        self.connected = True
        self.ends = []
        self.begun = False  # the app has taken it from its channel
        self.credited = 0  # for the request's body
        self.read = 0  # envelopes of the request that the app has read
        self.taken = 0  # cost of what the client took of the response
        self.reads = expects_continue and more and not size  # the worker will say CONTINUE when the app reads
        self.windows_opened = 0
        self.kept = None

    # what holds the request's envelopes now
    @property
    def end(self):
        return self.ends[-1]

    def state_in(self, *states):
        return self.exchange.state in states

    @property
    def in_worker(self):
        return bool(self.ends) and not self.state_in(S.NEW, S.WAITING, S.CLOSED)

    # -- the client

    @precondition(lambda self: self.connected and self.more and self.exchange.receives_body)
    @rule(size=SIZES, more=st.booleans())
    def body(self, size, more):
        data = b"c" * size
        if self.exchange.answered:
            self.exchange.add_body(data, more)
        else:
            self.sent += data
            self.exchange.add_body(data, more)
        self.more = more

    @precondition(lambda self: self.connected and not self.client.broken)
    @rule()
    def client_goes(self):
        self.connected = False
        self.exchange.client_gone()

    @rule(writable=st.booleans())
    def transport(self, writable):
        was = self.client.writable
        self.client.writable = writable
        if writable and not was and self.connected:
            self.exchange.return_credit()

    # -- the pool

    @precondition(lambda self: self.state_in(S.NEW))
    @rule()
    def wait(self):
        self.exchange.mark_waiting()

    @precondition(lambda self: self.state_in(S.NEW, S.WAITING))
    @rule()
    def assign(self):
        self.ends.append(FakeEnd())
        self.begun = False
        self.exchange.assigned_to(self.end, f"worker {len(self.ends)}")
        if self.kept is not None:
            assert self.end.posted[: len(self.kept)] == self.kept
            self.kept = None

    @precondition(lambda self: self.state_in(S.NEW, S.WAITING))
    @rule()
    def refuse(self):
        self.exchange.refuse(503, "full", [])
        assert self.client.status == 503

    @precondition(lambda self: self.in_worker and not self.begun and self.state_in(S.ASSIGNED, S.ABANDONED))
    @rule()
    def worker_dies_before(self):
        self.kept = [envelope for envelope in self.end.posted if envelope[0] in (REQUEST, BODY)]
        self.exchange.unassign(list(self.kept))

    @precondition(lambda self: self.in_worker and self.state_in(S.ASSIGNED))
    @rule()
    def time_is_over(self):
        self.exchange.time_out("too late")
        assert self.client.status == 504

    @precondition(lambda self: self.in_worker and self.begun)
    @rule()
    def worker_dies_over_it(self):
        self.exchange.lost()

    # -- the app

    @precondition(lambda self: self.in_worker)
    @rule()
    def app_reads(self):
        self.begun = True
        if self.reads:
            self.reads = False
            self.exchange.send_continue()
        unread = [envelope for envelope in self.end.posted if envelope[0] in (REQUEST, BODY)][self.read :]
        amount = sum(cost(body_of(envelope)) for envelope in unread)
        self.read += len(unread)
        if amount:
            shut, wanted = not self.exchange.receives_body, self.client.wanted
            self.credited += amount
            self.exchange.add_credit(amount)
            opened = shut and self.exchange.receives_body and not self.exchange.answered
            assert self.client.wanted - wanted == int(opened)

    @precondition(lambda self: self.in_worker)
    @rule(data=PIECES, more=st.booleans(), illegal=st.sampled_from([False, False, False, True]))
    def app_responds(self, data, more, illegal):
        self.begun = True
        assigned = self.state_in(S.ASSIGNED)
        self.exchange.respond(200, ILLEGAL if illegal else NONE, data, more)
        if assigned and not illegal:
            self.taken += cost(data)

    @precondition(lambda self: self.in_worker and self.state_in(S.ASSIGNED, S.ABANDONED))
    @rule(data=PIECES | st.just(b"illegal"), illegal=st.sampled_from([False, False, False, True]))
    def app_answers(self, data, illegal):
        self.begun = True
        self.exchange.answer(200, ILLEGAL if illegal else NONE, data)
        assert self.state_in(S.CLOSED)

    @precondition(lambda self: self.in_worker and self.begun)
    @rule(data=PIECES | st.just(b"illegal"), more=st.booleans())
    def app_sends(self, data, more):
        responding = self.state_in(S.RESPONDING)
        self.exchange.respond_body(data, more)
        if responding and data != b"illegal":
            self.taken += cost(data)

    @precondition(lambda self: self.in_worker)
    @rule(fault=st.none() | st.just("fault"))
    def app_returns(self, fault):
        self.begun = True
        self.exchange.done(fault)

    # -- what must always hold

    @invariant()
    def window_adds_up(self):
        if self.ends and not self.exchange.answered and not self.state_in(S.NEW, S.WAITING):
            posted = [envelope for envelope in self.end.posted if envelope[0] in (REQUEST, BODY)]
            used = sum(cost(body_of(envelope)) for envelope in posted)
            assert self.exchange.receives_body == (WINDOW - used + self.credited > 0)

    @invariant()
    def the_worker_gets_the_body_as_it_came(self):
        if self.ends and not self.exchange.answered and not self.state_in(S.NEW, S.WAITING):
            posted = [envelope for envelope in self.end.posted if envelope[0] in (REQUEST, BODY)]
            assert b"".join(map(body_of, posted)) == self.sent
            assert all(len(body_of(envelope)) <= CHUNK for envelope in posted)
            mores = [more_of(envelope) for envelope in posted]
            assert mores == [True] * (len(mores) - 1) + [self.more]

    @invariant()
    def credit_goes_back_for_what_was_taken(self):
        if self.ends:
            assert self.end.credit <= self.taken
            if self.state_in(S.RESPONDING) and self.client.writable:
                assert self.taken - self.end.credit < HALF

    @invariant()
    def disconnect_is_told_once_and_is_the_last_word(self):
        for end in self.ends:
            kinds = [envelope[0] for envelope in end.posted]
            assert kinds.count(REQUEST) == 1
            assert kinds[0] == REQUEST
            if DISCONNECT in kinds:
                assert kinds.index(DISCONNECT) == len(kinds) - 1

    @invariant()
    def a_client_that_is_there_gets_an_answer(self):
        if self.connected and self.state_in(S.ANSWERED, S.ABANDONED, S.CLOSED):
            assert self.client.complete or self.client.broken
        assert self.client.continues <= 1


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=300, stateful_step_count=25, deadline=None)

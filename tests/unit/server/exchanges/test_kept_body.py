"""snakepit.server.exchanges.kept_body, with exchanges that are passed on to a fake worker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sinks import NUMBER, FakeEnd, make

from snakepit.server.exchanges.kept_body import KEPT_AT_ONCE, KeptBodies
from snakepit.server.lifecycle import ExchangeState
from snakepit.wire.envelopes import BODY, CHUNK, REQUEST

MOST = 500_000


class World:
    """Bodies that are kept, and exchanges that go to a worker then."""

    def __init__(self, most=MOST):
        self.bodies = KeptBodies(most, self.assign)
        self.end = FakeEnd()
        self.over = []

    def assign(self, exchange):
        self.over.append(exchange)
        self.whole = exchange.whole
        exchange.assigned_to(self.end, "worker 1")

    def upload(self, body=b"", **how):
        exchange, client, line = make(body, more=True, **how)
        assert self.bodies.keep(exchange)
        assert exchange.state is ExchangeState.WAITING
        return exchange, client, line

    @property
    def body(self):
        """What the worker got, and whether more is to come."""
        envelopes = [envelope[9:11] for envelope in self.end.of(REQUEST)]
        envelopes += [envelope[2:4] for envelope in self.end.of(BODY)]
        assert all(more for _, more in envelopes[:-1])
        return b"".join(data for data, _ in envelopes), envelopes[-1][1]


def test_a_small_body_crosses_with_its_request():
    world = World()
    exchange, _, _ = world.upload(b"a")
    exchange.add_body(b"b", True)
    exchange.add_body(b"", True)
    assert world.over == []
    exchange.add_body(b"c", False)
    assert world.over == [exchange]
    assert world.whole
    assert len(world.end.posted) == 1
    assert world.body == (b"abc", False)
    assert len(world.bodies) == 0


@given(st.lists(st.integers(0, 2 * CHUNK), min_size=1, max_size=8), st.booleans())
def test_nothing_is_lost(sizes, complete):
    world = World()
    exchange, _, _ = world.upload(b"x")
    sent = b"x"
    for number, size in enumerate(sizes):
        piece = bytes([number]) * size
        sent += piece
        exchange.add_body(piece, not complete or number < len(sizes) - 1)
    if complete or len(sent) >= MOST:
        assert world.over == [exchange]
        assert world.body == (sent, not complete)
        assert world.whole is (complete and len(sent) <= CHUNK)
    else:
        assert world.over == []
        assert exchange.receives_body


def test_a_long_body_is_passed_on_as_it_comes_then():
    world = World()
    exchange, client, _ = world.upload()
    exchange.add_body(b"x" * (MOST - 1), True)
    assert exchange.receives_body
    assert world.over == []
    exchange.add_body(b"y", True)
    assert world.over == [exchange]
    assert not exchange.receives_body, "the app has a window's worth, and more"
    exchange.add_credit(MOST)
    assert client.wanted == 1
    exchange.add_body(b"z", False)
    assert world.body == (b"x" * (MOST - 1) + b"yz", False)


def test_a_client_that_goes():
    world = World()
    exchange, _, line = world.upload(b"abc")
    exchange.client_gone()
    assert line.withdrawn == [exchange]
    world.bodies.forget(exchange)
    assert len(world.bodies) == 0
    world.bodies.forget(exchange)
    exchange.add_body(b"late", False)
    assert world.over == []


@pytest.mark.parametrize("length", [None, MOST, MOST + 1])
def test_a_client_that_waits_until_it_is_asked(length):
    world = World()
    exchange, client, _ = make(b"", True, expects_continue=True)
    if length is not None:
        exchange.head.headers.append((b"content-length", b"%d" % length))
    kept = world.bodies.keep(exchange)
    assert kept is (length != MOST + 1)
    assert client.continues == kept
    assert exchange.waits_for_continue is not kept
    if kept:
        exchange.add_body(b"abc", False)
        assert world.body == (b"abc", False)
        [request] = world.end.of(REQUEST)
        assert request[11] is False, "it was asked already"
        assert request[1] == NUMBER


def test_there_is_a_limit_for_all():
    world = World(most=10)
    kept = [world.upload(b"12345678")[0] for _ in range(8 * KEPT_AT_ONCE // 8 + KEPT_AT_ONCE // 4 - 1)]
    assert len(kept) * 8 < 10 * KEPT_AT_ONCE <= (len(kept) + 1) * 8
    last, _, _ = world.upload()
    last.add_body(b"12345678", True)
    assert world.over == [last], "it gets its thread at once"
    assert world.body == (b"12345678", True)
    other, _, _ = world.upload(b"12345678")
    refused, _, _ = make(b"", True)
    assert not world.bodies.keep(refused)
    assert refused.state is ExchangeState.NEW
    other.client_gone()
    world.bodies.forget(other)
    assert world.bodies.keep(refused)


def test_a_body_that_has_come_so_far_is_not_kept():
    world = World()
    exchange, _, _ = make(b"x" * MOST, True)
    assert not world.bodies.keep(exchange)
    assert exchange.state is ExchangeState.NEW


def test_the_limit_of_one_app_counts_from_the_start():
    world = World()
    exchange, client, _ = world.upload(b"123")
    exchange.body_left = 5
    exchange.add_body(b"45678", True)
    exchange.add_body(b"9", True)
    assert client.status == 413
    assert world.over == []

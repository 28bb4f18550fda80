"""snakepit.server.exchanges.kept_body, with exchanges that are passed on to a fake worker."""

import errno
from tempfile import TemporaryFile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sinks import NUMBER, FakeEnd, make

from snakepit.http.fields import NONE
from snakepit.server.exchanges.kept_body import KEPT_AT_ONCE, KeptBodies
from snakepit.server.lifecycle import ExchangeState
from snakepit.wire.envelopes import BODY, CHUNK, DISCONNECT, REQUEST, WINDOW

MOST = 500_000


class World:
    """Bodies that are kept, and exchanges that go to a worker then."""

    def __init__(self, most=MOST, new_file=None):
        self.bodies = KeptBodies(most, new_file)
        self.end = FakeEnd()
        self.over = []

    def assign(self, exchange):
        self.over.append(exchange)
        self.whole = exchange.whole
        exchange.assigned_to(self.end, "worker 1")

    def upload(self, body=b"", **how):
        exchange, client, line = make(body, more=True, **how)
        assert self.bodies.keep(exchange, self.assign)
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
    kept = world.bodies.keep(exchange, world.assign)
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
    assert not world.bodies.keep(refused, world.assign)
    assert refused.state is ExchangeState.NEW
    other.client_gone()
    world.bodies.forget(other)
    assert world.bodies.keep(refused, world.assign)


def test_a_body_that_has_come_so_far_is_not_kept():
    world = World()
    exchange, _, _ = make(b"x" * MOST, True)
    assert not world.bodies.keep(exchange, world.assign)
    assert exchange.state is ExchangeState.NEW


def test_the_limit_of_one_app_counts_from_the_start():
    world = World()
    exchange, client, _ = world.upload(b"123")
    exchange.body_left = 5
    exchange.add_body(b"45678", True)
    exchange.add_body(b"9", True)
    assert client.status == 413
    assert world.over == []


# -- on disk -----------------------------------------------------------------------------------------------------------


class Files:
    """Real temporary files, on a disk with so many bytes."""

    def __init__(self, room=10**9):
        self.made = []
        self.room = room

    def __call__(self):
        file = TemporaryFile(buffering=0)  # noqa: SIM115  # who gets it closes it
        write = file.write

        def limited(data):
            if len(data) > self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.room -= len(data)
            return write(data)

        file.write = limited
        self.made.append(file)
        return file

    @property
    def open(self):
        return sum(not file.closed for file in self.made)


def on_disk(most=MOST, room=10**9):
    files = Files(room)
    return World(most, files), files


@pytest.mark.parametrize("most", [0, 10, CHUNK, MOST])
def test_all_of_a_long_body_is_waited_for_and_passed_on_as_the_app_reads(most):
    world, files = on_disk(most)
    exchange, client, _ = world.upload(b"x")
    sent = b"x"
    for number in range(40):
        piece = bytes([number]) * 50_000
        sent += piece
        exchange.add_body(piece, True)
        assert exchange.receives_body
    assert world.over == []
    assert files.open == 1
    exchange.add_body(b"", False)
    assert world.over == [exchange]
    assert not world.whole
    assert exchange.request_complete
    read = 0
    while world.body[1]:
        came = len(world.body[0])
        assert came - read < max(most, WINDOW) + CHUNK
        exchange.add_credit(came - read)
        read = came
    assert world.body == (sent, False)
    assert files.open == 0
    assert client.wanted == 0, "the client has sent all"


def test_a_body_that_fits_into_memory_needs_no_file():
    world, files = on_disk()
    exchange, _, _ = world.upload(b"a")
    exchange.add_body(b"b", False)
    assert world.body == (b"ab", False)
    assert files.made == []


def test_a_client_that_waits_is_asked_for_a_long_body():
    world, _ = on_disk()
    exchange, client, _ = make(b"", True, expects_continue=True)
    exchange.head.headers.append((b"content-length", b"%d" % (MOST * 2)))
    assert world.bodies.keep(exchange, world.assign)
    assert client.continues == 1
    exchange.add_body(b"x" * MOST, True)
    exchange.add_body(b"x" * MOST, False)
    exchange.send_continue()
    assert client.continues == 1, "it was told already"
    exchange.client_gone()


def test_no_file_is_left_of_a_client_that_goes():
    world, files = on_disk(most=10)
    exchange, _, line = world.upload()
    exchange.add_body(b"x" * 100, True)
    assert files.open == 1
    exchange.client_gone()
    assert line.withdrawn == [exchange]
    world.bodies.forget(exchange)
    assert files.open == 0


@pytest.mark.parametrize("end", ["answer", "done", "client_gone", "lost", "time_out"])
def test_no_file_is_left_of_an_app_that_does_not_read(end):
    world, files = on_disk(most=10)
    exchange, _, _ = world.upload()
    exchange.add_body(b"x" * WINDOW * 3, False)
    assert files.open == 1
    arguments = {"answer": (200, NONE, b""), "done": (None,), "time_out": (1.0,)}
    getattr(exchange, end)(*arguments.get(end, ()))
    assert files.open == 0
    assert bool(world.end.of(DISCONNECT)) is (end in ("answer", "done", "client_gone"))
    exchange.add_credit(WINDOW)


def test_an_app_may_read_after_it_has_answered():
    world, files = on_disk(most=10)
    exchange, _, _ = world.upload()
    exchange.add_body(b"x" * WINDOW * 2, False)
    exchange.respond(200, NONE, b"hello", False)
    assert exchange.state is ExchangeState.ANSWERED
    exchange.add_credit(WINDOW)
    assert world.body == (b"x" * WINDOW * 2, False)
    assert files.open == 0


def test_a_worker_that_ends_before_it_began():
    world, _ = on_disk(most=10)
    exchange, _, _ = world.upload()
    exchange.add_body(b"x" * WINDOW * 2, False)
    exchange.unassign(world.end.posted)
    world.end = FakeEnd()
    exchange.assigned_to(world.end, "worker 2")
    exchange.add_credit(WINDOW)
    assert world.body == (b"x" * WINDOW * 2, False)


def test_a_full_disk():
    world, files = on_disk(most=10, room=100_000)
    exchange, client, line = world.upload()
    exchange.add_body(b"x" * 90_000, True)
    exchange.add_body(b"x" * 90_000, True)
    assert client.status == 500
    assert line.withdrawn == [exchange]
    world.bodies.forget(exchange)
    assert files.open == 0
    assert "No space left on device" in client.faults[0]
    assert world.over == []


def test_a_file_that_can_not_be_read():
    world, files = on_disk(most=10)
    exchange, client, _ = world.upload()
    exchange.add_body(b"x" * WINDOW * 2, False)
    files.made[0].truncate(0)
    exchange.add_credit(WINDOW)
    assert client.status == 500
    assert "shorter" in client.faults[0]
    assert world.end.of(DISCONNECT)
    assert files.open == 0


def test_a_file_that_can_not_be_read_once_the_answer_is_complete():
    world, files = on_disk(most=10)
    exchange, client, _ = world.upload()
    exchange.add_body(b"x" * WINDOW * 2, False)
    exchange.respond(200, NONE, b"hello", False)
    files.made[0].truncate(0)
    exchange.add_credit(WINDOW)
    assert client.status == 200
    assert world.end.of(DISCONNECT)
    assert files.open == 0

"""snakepit.server.exchanges.kept_answer, between a fake client that is slow and a fake worker."""

import errno
from tempfile import TemporaryFile

import pytest
from clients import FakeClient
from hypothesis import given
from hypothesis import strategies as st
from sinks import FakeDestination, FakeEnd

from snakepit.http.events import RequestHead
from snakepit.http.fields import NONE
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.exchanges.kept_answer import KEPT_AT_ONCE, KeptAnswers
from snakepit.server.lifecycle import ExchangeState
from snakepit.wire.envelopes import CHUNK, DISCONNECT, FILE_SENT, WINDOW, cost

MOST = 4 * CHUNK


class Full:
    """A file on a disk that has no more room."""

    def __init__(self, room=0):
        self.room = room
        self.data = b""
        self.at = 0
        self.closed = False

    def seek(self, at):
        self.at = at

    def write(self, data):
        if len(self.data) + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.data += data
        return len(data)

    def read(self, size):
        return self.data[self.at : self.at + size]

    def truncate(self, size):
        self.data = self.data[:size]

    def close(self):
        self.closed = True


def new_file():
    return TemporaryFile(buffering=0)  # what keeps the answer closes it


class World:
    """An answer that has begun, and whose client takes nothing more for now."""

    def __init__(self, most=MOST, new_file=None, keepers=None):
        self.keepers = keepers or KeptAnswers(most, new_file)
        self.client, self.line, self.end = FakeClient(), FakeDestination(), FakeEnd()
        head = RequestHead("GET", b"/", "1.1", [], False)
        self.exchange = Exchange(1, self.client, self.line, head)
        self.exchange.keepers = self.keepers
        self.exchange.mark_waiting()
        self.exchange.assigned_to(self.end, "worker 1")
        self.client.writable = False
        self.exchange.respond(200, NONE, b"begin ", True)
        self.given = cost(b"begin ")  # what the app has sent, as credit counts it

    def send(self, data, more=True):
        self.exchange.respond_body(data, more)
        self.given += cost(data)

    @property
    def goes_on(self):
        """Whether the app may send more."""
        return self.given - self.end.credit < WINDOW

    def reads(self):
        self.client.writable = True
        self.exchange.return_credit()


def test_what_a_slow_client_does_not_take_is_kept_and_the_app_is_through():
    world = World()
    world.send(b"middle ")
    world.send(b"end", more=False)
    assert world.client.body == b"begin "
    assert world.client.held_little
    world.exchange.done(None)
    assert world.exchange.state is ExchangeState.RESPONDING
    assert world.keepers.bytes == 2 * cost(b"")
    world.reads()
    assert (world.client.body, world.client.complete) == (b"begin middle end", True)
    assert world.exchange.state is ExchangeState.CLOSED
    assert world.keepers.bytes == 0
    assert world.end.of(FILE_SENT) == []


def test_a_client_that_has_taken_all_before_the_app_is_through():
    world = World()
    world.send(b"middle ")
    world.reads()
    assert world.client.body == b"begin middle "
    world.send(b"end", more=False)
    assert world.client.complete
    assert world.exchange.state is ExchangeState.ANSWERED
    assert world.end.of(FILE_SENT) == []
    world.exchange.done("something behind it")
    assert world.exchange.state is ExchangeState.CLOSED
    assert world.client.faults == ["something behind it"]


def test_an_answer_that_ends_with_nothing_ends_at_once():
    world = World()
    world.send(b"", more=False)
    assert world.client.complete
    world.exchange.done(None)
    assert world.exchange.state is ExchangeState.CLOSED


def test_the_app_waits_when_as_much_is_kept_as_may_be():
    world = World()
    sent = b"begin "
    while world.goes_on:
        world.send(b"x" * CHUNK)
        sent += b"x" * CHUNK
    assert MOST < world.keepers.bytes <= MOST + WINDOW + CHUNK
    world.reads()
    assert world.client.body == sent
    assert world.goes_on
    world.send(b"end", more=False)
    assert world.client.body == sent + b"end"


def test_all_answers_together_have_a_limit():
    keepers = KeptAnswers(MOST)
    worlds = [World(keepers=keepers) for _ in range(KEPT_AT_ONCE + 5)]
    for world in worlds:
        for _ in range(5):
            world.send(b"x" * CHUNK)
    assert worlds[0].end.credit == worlds[5].end.credit > worlds[-1].end.credit
    for world in worlds:
        world.exchange.client_gone()
    assert keepers.bytes == 0


@given(
    st.lists(st.tuples(st.integers(0, 2 * CHUNK), st.booleans(), st.booleans()), max_size=12),
    st.sampled_from([0, 1, MOST]),
    st.booleans(),
)
def test_nothing_is_lost_and_all_is_in_order(pieces, most, on_disk):
    if most == 0:
        on_disk = True
    world = World(most, new_file if on_disk else None)
    sent = b"begin "
    for number, (size, takes, stops) in enumerate(pieces):
        data = bytes([number]) * size
        sent += data
        world.send(data)
        if on_disk:
            assert world.goes_on
        if takes:
            world.reads()
        if stops:
            world.client.writable = False
    world.send(b"end", more=False)
    world.exchange.done(None)
    world.reads()
    assert (world.client.body, world.client.complete) == (sent + b"end", True)
    assert world.exchange.state is ExchangeState.CLOSED
    assert world.keepers.bytes == 0


def test_a_client_that_takes_a_little_at_a_time():
    world = World(0, new_file)
    for _ in range(4):
        world.send(b"x" * CHUNK)
    send = world.client.send_body

    def take_one(data, more):
        send(data, more)
        world.client.writable = False

    world.client.send_body = take_one
    for count in range(1, 5):
        world.reads()
        assert len(world.client.body) == len(b"begin ") + count * CHUNK
    world.exchange.client_gone()


def test_a_disk_that_is_full():
    file = Full(room=2 * CHUNK)
    world = World(0, lambda: file)
    sent = b"begin "
    while world.goes_on:
        world.send(b"x" * CHUNK)
        sent += b"x" * CHUNK
    assert len(sent) <= 3 * CHUNK + WINDOW, "the app waits, as if there were no disk"
    world.reads()
    assert world.client.body == sent
    assert world.goes_on
    world.send(b"end", more=False)
    assert world.client.complete
    assert file.closed


def test_a_file_that_can_not_be_read():
    file = Full(room=10 * CHUNK)
    world = World(0, lambda: file)
    world.send(b"x" * CHUNK)
    file.data = b""
    world.reads()
    assert world.client.broken
    assert world.client.faults == ["what was kept of the answer can't be read: it has become shorter"]
    assert world.end.of(DISCONNECT)
    assert file.closed


@pytest.mark.parametrize("through", [False, True])
def test_a_client_that_goes(through):
    file = Full(room=10 * CHUNK)
    world = World(CHUNK, lambda: file)
    for _ in range(5):
        world.send(b"x" * CHUNK)
    world.send(b"", more=not through)
    if through:
        world.exchange.done(None)
    world.exchange.client_gone()
    assert world.exchange.state is (ExchangeState.CLOSED if through else ExchangeState.ABANDONED)
    assert world.line.withdrawn == [], "it waits nowhere"
    assert world.keepers.bytes == 0
    assert file.closed
    assert bool(world.end.of(DISCONNECT)) is not through


@pytest.mark.parametrize("complete", [False, True])
def test_a_worker_that_dies(complete):
    world = World()
    world.send(b"middle ", more=not complete)
    world.exchange.lost()
    assert world.client.broken is not complete
    world.reads()
    assert world.client.complete is complete
    assert world.keepers.bytes == 0


def test_an_app_that_fails_in_the_middle():
    world = World()
    world.send(b"middle ")
    world.exchange.done("it failed")
    assert world.client.broken
    assert world.client.faults == ["it failed"]
    assert world.keepers.bytes == 0


def test_a_client_that_is_quick_has_nothing_kept():
    world = World()
    head = RequestHead("GET", b"/", "1.1", [], False)
    exchange = Exchange(2, FakeClient(), world.line, head)
    exchange.keepers = world.keepers
    exchange.assigned_to(world.end, "worker 1")
    exchange.respond(200, NONE, b"x", True)
    exchange.respond_body(b"y", True)
    assert exchange._rest is None

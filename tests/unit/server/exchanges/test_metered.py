"""server.exchanges.metered and server.exchanges.tally: what is counted of an exchange, and when."""

import pytest
from clients import ILLEGAL, FakeClient
from fakes import fake_of
from sinks import FakeDestination, FakeEnd

from snakepit.http.events import RequestHead
from snakepit.http.fields import NONE
from snakepit.server.exchanges import metered
from snakepit.server.exchanges.metered import Meter, MeteredWebSocketExchange, exchange_types
from snakepit.server.exchanges.tally import BOUNDS, CLASSES, METHODS, Busyness, Histogram, Tally
from snakepit.server.exchanges.websocket import WebSocketExchange


@fake_of(Meter)
class FakeMeter:
    def __init__(self):
        self.tallies = {}
        self.busyness = Busyness()
        self.left_out = set()

    def tally_of(self, destination):
        return None if destination in self.left_out else self.tallies.setdefault(destination, Tally())

    def busyness_of(self, worker):
        return self.busyness


class FakeWorker:
    """A worker's exchanges, and its end."""

    def __init__(self):
        self.exchanges = {}
        self.end = FakeEnd()

    def take(self, exchange):
        self.exchanges[exchange.number] = exchange
        exchange.assigned_to(self.end, "worker 1", self)

    def give(self, exchange):
        return self.exchanges.pop(exchange.number)


class World:
    def __init__(self):
        self.now = 100.0
        self.meter = FakeMeter()
        self.line = FakeDestination()
        self.worker = FakeWorker()
        self.number = 0
        self.make, _ = exchange_types(self.meter)

    def exchange(self, method="GET", body=b"", more=False):
        self.number += 1
        head = RequestHead(method, b"/", "1.1", [(b"host", b"t")], False, body=body, more=more)
        exchange = self.make(self.number, FakeClient(), self.line, head)
        exchange.began = self.now
        return exchange

    def assigned(self, after=0.0, **kwargs):
        exchange = self.exchange(**kwargs)
        self.now += after
        self.worker.take(exchange)
        return exchange

    @property
    def tally(self):
        return self.meter.tallies.get(self.line) or Tally()

    def counted(self):
        return {
            (method, status): count
            for method, counts in (*self.tally.answered.items(), ("other", self.tally.others))
            for status, count in zip(CLASSES, counts, strict=True)
            if count
        }


@pytest.fixture
def world(monkeypatch):
    world = World()
    monkeypatch.setattr(metered, "monotonic", lambda: world.now)
    return world


def test_a_whole_answer(world):
    exchange = world.assigned(after=0.25, body=b"1" * 100_000)
    world.now += 0.5
    world.worker.give(exchange).answer(200, NONE, b"hello")
    assert world.counted() == {("GET", "2xx"): 1}
    tally = world.tally
    assert (tally.waited.total, tally.worked.total, tally.took.total) == (0.25, 0.5, 0.75)
    assert (tally.received, tally.sent, tally.refused, tally.left) == (100_000, 5, 0, 0)


def test_the_time_with_proxies_counts_if_they_are_trusted(world, monkeypatch):
    monkeypatch.setattr(metered, "time", lambda: 1_800_000_000 + world.now)
    for trusted, expected in ((False, 0), (True, 1)):
        exchange = world.exchange()
        exchange.head.headers.append((b"x-request-start", b"t=%.3f" % (1_800_000_000 + world.now - 0.25)))
        exchange._http.is_trusted = trusted
        world.worker.take(exchange)
        world.now += 5.0
        world.worker.give(exchange).answer(200, NONE, b"")
        assert sum(world.tally.before.counts) == expected
    assert world.tally.before.total == pytest.approx(0.25, abs=0.001)


def test_an_answer_in_parts_is_counted_when_it_is_complete_and_its_app_time_ends_where_it_begins(world):
    exchange = world.assigned(method="POST", body=b"ab", more=True)
    exchange.add_body(b"cde", False)
    world.now += 1.0
    exchange.respond(201, NONE, b"x", True)
    world.now += 4.0
    assert world.counted() == {}
    exchange.respond_body(b"yz", False)
    assert world.counted() == {("POST", "2xx"): 1}
    world.now += 10.0
    world.worker.give(exchange).done(None)
    assert world.counted() == {("POST", "2xx"): 1}, "once"
    tally = world.tally
    assert (tally.worked.total, tally.took.total, tally.received, tally.sent) == (1.0, 5.0, 5, 3)


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda exchange: exchange.done("it failed"), "5xx"),
        (lambda exchange: exchange.lost(), "5xx"),
        (lambda exchange: exchange.lost(504), "5xx"),
        (lambda exchange: exchange.time_out("too late"), "5xx"),
        (lambda exchange: exchange.client_gone(), "none"),
        (lambda exchange: exchange.answer(200, ILLEGAL, b""), "5xx"),
        (lambda exchange: exchange.respond(200, ILLEGAL, b"", True), "5xx"),
        (lambda exchange: exchange.answer(404, NONE, b""), "4xx"),
        (lambda exchange: exchange.answer(999, NONE, b""), "other"),
    ],
)
def test_every_end_counts_once(world, end, status):
    exchange = world.assigned()
    world.worker.give(exchange)
    end(exchange)
    assert world.counted() == {("GET", status): 1}
    if exchange.state.name != "CLOSED":
        exchange.done(None)
    assert world.counted() == {("GET", status): 1}
    assert world.tally.took.counts[0] == 1


def test_a_client_that_goes_in_the_middle_of_the_answer(world):
    exchange = world.assigned()
    exchange.respond(200, NONE, b"x", True)
    exchange.client_gone()
    exchange.client_gone()
    assert (world.counted(), world.tally.left) == ({("GET", "2xx"): 1}, 1)


def test_an_answer_that_is_broken_off_and_a_body_that_is_too_long_are_no_clients_that_left(world):
    exchange = world.assigned()
    exchange.respond(200, NONE, b"x", True)
    exchange.respond_body(b"illegal", True)
    assert (world.counted(), world.tally.left) == ({("GET", "5xx"): 1}, 0)
    exchange = world.assigned(method="POST", body=b"1", more=True)
    exchange.body_left = 3
    exchange.add_body(b"2345", True)
    assert (world.counted(), world.tally.left) == ({("GET", "5xx"): 1, ("POST", "4xx"): 1}, 0)


def test_who_is_refused_had_no_worker(world):
    world.exchange().refuse(503, "full", [])
    world.exchange().refuse(404, "not here", [])
    tally = world.tally
    assert world.counted() == {("GET", "5xx"): 1, ("GET", "4xx"): 1}
    assert (tally.refused, sum(tally.waited.counts), sum(tally.took.counts)) == (1, 0, 2)


def test_an_answer_without_a_worker(world):
    world.exchange().reply(200, NONE, b"hello")
    stream = world.exchange()
    stream.begin_reply(200, NONE, b"abc")
    stream.add_to_reply(b"de", more=False)
    assert (world.counted(), world.tally.sent) == ({("GET", "2xx"): 2}, 10)


def test_what_goes_elsewhere_counts_where_it_came_from(world):
    class Refusing(FakeDestination):
        def submit(self, exchange):
            exchange.refuse(503, "stopped", [])

    exchange = world.exchange()
    exchange.redirect(Refusing())
    assert (world.counted(), world.tally.refused) == ({("GET", "5xx"): 1}, 1)


def test_what_does_not_count(world):
    world.meter.left_out.add(world.line)
    for exchange in (world.exchange(), world.exchange(), world.exchange()):
        if exchange.number == 1:
            exchange.client_gone()
        elif exchange.number == 2:
            exchange.refuse(503, "", [])
        else:
            exchange.reply(200, NONE, b"")
    assert world.meter.tallies == {}


def test_methods_that_clients_make_up(world):
    for method in (*METHODS, "BREW", "WHEN", "get"):
        world.worker.give(world.assigned(method=method)).answer(200, NONE, b"")
    assert world.counted() == {**{(method, "2xx"): 1 for method in METHODS}, ("other", "2xx"): 3}


def test_an_exchange_that_comes_back_waits_on(world):
    exchange = world.assigned(after=1.0)
    exchange = world.worker.give(exchange)
    exchange.unassign([])
    world.now += 2.0
    world.worker.take(exchange)
    world.worker.give(exchange).answer(200, NONE, b"")
    assert (world.tally.waited.total, world.tally.worked.total, sum(world.tally.waited.counts)) == (3.0, 0.0, 1)


def test_how_long_a_worker_is_busy(world):
    busyness = world.meter.busyness
    first = world.assigned()
    world.now += 1.0
    second = world.assigned()
    assert busyness.until(world.now) == 1.0
    world.now += 1.0
    world.worker.give(first).answer(200, NONE, b"")
    world.now += 1.0
    second.client_gone()  # which the worker may not have heard yet
    world.now += 1.0
    world.worker.give(second).done(None)
    world.now += 10.0
    assert (busyness.seconds, busyness.since, busyness.until(world.now)) == (4.0, None, 4.0)
    back = world.assigned()
    world.now += 1.0
    world.worker.give(back).unassign([])
    world.now += 10.0
    assert busyness.until(world.now) == 5.0


def test_a_session_on_a_websocket_counts_without_its_length(world):
    _, kind = exchange_types(world.meter)
    assert issubclass(kind, MeteredWebSocketExchange)
    assert issubclass(kind, WebSocketExchange)
    head = RequestHead("GET", b"/", "1.1", [(b"host", b"t")], False)
    exchange = kind(1, FakeClient(), world.line, head, None, 32)
    world.worker.take(exchange)
    world.now += 1.0
    exchange._to(exchange.state.RESPONDING)  # as when the app accepts it
    exchange.status = 101
    world.now += 100.0
    assert world.counted() == {}
    exchange.lost()
    assert world.counted() == {("GET", "1xx"): 1}
    assert (sum(world.tally.took.counts), world.tally.worked.total) == (0, 1.0)


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.001, 0), (0.0011, 1), (60.0, len(BOUNDS) - 1), (61, -1)])
def test_buckets(seconds, bucket):
    histogram = Histogram()
    histogram.add(seconds)
    assert (histogram.counts[bucket], sum(histogram.counts), histogram.total) == (1, 1, seconds)

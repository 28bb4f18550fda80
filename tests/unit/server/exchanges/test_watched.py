"""server.exchanges.watched and server.exchanges.tally: what is known of an exchange when it is over, and how counters
count it."""

import pytest
from clients import ILLEGAL, FakeClient, FakeSession
from sinks import FakeDestination, FakeEnd

from snakepit.http.events import RequestHead
from snakepit.http.fields import NONE
from snakepit.server.exchanges import watched
from snakepit.server.exchanges.tally import CLASSES, METHODS, Exemplar, Histogram
from snakepit.server.exchanges.watched import WatchedWebSocketExchange, exchange_types
from snakepit.server.exchanges.websocket import WebSocketExchange
from snakepit.server.monitor import counters
from snakepit.server.monitor.counters import Counters
from snakepit.system.buckets import BOUNDS
from snakepit.wire import envelopes


class App:
    """An app whose requests one line gets."""

    name = "/"

    def __init__(self, line):
        self.line = line

    def has_led_to(self, destination):
        return destination is self.line


class FakeWorker:
    """A worker's exchanges, and its end."""

    def __init__(self):
        self.exchanges = {}
        self.busyness = None
        self.end = FakeEnd()

    def take(self, exchange):
        self.exchanges[exchange.number] = exchange
        exchange.assigned_to(self.end, "worker 1", self)

    def give(self, exchange):
        return self.exchanges.pop(exchange.number)


class World:
    def __init__(self):
        self.now = 100.0
        self.line = FakeDestination()
        self.counters = Counters([App(self.line)])
        self.worker = FakeWorker()
        self.number = 0
        self.make, self.make_websocket = exchange_types([self.counters], self.counters)

    def exchange(self, method="GET", body=b"", more=False):
        self.number += 1
        head = RequestHead(method, b"/", "1.1", [(b"host", b"t")], False, body=body, more=more)
        exchange = self.make(self.number, FakeClient(), self.line, head)
        exchange.began = self.now
        return exchange

    def session(self, headers=()):
        self.number += 1
        head = RequestHead("GET", b"/", "1.1", [*headers], False)
        session = self.make_websocket(self.number, FakeSession(), self.line, head, None, 32)
        session.began = self.now
        return session

    def assigned(self, after=0.0, **kwargs):
        exchange = self.exchange(**kwargs)
        self.now += after
        self.worker.take(exchange)
        return exchange

    @property
    def tally(self):
        return self.counters.tally_of(self.line)

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
    for module in (watched, counters):
        monkeypatch.setattr(module, "monotonic", lambda: world.now)
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
    monkeypatch.setattr(watched, "time", lambda: 1_800_000_000 + world.now)
    for trusted, expected in ((False, 0), (True, 1)):
        exchange = world.exchange()
        exchange.head.headers.append((b"x-request-start", b"t=%.3f" % (1_800_000_000 + world.now - 0.25)))
        exchange._http.is_trusted = trusted
        world.worker.take(exchange)
        world.now += 5.0
        world.worker.give(exchange).answer(200, NONE, b"")
        assert sum(world.tally.before.counts) == expected
    assert world.tally.before.total == pytest.approx(0.25, abs=0.001)


def test_a_body_that_can_not_be_kept_is_no_client_that_left(world):
    class FullDisk:
        data, rest = bytearray(), None

        def add(self, data, more):
            raise OSError("no space left")

    exchange = world.exchange(method="POST", more=True)
    exchange.keep_body(FullDisk(), None)
    exchange.add_body(b"x", True)
    assert world.counted() == {("POST", "5xx"): 1}
    assert world.tally.left == 0


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


def test_a_server_that_stops_is_no_client_that_left(world):
    exchange = world.assigned()
    exchange.respond(200, NONE, b"x", True)
    exchange.client_gone(stopping=True)
    assert (world.counted(), world.tally.left, exchange.client_left) == ({("GET", "2xx"): 1}, 0, False)


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
    world.counters.leave_out(world.line)
    for exchange in (world.exchange(), world.exchange(), world.exchange()):
        if exchange.number == 1:
            exchange.client_gone()
        elif exchange.number == 2:
            exchange.refuse(503, "", [])
        else:
            exchange.reply(200, NONE, b"")
    assert world.tally is None
    assert not any(sum(counts) for counts in world.counters.by_app()["/"].answered.values())


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
    first = world.assigned()
    busyness = world.worker.busyness
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
    assert issubclass(world.make_websocket, WatchedWebSocketExchange)
    assert issubclass(world.make_websocket, WebSocketExchange)
    exchange = world.session()
    world.worker.take(exchange)
    world.now += 1.0
    exchange.handle(envelopes.accept(1, None, NONE))
    world.now += 100.0
    assert world.counted() == {}
    exchange.lost()
    assert world.counted() == {("GET", "1xx"): 1}
    assert (sum(world.tally.took.counts), world.tally.worked.total) == (0, 1.0)


def test_the_time_with_proxies_of_a_websocket(world, monkeypatch):
    monkeypatch.setattr(watched, "time", lambda: 1_800_000_000 + world.now)
    headers = [(b"host", b"t"), (b"x-request-start", b"t=%.3f" % (1_800_000_000 + world.now - 0.25))]
    exchange = world.session(headers)
    exchange._http.is_trusted = True
    world.worker.take(exchange)
    exchange.handle(envelopes.accept(1, None, NONE))
    exchange.client_closed(1001, "")
    assert world.tally.before.total == pytest.approx(0.25, abs=0.001)


class Seeing:
    """A watcher that notes what it hears."""

    def __init__(self):
        self.heard = []

    def switched(self, exchange):
        self.heard.append(("switched", exchange.number, exchange.status))

    def over(self, exchange):
        self.heard.append(("over", exchange.number, exchange.status))


def test_several_watch(world):
    one, two = Seeing(), Seeing()
    world.make, world.make_websocket = exchange_types([one, two])
    world.worker.give(world.assigned()).answer(200, NONE, b"")
    session = world.session()
    world.worker.take(session)
    session.handle(envelopes.accept(2, None, NONE))
    session.lost()
    assert one.heard == two.heard == [("over", 1, 200), ("switched", 2, 101), ("over", 2, 101)]


def test_what_is_known_of_a_request(world):
    exchange = world.assigned(after=0.25, body=b"abc")
    assert (exchange.queue_seconds, exchange.app_seconds) == (0.25, None)
    world.now += 0.5
    assert exchange.total_seconds == 0.75
    exchange.respond(200, (b"a: b\r\n", 0, None), b"12", True)
    world.now += 1.0
    exchange.respond_body(b"345", False)
    world.now += 9.0
    assert (exchange.queue_seconds, exchange.app_seconds, exchange.total_seconds) == (0.25, 0.5, 1.75)
    assert (exchange.fields[0], exchange.body_sent, exchange.body_received) == (b"a: b\r\n", 5, 3)
    assert not exchange.client_left


def test_bodies_that_are_not_sent(world):
    for method, status, length in (("HEAD", 200, 0), ("GET", 204, 0), ("GET", 304, 0), ("GET", 200, 5)):
        exchange = world.assigned(method=method)
        world.worker.give(exchange).answer(status, NONE, b"hello")
        assert exchange.body_sent == length


def test_what_is_sent_in_place_of_an_answer(world):
    exchange = world.assigned()
    world.worker.give(exchange).done("it failed")
    exchange.error_sent((b"x: y\r\n", 0, None), b"sorry")  # as the connection does
    assert (exchange.status, exchange.fields[0], exchange.body_sent) == (500, b"x: y\r\n", 5)


TRACE = b"00-" + b"a" * 32 + b"-" + b"b" * 16


def test_exemplars_are_of_traces_that_are_kept(world):
    def answered(flags, after):
        exchange = world.assigned()
        exchange.head.headers.append((b"traceparent", TRACE + flags))
        world.now += after
        world.worker.give(exchange).answer(200, NONE, b"")

    answered(b"-00", 0.004)
    assert world.tally.took.exemplars == {}
    world.now += counters.EXEMPLAR_SECONDS
    answered(b"-01", 0.004)
    [(bucket, found)] = world.tally.took.exemplars.items()
    assert (bucket, found.trace_id) == (2, "a" * 32)
    assert found.seconds == pytest.approx(0.004)
    assert list(world.tally.worked.exemplars) == [2]
    assert list(world.tally.waited.exemplars) == [0]
    answered(b"-01", 0.0045)
    assert world.tally.took.exemplars[2] is found, "another one a second later"
    answered(b"-01", 2.0)
    assert world.tally.took.exemplars.keys() == {2, 10}, "slow ones at once"
    world.now += counters.EXEMPLAR_SECONDS
    answered(b"-01", 0.0045)
    assert world.tally.took.exemplars[2] is not found


def test_an_exemplar_is_in_the_bucket_of_its_time():
    histogram = Histogram()
    assert histogram.add(0.2) == 7
    histogram.set_exemplar(Exemplar("a", 0.2, 1.0))
    assert list(histogram.exemplars) == [7]


@pytest.mark.parametrize(("seconds", "bucket"), [(0.0, 0), (0.001, 0), (0.0011, 1), (60.0, len(BOUNDS) - 1), (61, -1)])
def test_buckets(seconds, bucket):
    histogram = Histogram()
    histogram.add(seconds)
    assert (histogram.counts[bucket], sum(histogram.counts), histogram.total) == (1, 1, seconds)

"""server.monitor.counters: whose exchange is counted where."""

from types import SimpleNamespace

from sinks import FakeDestination

from snakepit.server.monitor import counters as counters_module
from snakepit.server.monitor.counters import Counters


class FakeApp:
    def __init__(self, name):
        self.name = name
        self.pool = SimpleNamespace(queue=FakeDestination())
        self.destination = self.pool.queue

    def has_led_to(self, destination):
        return destination in (self.destination, self.pool.queue)


class Worker:
    """Anything that can be a key."""


def test_an_app_is_found_by_its_queue_and_by_what_stands_before_or_in_place_of_it():
    one, two = FakeApp("/one"), FakeApp("/two")
    counters = Counters([one, two])
    tally = counters.tally_of(one.pool.queue)
    assert tally is counters.tally_of(one.pool.queue)
    two.destination = FakeDestination()
    assert counters.tally_of(two.destination) is counters.tally_of(two.pool.queue) is not tally
    assert counters.by_app() == {
        "": counters.tally_of(FakeDestination()),
        "/one": tally,
        "/two": counters.tally_of(two.destination),
    }


def test_what_is_left_out():
    page, other = FakeDestination(), FakeDestination()
    counters = Counters([], [page])
    assert counters.tally_of(page) is None
    counters.leave_out(other)
    assert counters.tally_of(other) is counters.tally_of(page) is None


def test_an_app_that_goes_is_forgotten_and_begins_anew():
    one, two = FakeApp("/one"), FakeApp("/two")
    apps = [one, two]
    counters = Counters(apps)
    for app in apps:
        counters.tally_of(app.destination).left = 7
    apps.remove(one)
    assert {name: tally.left for name, tally in counters.by_app().items()} == {"": 0, "/two": 7}
    apps.append(one)
    assert counters.tally_of(one.destination).left == 0
    assert counters.by_app()["/one"] is counters.tally_of(one.destination)
    assert counters.tally_of(two.destination).left == 7


def test_destinations_that_have_gone_are_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr(counters_module, "MOST_KNOWN", 3)
    app = FakeApp("/")
    counters = Counters([app])
    counters.tally_of(app.destination).left = 1
    for _ in range(10):
        counters.tally_of(FakeDestination())
        assert len(counters._known) <= 3
    assert counters.tally_of(app.destination).left == 1


def test_a_worker_is_told_of():
    seen = []
    counters, worker = Counters([], seen=seen.append), Worker()
    assert counters.new_busyness(worker).until(5.0) == 0.0
    assert seen == [worker]

"""server.dashboard.watchers: the state once a second, for all who watch."""

import json

import pytest
from clients import FakeClient
from fakes import fake_of
from playing import TimerLoop

from snakepit.http.events import RequestHead
from snakepit.server.dashboard.watchers import MOST, PERIOD, STALLED, Watched, Watchers, event
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.lifecycle import ExchangeState


@fake_of(Watched)
class Server:
    """Counts how often it is looked at."""

    def __init__(self):
        self.looks = self.asked = 0

    def ask_workers(self):
        self.asked += 1

    def look(self):
        self.looks += 1
        return {"look": self.looks}

    def past(self):
        return [{"time": 1}]


class World:
    def __init__(self, monkeypatch):
        self.loop, self.server = TimerLoop(), Server()
        self.news = (0, {"errors": []})
        self.watchers = Watchers(self.server, lambda: self.news, self.loop)
        self.numbers = iter(range(1, 1000))
        monkeypatch.setattr("snakepit.server.dashboard.watchers.monotonic", lambda: self.loop.now)

    def watch(self):
        exchange = Exchange(next(self.numbers), FakeClient(), self, RequestHead("GET", b"/", "1.1", [], False))
        self.watchers.add(exchange)
        return exchange

    def withdraw(self, exchange):
        self.watchers.discard(exchange)


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


def events(exchange):
    """What a browser makes of what came: names and data."""
    found = []
    for text in exchange._client.body.decode().split("\n\n")[:-1]:
        name, data = text.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def states(exchange):
    return [data["look"] for name, data in events(exchange) if name == "state"]


def test_nothing_is_looked_at_while_nobody_watches(world):
    world.loop.advance(60)
    assert (world.server.looks, world.server.asked, world.loop.pending) == (0, 0, [])


def test_one_look_a_second_is_for_all(world):
    one = world.watch()
    assert events(one) == [("past", [{"time": 1}]), ("state", {"look": 1}), ("listed", {"errors": []})]
    assert b"content-type: text/event-stream" in one._client.fields[0]
    other = world.watch()
    assert states(other) == [1], "the same one"
    world.loop.advance(3 * PERIOD)
    assert states(one) == states(other) == [1, 2, 3, 4]
    assert (world.server.looks, world.server.asked) == (4, 4)


def test_what_changes_rarely_is_sent_when_it_has_changed(world):
    one = world.watch()
    world.loop.advance(2 * PERIOD)
    world.news = (1, {"errors": ["it failed"]})
    other = world.watch()
    world.loop.advance(2 * PERIOD)
    for exchange in (one, other):
        assert [data for name, data in events(exchange) if name == "listed"][-1] == {"errors": ["it failed"]}
    assert [name for name, _ in events(one)].count("listed") == 2
    assert [name for name, _ in events(other)].count("listed") == 1


def test_one_that_is_slow_skips_states_and_hears_what_it_missed(world):
    slow, quick = world.watch(), world.watch()
    slow._client.writable = False
    world.news = (1, {"errors": ["it failed"]})
    world.loop.advance(STALLED / 2)
    slow._client.writable = True
    world.loop.advance(PERIOD)
    assert states(slow) == [1, states(quick)[-1]]
    assert events(slow)[-1] == ("listed", {"errors": ["it failed"]})


def test_one_that_takes_nothing_is_ended(world):
    stuck, other = world.watch(), world.watch()
    stuck._client.writable = False
    world.loop.advance(STALLED + 2 * PERIOD)
    assert stuck._client.broken
    assert stuck.state is ExchangeState.CLOSED
    assert len(world.watchers) == 1
    assert not other._client.over


def test_there_may_be_so_many(world):
    watching = [world.watch() for _ in range(MOST)]
    refused = world.watch()
    assert refused._client.status == 503
    assert b"retry-after" in refused._client.fields[0]
    watching[0].client_gone()
    assert world.watch()._client.status == 200


def test_when_the_last_has_gone_nothing_is_looked_at(world):
    one, other = world.watch(), world.watch()
    for exchange in (one, other):
        exchange.client_gone()
    assert not world.loop.pending
    again = world.watch()
    assert states(again) == [2]


def test_a_browser_that_goes_while_it_is_answered(world):
    one, other = world.watch(), world.watch()
    one._client.send_body = lambda data, more: one.client_gone()
    world.loop.advance(PERIOD)
    assert len(world.watchers) == 1
    assert states(other) == [1, 2]


def test_the_end(world):
    one = world.watch()
    world.watchers.close()
    assert one._client.complete
    assert not world.loop.pending
    assert world.watch()._client.status == 503


def test_an_event_is_on_one_line_whatever_is_in_it():
    assert event("x", {"text": "a\nb\r\u2028\n\nevent: y"}).count(b"\n") == 3

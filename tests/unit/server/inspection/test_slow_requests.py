"""snakepit.server.inspection.slow: which requests are noted, when, and for how long."""

import types

import pytest
from clients import FakeClient
from ready_pools import Ready, play

from snakepit.http.events import RequestHead
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.inspection import slow
from snakepit.server.inspection.commands import slow_commands
from snakepit.server.inspection.slow import KEPT, LEAST_PAUSE, PAUSE, PAUSE_WHILE_SLOW, SlowRequests
from snakepit.wire import envelopes

HTTP = RequestHead("GET", b"/report?token=secret", "1.1", [], False)


class Watched(Ready):
    """A pool, a clock, and what is noted of its requests."""

    def __init__(self):
        super().__init__(1)
        self.now = 100.0
        self.slow = SlowRequests([types.SimpleNamespace(name="main:app", pool=self.pool)], self.loop, lambda: self.now)

    def begin(self, head=HTTP, ago=0.0):
        self.number += 1
        exchange = Exchange(self.number, FakeClient(), self.pool.queue, head)
        exchange.began = self.now - ago
        self.pool.queue.submit(exchange)
        return exchange

    def says(self, envelope):
        self.workers[0]._take([envelope])

    def end(self, exchange, status=200):
        self.says(envelopes.answer(exchange.number, status, (b"", 0, None), b""))

    def told(self, *keys):
        return [tuple(told[key] for key in keys) for told in self.slow.told()]


def test_a_request_is_noted_when_it_has_taken_long():
    async def scenario(ready):
        exchange = ready.begin()
        assert ready.slow.look() == PAUSE
        ready.now += 0.8
        assert ready.slow.look() == pytest.approx(0.2)
        assert ready.told("path") == []
        ready.now += 0.199
        assert ready.slow.look() == LEAST_PAUSE
        ready.now += 0.001 + 1e-6
        assert ready.slow.look() == PAUSE_WHILE_SLOW
        assert ready.told("method", "path", "app", "worker", "status", "state", "streams", "ended_ago") == [
            ("GET", "/report", "main:app", "worker 1", None, "running", False, None)
        ]
        ready.now += 2
        ready.end(exchange, 503)
        assert ready.slow.look() == PAUSE
        ready.now += 5
        assert ready.told("seconds", "status", "state", "ended_ago") == [(3.0, 503, "done", 5.0)]

    play(scenario, of=Watched)


def test_a_request_that_is_back_in_the_queue_has_no_worker():
    async def scenario(ready):
        exchange = ready.begin(ago=2)
        ready.slow.look()
        exchange.unassign([])
        exchange.mark_waiting()
        assert ready.told("worker", "state") == [("no worker", "waiting")]

    play(scenario, of=Watched)


def test_what_is_over_in_time_is_not_noted():
    async def scenario(ready):
        ready.end(ready.begin(ago=0.9))
        ready.now += 10
        assert ready.told("path") == []

    play(scenario, of=Watched)


def test_a_note_does_not_keep_the_request_when_it_is_over():
    async def scenario(ready):
        exchange = ready.begin(ago=2)
        ready.slow.look()
        ready.end(exchange)
        ready.slow.look()
        assert not ready.slow._in_flight
        assert [note.exchange for _, _, note in ready.slow._ended] == [None]

    play(scenario, of=Watched)


def test_an_answer_that_began_in_time_is_a_stream():
    async def scenario(ready):
        exchange = ready.begin()
        ready.says(envelopes.response(exchange.number, 200, (b"", None, None), b"", True))
        ready.now += 1.5
        other = ready.begin(ago=1.2)
        ready.slow.look()
        ready.says(envelopes.response(other.number, 200, (b"", None, None), b"", True))
        assert ready.told("streams", "state", "status") == [(True, "responding", 200), (False, "responding", 200)]

    play(scenario, of=Watched)


def test_the_slowest_are_kept_and_for_some_minutes(monkeypatch):
    monkeypatch.setattr(slow, "MOST_ENDED", 3)

    async def scenario(ready):
        exchanges = [ready.begin(ago=ago) for ago in (5, 2, 9, 3, 7)]
        ready.slow.look()
        for exchange in exchanges:
            ready.end(exchange)
        assert [seconds for (seconds,) in ready.told("seconds")] == [9, 7, 5]
        ready.now += KEPT - 1
        assert len(ready.slow.told()) == 3
        ready.now += 1
        assert ready.slow.told() == []

    play(scenario, of=Watched)


def test_those_in_flight_are_bounded(monkeypatch):
    monkeypatch.setattr(slow, "MOST_IN_FLIGHT", 2)

    async def scenario(ready):
        for _ in range(5):
            ready.begin(ago=2)
        assert len(ready.slow.told()) == 2

    play(scenario, of=Watched)


def test_where_a_look_takes_long_the_next_one_comes_later():
    async def scenario(ready):
        readings = iter([ready.now, ready.now + 0.01])
        ready.slow._clock = lambda: next(readings)
        assert ready.slow.look() == pytest.approx(0.01 * slow.TIMES)

    play(scenario, of=Watched)


def test_it_looks_until_it_is_closed():
    async def scenario(ready):
        ready.slow.start()
        timer = ready.slow._timer
        assert not timer.cancelled()
        ready.slow.close()
        assert timer.cancelled()
        assert await slow_commands(ready.slow)["slow"]({}) == {"requests": []}

    play(scenario, of=Watched)
    SlowRequests([], None).close()

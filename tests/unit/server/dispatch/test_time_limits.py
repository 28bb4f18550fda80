"""What happens to an exchange that a worker does not begin to answer in time, with a worker that only takes notes."""

import pytest
from clients import FakeClient
from fakes import fake_of
from playing import TimerLoop
from sinks import FakeEnd

from snakepit.http.events import RequestHead
from snakepit.http.fields import NONE
from snakepit.server.dispatch.observer import QueueObserver
from snakepit.server.dispatch.time_limits import GRACE_BEHIND_BUSY_LOOP, LEAST_SECONDS_TO_END, TimeLimits
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.workers.watchdog_line import WatchdogLine
from snakepit.server.workers.worker import WorkerHandle


@fake_of(WatchdogLine)
class Watchdog:
    """Keeps what it is to end."""

    def __init__(self):
        self.to_end = []

    def end_exchange(self, exchange):
        self.to_end.append(exchange)


@fake_of(WorkerHandle)
class Worker:
    """Has all exchanges until the test takes them away, and is blocked where the test says so."""

    def __init__(self):
        self.watchdog = Watchdog()
        self.blocked = False
        self.exchanges = {}

    def is_blocked_by_another(self, exchange):
        return self.blocked

    def has(self, exchange):
        return self.exchanges.get(exchange.number) is exchange


class World:
    """One exchange in a worker, and a clock."""

    def __init__(self, seconds):
        self.loop = TimerLoop()
        self.stuck = []
        self.limits = TimeLimits(seconds, lambda *which: self.stuck.append(which), self.loop, QueueObserver())
        self.worker, self.client = Worker(), FakeClient()
        self.exchange = Exchange(1, self.client, None, RequestHead("GET", b"/", "1.1", [], False))
        self.exchange.assigned_to(FakeEnd(), "worker 1", self.worker)
        self.worker.exchanges[1] = self.exchange
        self.limits.start(self.exchange)

    def after(self, seconds):
        """Let time pass; returns whether the exchange was ended."""
        self.loop.advance(seconds)
        return self.worker.watchdog.to_end == [self.exchange]


def test_who_begins_in_time_is_left_alone():
    world = World(5.0)
    assert not world.after(4.9)
    world.exchange.respond(200, NONE, b"", True)
    assert not world.after(100.0)


@pytest.mark.parametrize("seconds", [1.0, 5.0])
def test_who_does_not_is_ended_and_gets_as_long_for_that(seconds):
    world = World(seconds)
    assert world.after(seconds)
    assert world.exchange.status == 504
    to_end = max(seconds, LEAST_SECONDS_TO_END)
    world.after(to_end - 0.01)
    assert not world.stuck
    world.after(0.01)
    assert world.stuck == [(world.worker, world.exchange)]


def test_who_ends_meanwhile_is_not_told_of():
    world = World(5.0)
    assert world.after(5.0)
    del world.worker.exchanges[1]
    world.after(100.0)
    assert not world.stuck


def test_behind_a_loop_that_another_blocks_there_is_more_time():
    world = World(5.0)
    world.worker.blocked = True
    assert not world.after(5.0 + GRACE_BEHIND_BUSY_LOOP - 0.01)
    assert world.after(0.01)


def test_nothing_falls_due_after_the_end():
    world = World(5.0)
    world.limits.close()
    assert not world.after(100.0)
    assert not world.loop.pending

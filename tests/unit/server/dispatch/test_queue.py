"""snakepit.server.dispatch.queue: exchanges of one loop iteration go to a worker in batches while they are quick."""

import asyncio
from collections import Counter

import pytest
from clients import FakeClient
from ready_pools import play

from snakepit.http.events import RequestHead
from snakepit.http.fields import NONE
from snakepit.server.dispatch import queue
from snakepit.server.dispatch.queue import BATCH_SECONDS, BATCH_SIZE, CROWDED_BATCH_SECONDS
from snakepit.server.exchanges.exchange import Exchange
from snakepit.system.cpus import Cpus
from snakepit.wire import envelopes


@pytest.fixture(autouse=True)
def cpus(monkeypatch):
    """There are CPUs enough, unless a test says otherwise."""

    def have(count):
        monkeypatch.setattr(queue, "usable_cpus", lambda: Cpus(count, "so the test says"))

    have(64)
    return have


@pytest.mark.parametrize("pace", [None, BATCH_SECONDS, 1.0])
def test_each_goes_to_the_least_loaded_where_it_takes_long(pace):
    async def scenario(ready):
        if pace is not None:
            ready.pace(pace)
        assert Counter(ready.submit(12)) == {"worker 1": 3, "worker 2": 3, "worker 3": 3, "worker 4": 3}

    play(scenario, 4)


def test_quick_ones_of_one_iteration_go_together():
    async def scenario(ready):
        ready.pace(1e-6)
        first = ready.submit(3)
        assert len(set(first)) == 1
        await asyncio.sleep(0)
        second = ready.submit(3)
        assert len(set(second)) == 1
        assert set(first) != set(second)

    play(scenario, 2)


def test_a_batch_has_its_limits():
    async def scenario(ready):
        ready.pace(1e-9)
        assert Counter(ready.submit(BATCH_SIZE + 1)) == {"worker 1": BATCH_SIZE, "worker 2": 1}
        await asyncio.sleep(0)
        ready.pace(BATCH_SECONDS / 2.5)
        assert Counter(ready.submit(2)) == {"worker 2": 2}
        assert set(ready.submit(1)) == {"worker 2"}, "a new batch, for the least loaded"

    play(scenario, 2)


def test_a_batch_ends_where_the_worker_is_full_or_exchanges_wait():
    async def scenario(ready):
        ready.pace(1e-9)
        assert Counter(ready.submit(5)) == {"worker 1": 2, "worker 2": 2, "no worker": 1}
        assert ready.pool.queue.waiting == 1

    play(scenario, 2, 2)


def test_batches_are_larger_where_workers_have_no_cpu_each(cpus):
    async def scenario(ready):
        ready.pace(BATCH_SECONDS / 2)
        size = int(CROWDED_BATCH_SECONDS / (BATCH_SECONDS / 2))
        assert Counter(ready.submit(size + 1)) == {"worker 1": size, "worker 2": 1}

    cpus(2)
    play(scenario, 2)


def test_a_batch_goes_to_where_its_first_is_at_home():
    async def scenario(ready):
        ready.pace(1e-9)
        homes = [ready.workers[2], ready.workers[0], None, ready.workers[1]]
        assert Counter(ready.submit(4, homes)) == {"worker 3": 4}
        await asyncio.sleep(0)
        assert Counter(ready.submit(3, homes[1:])) == {"worker 1": 3}

    play(scenario, 3)


def test_each_goes_home_where_it_takes_long():
    async def scenario(ready):
        ready.pace(1.0)
        homes = [ready.workers[2], ready.workers[0], ready.workers[1]]
        assert ready.submit(3, homes) == ["worker 3", "worker 1", "worker 2"]

    play(scenario, 3)


def test_one_that_is_in_a_worker_is_interrupted():
    async def scenario(ready):
        exchanges = exchanges_of(ready, 3)
        first, _, waits = exchanges
        queue_of, worker = ready.pool.queue, ready.workers[0]
        assert list(queue_of.exchanges) == exchanges
        assert queue_of.interrupt(first, "test", "by the test")
        assert first.timed_out
        assert first._client.sent == ["by the test; ending it", 504]
        assert worker.watchdog._timed_out == {first.number: first}
        assert not queue_of.interrupt(first, "test", "again")
        assert not queue_of.interrupt(waits, "test", "that waits")
        worker._take([envelopes.done(first.number, None)])
        assert waits.served_by == "worker 1"
        assert queue_of.interrupt(waits, "test", "by the test")

    play(scenario, 1, 2)


def test_a_session_and_what_a_worker_is_through_with_are_not_interrupted():
    async def scenario(ready):
        session, answered, open_answer = exchanges_of(ready, 3)
        session.respond(101, NONE, b"", True)
        open_answer.respond(200, NONE, b"", True)
        worker = ready.workers[0]
        worker._take([envelopes.answer(answered.number, 200, NONE, b"")])
        for exchange in (session, answered):
            assert not ready.pool.queue.interrupt(exchange, "test", "by the test")
        assert ready.pool.queue.interrupt(open_answer, "test", "by the test")
        assert open_answer._client.broken

    play(scenario, 1)


def exchanges_of(ready, count):
    """Submit some, and return them."""
    made = [
        Exchange(number, FakeClient(), ready.pool.queue, RequestHead("GET", b"/", "1.1", [], False))
        for number in range(1, count + 1)
    ]
    for exchange in made:
        ready.pool.queue.submit(exchange)
    return made

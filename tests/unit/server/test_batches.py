"""snakepit.server.pool.pool: exchanges of one loop iteration go to a worker in batches while they are quick."""

import asyncio
from collections import Counter

import pytest
from test_exchange import FakeClient

from snakepit.http.events import RequestHead
from snakepit.server.dispatch.queue import BATCH_SECONDS, BATCH_SIZE
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.pool.observer import Observer
from snakepit.server.pool.options import PoolOptions
from snakepit.server.pool.pool import Pool
from snakepit.server.workers.runtimes import InterpreterRuntime
from snakepit.server.workers.worker import WorkerHandle
from snakepit.wire import envelopes
from snakepit.wire.carrier import discard


class Ready:
    """A pool of workers that were never started, but said that they are ready."""

    def __init__(self, workers, capacity=1000):
        self.loop = asyncio.get_running_loop()
        options = PoolOptions(workers, 1, capacity, None, 1000, 30.0, "asgi", "interpreter", {})
        self.pool = Pool(options, Observer(), self.loop)
        self.workers = [
            WorkerHandle(number, {}, InterpreterRuntime(1), self.pool, self.loop) for number in range(1, workers + 1)
        ]
        for worker in self.workers:
            worker._take([envelopes.loaded("asgi", 0.0, [], [], []), envelopes.ready(0.0)])
        self.number = 0

    def pace(self, seconds):
        self.workers[0]._take([envelopes.cpu_per_request(seconds)])

    def submit(self, count):
        """Submit exchanges; returns by whom each is served."""
        exchanges = []
        for _ in range(count):
            self.number += 1
            exchanges.append(Exchange(self.number, FakeClient(), self.pool, RequestHead("GET", b"/", "1.1", [], False)))
            exchanges[-1].begin(b"", False)
            self.pool.submit(exchanges[-1])
        return [exchange.served_by for exchange in exchanges]


def play(scenario, *args, of=Ready):
    async def main():
        ready = of(*args)
        try:
            await scenario(ready)
        finally:
            for worker in ready.workers:
                for end in worker._listening:
                    end.close()
                for channel in worker._runtime.channels:
                    discard(channel.address)

    asyncio.run(main())


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

"""snakepit.server.dispatch.queue: exchanges of one loop iteration go to a worker in batches while they are quick."""

import asyncio
from collections import Counter

import pytest
from ready_pools import play

from snakepit.server.dispatch.queue import BATCH_SECONDS, BATCH_SIZE


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

"""Real pools of workers that were never started, but reported that they are ready: for tests of dispatching."""

import asyncio
import itertools

from clients import FakeClient

from snakepit.http.events import RequestHead
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

    def submit(self, count, homes=()):
        """Submit exchanges, at home where `homes` says; returns by whom each is served."""
        exchanges = []
        for _, home in itertools.zip_longest(range(count), homes):
            self.number += 1
            head = RequestHead("GET", b"/", "1.1", [], False)
            exchanges.append(Exchange(self.number, FakeClient(), self.pool.queue, head, home))
            self.pool.queue.submit(exchanges[-1])
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
                for channel in worker.thread._runtime.channels:
                    discard(channel.address)

    asyncio.run(main())

"""snakepit.server.dispatch.wake_ups: workers that get nothing until they ring are asked again."""

import asyncio
import logging

import pytest
from fakes import fake_of
from waiting import until

from snakepit.server.dispatch import wake_ups
from snakepit.server.dispatch.queue import RequestQueue
from snakepit.server.workers.report import WorkerReport
from snakepit.server.workers.worker import WorkerHandle


@fake_of(WorkerHandle)
class Worker:
    """Takes everything, and is found to be stuck at the first look."""

    def __init__(self):
        self.exchanges = {}
        self.line = self
        self.report = WorkerReport()
        self.stuck = False
        self.watched = True
        self.asked = 0
        self.room = 0

    def __repr__(self):
        return "worker 7"

    def take_back_late(self):
        self.stuck, self.watched = True, False
        return []

    def have_watchdog_release(self):
        pass

    def ask(self, now, turns=1):
        self.asked += 1


@pytest.mark.parametrize("end", [RequestQueue.heard, RequestQueue.remove])
def test_a_stuck_worker_is_asked_until_it_is_heard_of_or_removed(monkeypatch, end):
    monkeypatch.setattr(wake_ups, "ASK_AGAIN", 0.001)

    async def main():
        queue, worker = RequestQueue(None, 10, 10.0, asyncio.get_running_loop()), Worker()
        queue.add(worker, 10)
        queue._watch_workers()
        await until(lambda: worker.asked >= 3)
        end(queue, worker)
        await until(lambda: not queue.wake_ups.asking)
        queue.close()

    asyncio.run(main())


@pytest.mark.parametrize(("pause", "lines"), [(0.0, 3), (1000.0, 1)])
def test_each_lost_wake_up_counts_and_some_are_told(monkeypatch, caplog, pause, lines):
    monkeypatch.setattr(wake_ups, "TELL_AGAIN", pause)

    async def main():
        queue = RequestQueue(None, 10, 10.0, asyncio.get_running_loop())
        for _ in range(3):
            queue.missed(Worker(), 0.05)
        assert queue.wake_ups.lost == 3

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert len(caplog.records) == lines
    first = "Worker 7 has rung 50 ms ago and was not heard (lost wake-ups until now: 1): this is a bug in snakepit; "
    assert caplog.records[0].getMessage() == first + "please report it"

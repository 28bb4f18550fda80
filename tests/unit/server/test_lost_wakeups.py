"""server.dispatch.queue: workers that get nothing until they are heard of are asked again; and what is told of it."""

import asyncio
import logging
import os

import pytest

from snakepit.server.dispatch import queue as flow_module
from snakepit.server.dispatch.queue import Flow

PATIENCE = 20.0 * float(os.environ.get("SNAKEPIT_TEST_PATIENCE", "1"))


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.001)


class Worker:
    """Takes everything, and is found to be stuck at the first look."""

    def __init__(self):
        self.exchanges = {}
        self.stuck = False
        self.watched = True
        self.asked = 0

    def __repr__(self):
        return "worker 7"

    def take_back_late(self):
        self.stuck, self.watched = True, False
        return []

    def have_watchdog_release(self):
        pass

    def ask_loop(self, now):
        self.asked += 1


def test_a_stuck_worker_is_asked_until_it_is_heard_of(monkeypatch):
    monkeypatch.setattr(flow_module, "ASK_AGAIN", 0.001)

    async def main():
        flow, worker = Flow(None, 10, 10.0, asyncio.get_running_loop()), Worker()
        flow.add(worker, 10)
        flow._watch_workers()
        await until(lambda: worker.asked >= 3)
        flow.heard(worker)
        await until(lambda: flow._asking is None)
        flow.close()

    asyncio.run(main())


def test_a_removed_worker_is_not_asked(monkeypatch):
    monkeypatch.setattr(flow_module, "ASK_AGAIN", 0.001)

    async def main():
        flow, worker = Flow(None, 10, 10.0, asyncio.get_running_loop()), Worker()
        flow.add(worker, 10)
        flow._watch_workers()
        await until(lambda: worker.asked)
        flow.remove(worker)
        await until(lambda: flow._asking is None)
        flow.close()

    asyncio.run(main())


@pytest.mark.parametrize(("pause", "lines"), [(0.0, 3), (1000.0, 1)])
def test_each_lost_wake_up_counts_and_some_are_told(monkeypatch, caplog, pause, lines):
    monkeypatch.setattr(flow_module, "TELL_AGAIN", pause)

    async def main():
        flow = Flow(None, 10, 10.0, asyncio.get_running_loop())
        for _ in range(3):
            flow.missed(Worker(), 0.05)
        assert flow.lost_wakeups == 3

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert len(caplog.records) == lines
    first = "Worker 7 has rung 50 ms ago and was not heard (lost wake-ups until now: 1): this is a bug in snakepit; "
    assert caplog.records[0].getMessage() == first + "please report it"

"""snakepit.server.pool.heartbeat: which workers are asked, and which are given up."""

import asyncio

import pytest
from fakes import fake_of
from playing import TimerLoop
from waiting import PATIENCE

from snakepit.server.lifecycle import WorkerState
from snakepit.server.pool import heartbeat as heartbeat_module
from snakepit.server.pool.heartbeat import Heartbeat
from snakepit.server.pool.roster import Roster
from snakepit.server.workers.worker import WorkerHandle


@fake_of(WorkerHandle)
class FakeWorker:
    def __init__(self, state=WorkerState.READY):
        self.state = state
        self.pinged = 0
        self.silence = 0.0

    def ask_heartbeat(self, now):
        self.pinged += 1

    def silent_for(self, now):
        return self.silence


@fake_of(Roster)
class FakeRoster:
    def __init__(self, workers):
        self.workers = workers


def make(*workers, seconds=8.0):
    loop, lost = TimerLoop(), []
    heartbeat = Heartbeat(FakeRoster(workers), seconds, lost.append, loop)
    heartbeat.start()
    return heartbeat, loop, lost


def test_each_is_asked_several_times_within_its_time():
    first, second = FakeWorker(), FakeWorker()
    heartbeat, loop, lost = make(first, second)
    heartbeat.start()  # which changes nothing
    for _ in range(heartbeat_module.ASKED):
        loop.jump(2.0)
    assert first.pinged == second.pinged == heartbeat_module.ASKED
    assert lost == []


@pytest.mark.parametrize("state", [state for state in WorkerState if state is not WorkerState.READY])
def test_only_those_that_serve_are_asked(state):
    worker = FakeWorker(state)
    worker.silence = 1000.0
    _, loop, lost = make(worker)
    loop.jump(2.0)
    assert (worker.pinged, lost) == (0, [])


def test_one_that_is_silent_is_given_up_and_not_asked_again():
    worker, other = FakeWorker(), FakeWorker()
    _, loop, lost = make(worker, other)
    worker.silence = 7.9
    loop.jump(2.0)
    assert lost == []
    worker.silence = 8.0
    loop.jump(2.0)
    assert lost == [worker]
    assert (worker.pinged, other.pinged) == (1, 2)


def test_a_loop_that_was_held_up_itself_judges_nobody():
    worker = FakeWorker()
    _, loop, lost = make(worker)
    worker.silence = 50.0
    loop.jump(50.0)
    assert lost == []
    loop.jump(2.0)
    assert lost == [worker]


def test_nobody_is_asked_where_that_is_off():
    _, loop, _ = make(FakeWorker(), seconds=0.0)
    assert loop.pending == []


def test_closed_while_somebody_is_given_up():
    worker = FakeWorker()
    worker.silence = 9.0
    loop = TimerLoop()
    heartbeat = Heartbeat(FakeRoster([worker]), 8.0, lambda worker: heartbeat.close(), loop)
    heartbeat.start()
    loop.jump(2.0)
    assert loop.pending == []


def test_with_a_real_loop():
    async def main():
        worker = FakeWorker()
        lost = asyncio.get_running_loop().create_future()
        worker.silence = 1.0
        heartbeat = Heartbeat(FakeRoster([worker]), 0.01, lost.set_result, asyncio.get_running_loop())
        heartbeat.start()
        async with asyncio.timeout(PATIENCE):
            assert await lost is worker
        heartbeat.close()

    asyncio.run(main())

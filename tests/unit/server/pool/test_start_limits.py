"""snakepit.server.pool.starts: a long start is told, and one that is too long is given up, on a clock set by hand."""

import asyncio
from types import SimpleNamespace

import pytest
from fakes import fake_of
from playing import HandLoop, advance
from waiting import turn

from snakepit.server.lifecycle import WorkerState
from snakepit.server.pool.starts import LONG_START, Starts
from snakepit.server.workers.report import WorkerReport
from snakepit.server.workers.worker import WorkerHandle


@fake_of(WorkerHandle)
class Worker:
    def __init__(self, where="", interface=""):
        self.state = WorkerState.STARTING
        self.report = WorkerReport()
        self.report.interface = interface
        self.started = False
        self.where = where
        self.watchdog = SimpleNamespace(wait_stack=self.wait_stack)
        self.on_asked = lambda: None

    def __str__(self):
        return "worker 3"

    async def start(self):
        self.started = True

    async def wait_stack(self):
        self.on_asked()
        return self.where


def play(scenario, seconds, worker):
    """Have a worker started that may take so long; returns what was said of it when it was given up."""
    given_up = []

    async def main():
        starts = Starts(seconds, lambda worker, told: given_up.append(told))
        starts.start(worker)
        await turn()
        assert worker.started
        await scenario(starts)
        starts.close()
        await turn()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main(), loop_factory=HandLoop)
    return given_up


def said(caplog):
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("seconds", [0.0, 10.0, 100.0])
def test_one_that_is_ready_in_time(seconds, caplog):
    worker = Worker()

    async def scenario(starts):
        await advance(9)
        worker.state = WorkerState.READY
        await advance(200)

    assert play(scenario, seconds, worker) == []
    assert said(caplog) == []


def test_one_that_is_not_ready_in_a_short_time_is_given_up(caplog):
    async def scenario(starts):
        await advance(9.75)
        assert said(caplog) == []
        await advance(0.25)

    [told] = play(scenario, 10.0, Worker("a stack"))
    assert told == "Worker 3 was not ready within 10 s (--timeout-startup): it imports the app, and is at\na stack"
    assert said(caplog) == []


def test_a_long_time_is_told_of_once_before_it_is_over(caplog):
    async def scenario(starts):
        await advance(LONG_START)
        assert len(said(caplog)) == 1
        await advance(100 - LONG_START - 0.25)
        assert len(said(caplog)) == 1
        await advance(0.25)

    [told] = play(scenario, 100.0, Worker("a stack", "asgi"))
    assert told.startswith(
        "Worker 3 was not ready within 100 s (--timeout-startup): it runs the app's lifespan start-up"
    )
    assert said(caplog)[0].startswith(
        "Worker 3 has been starting for 30 s (--timeout-startup gives it up after 100): it runs"
    )


def test_without_a_limit_it_is_told_of_and_never_given_up(caplog):
    async def scenario(starts):
        await advance(300)

    assert play(scenario, 0.0, Worker()) == []
    [line] = said(caplog)
    assert line.startswith("Worker 3 has been starting for 30 s: it imports the app; where in that it is can't be told")


@pytest.mark.parametrize("seconds", [10.0, 0.0])
def test_one_that_is_ready_while_it_is_asked_where_it_is(seconds, caplog):
    worker = Worker()

    def become_ready():
        worker.state = WorkerState.READY

    worker.on_asked = become_ready

    async def scenario(starts):
        await advance(LONG_START + 1)

    assert play(scenario, seconds, worker) == []
    assert said(caplog) == []


def test_nothing_is_watched_any_more():
    async def scenario(starts):
        starts.close()
        await advance(20)

    assert play(scenario, 10.0, Worker()) == []


def test_the_first_one_runs_when_it_was_started():
    worker = Worker()

    async def main():
        starts = Starts(10.0, lambda worker, told: None)
        await starts.start_first(worker)
        assert worker.started
        starts.close()
        await turn()

    asyncio.run(main(), loop_factory=HandLoop)

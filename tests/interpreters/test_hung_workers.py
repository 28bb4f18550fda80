"""The pool's side of hangs: which workers are given up, which are replaced, and how many are left."""

import pytest
from running_pools import client, play, running
from waiting import PATIENCE, until

from snakepit.server.dispatch import time_limits
from snakepit.server.lifecycle import WorkerState
from snakepit.server.pool import observer

HANGS = """
import time

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError
    path = scope["path"]
    if path == "/burn":
        while True:
            pass
    if path == "/sleep":
        time.sleep(float(scope["query_string"]))
    if path == "/wait":
        import asyncio
        await asyncio.sleep(float(scope["query_string"]))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})

def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/sleep":
        time.sleep(float(environ["QUERY_STRING"]))
    start_response("200 OK", [])
    return [b"done"]
"""


@pytest.fixture
def hangs(tmp_path):
    (tmp_path / "hangs.py").write_text(HANGS, encoding="utf-8")
    return {"app": "hangs:app", "folder": tmp_path}


@pytest.fixture
def worn_out(monkeypatch):
    """What the pool says of the process."""
    reasons = []
    monkeypatch.setattr(observer.Observer, "worn_out", lambda self, reason: reasons.append(reason))
    return reasons


def test_a_silent_worker_is_abandoned_and_comes_to_its_end(hangs, worn_out):
    async def scenario():
        async with running(**hangs, workers=1, silent_seconds=0.4) as made:
            (worker,) = made.pool.workers
            begun = [made.request("/burn")]
            await made.loads([1])
            await until(lambda: worker.state is WorkerState.ABANDONED)
            assert client(begun[0]).status == 504
            assert made.pool.abandoned <= 1
            await until(lambda: made.watcher.ready == [1, 1])
            assert (await made.get("/")).body == b"done"
            await until(lambda: made.pool.abandoned == 0)
            assert worker.thread.ended.is_set()
        assert worn_out == []  # it was given up for a moment only

    play(scenario)


def test_those_that_wait_on_a_loop_that_is_given_up_get_504_and_others_another_worker(hangs):
    async def scenario():
        async with running(**hangs, workers=1, silent_seconds=0.4) as made:
            waits = made.request("/wait?30")
            await until(lambda: not made.pool.workers[0].watched)  # it has begun
            hung = made.request("/burn")
            await until(lambda: made.pool.workers[0].line.stuck)
            later = made.request("/")
            await until(lambda: client(later).over)
            assert [client(exchange).status for exchange in (waits, hung, later)] == [504, 504, 200]

    play(scenario)


def test_an_exchange_that_can_not_be_ended_has_its_worker_replaced(hangs, monkeypatch):
    monkeypatch.setattr(time_limits, "LEAST_SECONDS_TO_END", 0.2)

    async def scenario():
        settings = {"timeout_request": 0.2}.items()
        async with running(
            hangs["app"].replace("app", "wsgi"),
            folder=hangs["folder"],
            workers=1,
            threads=2,
            settings=settings,
            response_seconds=0.2,
        ) as made:
            (worker,) = made.pool.workers
            hung = [made.request("/sleep?3"), made.request("/sleep?3")]
            await until(lambda: all(client(exchange).over for exchange in hung))
            assert [client(exchange).status for exchange in hung] == [504, 504]
            await until(lambda: made.pool.workers[0] is not worker)
            assert worker.state is WorkerState.RETIRING
            assert (await made.get("/")).body == b"done"
            await until(lambda: worker.state is WorkerState.CLOSED)  # both slept to their end, and were ended then
            assert made.pool.abandoned == 0
            assert made.watcher.ready == [1, 1], "replaced once"
            for exchange in hung:
                assert "RequestTimeout" in client(exchange).faults[-1]

    play(scenario)


def test_who_is_held_up_by_another_gets_time_beyond_its_own(hangs, monkeypatch):
    monkeypatch.setattr(time_limits, "GRACE_BEHIND_BUSY_LOOP", PATIENCE)

    async def scenario():
        settings = {"timeout_request": 0.5}.items()
        async with running(**hangs, workers=1, settings=settings, response_seconds=0.5) as made:
            (worker,) = made.pool.workers
            waits = made.request("/wait?0.1")
            await until(lambda: worker.exchanges and not worker.watched)
            hung = made.request("/burn")
            await until(lambda: worker.line.blocked_by == hung.number)
            await until(lambda: client(hung).over and client(waits).over)
            assert [client(exchange).status for exchange in (waits, hung)] == [200, 504]

    play(scenario)


def test_time_in_the_line_does_not_count(hangs):
    async def scenario():
        settings = {"timeout_request": 0.3}.items()
        async with running(
            hangs["app"].replace("app", "wsgi"),
            folder=hangs["folder"],
            workers=1,
            threads=1,
            settings=settings,
            response_seconds=0.3,
        ) as made:
            slow = [made.request("/sleep?0.2") for _ in range(3)]
            await until(lambda: all(client(exchange).over for exchange in slow))
            assert [client(exchange).status for exchange in slow] == [200, 200, 200]

    play(scenario)

"""What follows on a worker's thread, and what a thread keeps of its answers, with real threads of each runtime."""

import asyncio

import pytest
from running_pools import PATIENCE, client, gate, play, running
from waiting import until

from snakepit.server.lifecycle import ExchangeState
from snakepit.server.workers.seats import FOLLOWERS

APP = """
import threading
import holding

class Result:
    def __init__(self, chunks, close=lambda: None):
        self.chunks, self.close = chunks, close

    def __iter__(self):
        return iter(self.chunks)

def app(environ, start_response):
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/hold":
        holding.hold(query)
    if path == "/closes":
        start_response("200 OK", [("Content-Length", "5")])
        return Result([b"hello"], lambda: holding.hold(query))
    start_response("200 OK", [])
    if path == "/streams":
        return stream(query)
    return Result([b"%d" % threading.get_ident()])

def stream(query):
    yield b"first"
    holding.hold(query)
    yield b"last"
"""

runtimes = pytest.mark.parametrize("runtime", ["interpreter", "thread"])


@pytest.fixture
def app(tmp_path):
    (tmp_path / "written.py").write_text(APP, encoding="utf-8")
    return {"app": "written:app", "folder": tmp_path}


async def all_over(exchanges):
    await until(lambda: all(client(exchange).over for exchange in exchanges))
    assert {client(exchange).status for exchange in exchanges} <= {200}


@runtimes
@pytest.mark.parametrize("threads", [1, 4])
def test_an_answer_does_not_wait_for_what_its_thread_is_at_next(app, runtime, threads):
    async def scenario():
        with gate() as held:
            async with running(**app, runtime=runtime, threads=threads) as made:
                quick = [made.request("/") for _ in range(3)]
                slow = made.request(f"/hold?{held.query}")
                assert made.pool.workers[0]._seats.busy == 1
                await all_over(quick)
                assert not client(slow).over
                held.release()
                await all_over([slow])
                assert {client(exchange).body for exchange in quick} == {client(slow).body}, "one thread has done all"

    play(scenario)


@runtimes
@pytest.mark.parametrize(("path", "complete"), [("/closes", True), ("/streams", False)])
def test_a_response_leaves_though_the_app_takes_long_to_go_on(app, runtime, path, complete):
    async def scenario():
        with gate() as held:
            async with running(**app, runtime=runtime, threads=1) as made:
                exchange = made.request(f"{path}?{held.query}")
                await until(lambda: client(exchange).body)
                assert client(exchange).body == (b"hello" if complete else b"first")
                assert client(exchange).over is complete
                assert made.pool.queue.in_progress == 1, "its thread is at it"
                held.release()
                await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)
                assert client(exchange).over
                assert client(exchange).body == (b"hello" if complete else b"firstlast")

    play(scenario)


@runtimes
def test_what_follows_a_slow_one_goes_to_threads_that_are_free_and_no_more_run_than_there_are(app, runtime):
    async def scenario():
        with gate() as held:
            async with running(**app, runtime=runtime, threads=3, workers=2) as made:
                slow = [made.request(f"/hold?{held.query}") for _ in range(8)]
                await held.begun(6)
                quick = [made.request("/") for _ in range(4)]
                waiting = [ExchangeState.WAITING] * 2
                await until(lambda: [exchange.state for exchange in slow if not_begun(exchange)] == waiting)
                held.release(1)
                await held.begun(1)
                held.release(1)
                await held.begun(1)
                held.release(1)
                await all_over(quick)
                held.release(5)
                await all_over(slow)
                await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)

    play(scenario)


def not_begun(exchange):
    return exchange.state in (ExchangeState.NEW, ExchangeState.WAITING)


@runtimes
def test_one_thread_answers_many_at_once_and_each_by_itself(app, runtime):
    async def scenario():
        async with running(**app, runtime=runtime, threads=1) as made:
            (worker,) = made.pool.workers
            exchanges = [made.request("/") for _ in range(5 * FOLLOWERS)]
            assert len(worker.exchanges) == FOLLOWERS
            assert made.pool.queue.waiting == 5 * FOLLOWERS - 1
            await all_over(exchanges)
            assert len({client(exchange).body for exchange in exchanges}) == 1
            await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)

    play(scenario)


@runtimes
def test_the_successor_of_a_worker_gets_what_waits_there(app, runtime):
    async def scenario():
        with gate() as held:
            async with running(**app, runtime=runtime, threads=1) as made:
                slow = made.request(f"/hold?{held.query}")
                await held.begun()
                others = [made.request("/") for _ in range(5)]
                replacing = asyncio.ensure_future(made.pool.replace(1))
                await all_over(others)
                assert not client(slow).over
                held.release()
                await all_over([slow])
                assert (await replacing).count == 1

    play(scenario)


def test_the_client_of_one_that_waits_goes(app):
    async def scenario():
        with gate() as held:
            async with running(**app, threads=1) as made:
                slow = made.request(f"/hold?{held.query}")
                others = [made.request("/") for _ in range(3)]
                others[1].client_gone()
                await until(lambda: made.pool.queue.in_progress == 3)
                assert others[1].state is ExchangeState.CLOSED
                held.release()
                await all_over([slow, others[0], others[2]])
                assert client(others[1]).status is None

    play(scenario)


def test_threads_of_several_workers_share_what_waits_behind_slow_ones(app):
    """The least loaded worker may be the wrong one: what it has not begun goes to the other."""

    async def scenario():
        with gate() as held:
            async with running(**app, threads=1, workers=2) as made:
                slow = made.request(f"/hold?{held.query}")
                await held.begun()
                others = [made.request("/") for _ in range(3 * FOLLOWERS)]
                await all_over(others)
                assert not client(slow).over
                assert {exchange.served_by for exchange in others} != {slow.served_by}
                held.release()
                await all_over([slow])

    play(scenario)


def test_each_thread_has_one_request_at_a_time(tmp_path):
    (tmp_path / "written.py").write_text(
        """
import threading, time
local = threading.local()
def app(environ, start_response):
    assert not getattr(local, "busy", False)
    local.busy = True
    time.sleep(float(environ["QUERY_STRING"]))
    start_response("200 OK", [])
    try:
        yield b"%d" % threading.get_ident()
    finally:
        local.busy = False
""",
        encoding="utf-8",
    )

    async def scenario():
        async with running("written:app", folder=tmp_path, threads=4, waiting=1000) as made:
            exchanges = [made.request(f"/?{seconds}") for seconds in [0, 0, 0, 0.01, 0, 0.003] * 50]
            await all_over(exchanges)
            assert 1 < len({client(exchange).body for exchange in exchanges}) <= 4

    play(scenario)

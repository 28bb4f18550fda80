"""snakepit.server.pool.pool with real interpreters, and clients that only keep what they get."""

import asyncio
import errno
import logging
import os
import random
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
from running_pools import (
    APPS,
    client,
    gate,
    living,
    logged_exceptions,
    make_pool,
    open_files,
    play,
    refuse_threads,
    running,
)
from waiting import PATIENCE, until

from snakepit.errors import AppImportError, ConfigError, LifespanError, WorkerLost
from snakepit.server.lifecycle import ExchangeState, WorkerState
from snakepit.server.pool import endings, retries
from snakepit.server.pool import wear as wear_module
from snakepit.server.workers import runtimes

# -- start-up --------------------------------------------------------------------------------------------------------


def test_start_up():
    async def scenario():
        made = make_pool(workers=3)
        pool = made.pool
        assert not pool.first_ready.is_set()
        await pool.start()
        assert [worker.number for worker in pool.workers] == [1, 2, 3]
        assert all(worker.state is WorkerState.STARTING for worker in pool.workers)
        assert repr(pool) == "<Pool <Roster [1 STARTING, 2 STARTING, 3 STARTING]> <Dispatcher [] waiting 0>>"
        await until(pool.first_ready.is_set)
        await until(pool.all_ready.is_set)
        assert sorted(made.watcher.ready) == [1, 2, 3]
        assert all(worker.report.interface == "asgi" for worker in pool.workers)
        assert all(worker.report.import_seconds > 0 for worker in pool.workers)
        assert not pool.failure.done()
        assert await made.close() == 0
        assert all(worker.state is WorkerState.CLOSED for worker in pool.workers)

    play(scenario)


def test_nothing_goes_to_a_worker_that_is_not_ready(app_in):
    source = """
import asyncio, os
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await asyncio.to_thread(os.read, %d, 1)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})
"""

    async def scenario():
        with gate() as held:
            async with running(**app_in(source % held.reader), ready=False) as made:
                exchange = made.request("/")
                worker = made.pool.workers[0]
                await until(lambda: worker.report.interface == "asgi")
                assert exchange.state is ExchangeState.WAITING
                assert (made.pool.queue.waiting, made.pool.queue.in_progress) == (1, 1)
                assert worker.state is WorkerState.STARTING
                held.release()
                await until(lambda: client(exchange).over)
                assert client(exchange).status == 200
                assert made.pool.all_ready.is_set()
                assert worker.report.startup_seconds > 0

    play(scenario)


def test_import_failure(app_in):
    async def scenario():
        async with running(**app_in("raise ValueError('not today')"), workers=2, ready=False) as made:
            error = await asyncio.wait_for(made.pool.failure, PATIENCE)
            assert type(error) is AppImportError
            assert "not today" in str(error)
            assert not made.pool.first_ready.is_set()
        assert made.watcher.delays == [], "no attempt is made again"

    play(scenario)


def test_lifespan_failure(app_in):
    source = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})
"""

    async def scenario():
        async with running(**app_in(source), workers=2, ready=False) as made:
            error = await asyncio.wait_for(made.pool.failure, PATIENCE)
            assert type(error) is LifespanError
            assert "no database" in str(error)

    play(scenario)


def test_death_at_the_start(app_in):
    source = """
import asyncio
async def app(scope, receive, send):
    asyncio.get_running_loop().stop()
    await receive()
    await asyncio.Event().wait()
"""

    async def scenario():
        async with running(**app_in(source), ready=False) as made:
            error = await asyncio.wait_for(made.pool.failure, PATIENCE)
            assert type(error) is WorkerLost
            assert "worker 1 ended before it was ready" in str(error)

    play(scenario)


def test_a_thread_that_can_not_be_started_at_the_start(monkeypatch):
    async def scenario():
        async with running(workers=2, ready=False) as made:
            error = await asyncio.wait_for(made.pool.failure, PATIENCE)
            assert type(error) is ConfigError
            assert "RuntimeError: can't start new thread" in str(error)

    refuse_threads(monkeypatch, 1)
    play(scenario)


def test_a_thread_that_can_not_be_started_later_on_is_tried_again(monkeypatch, caplog):
    async def scenario():
        async with running() as made:
            refused = refuse_threads(monkeypatch, 2)
            await made.get("/stop-loop")
            await until(lambda: len(made.watcher.ready) == 2)
            assert len(refused) == 2
            assert (await made.get("/")).status == 200

    monkeypatch.setattr(retries, "BACKOFF", (0.0, 0.0))
    play(scenario)
    assert caplog.text.count("RuntimeError: can't start new thread") == 2


def test_a_thread_that_can_not_be_started_for_a_successor(monkeypatch):
    async def scenario():
        async with running() as made:
            refuse_threads(monkeypatch, 1)
            outcome = await asyncio.wait_for(made.pool.reload(), PATIENCE)
            assert not outcome
            assert "RuntimeError: can't start new thread" in outcome.trouble
            assert (await made.get("/")).status == 200

    play(scenario)


def test_a_break_in_what_watches_memory_is_heard(monkeypatch):
    def measure():
        raise ValueError("no such file")

    async def scenario():
        with logged_exceptions() as logged:
            async with running(max_rss=2**40) as made:
                await until(lambda: logged)
                assert (await made.get("/")).status == 200

    monkeypatch.setattr(wear_module, "CHECK_PERIOD", 0.0)
    monkeypatch.setattr(wear_module, "resident_memory", measure)
    play(scenario, expected=["ValueError('no such file')"])


# -- exchanges -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_exchange(app):
    async def scenario():
        async with running(app) as made:
            got = await made.get("/")
            assert (got.status, got.body) == (200, b"hello")
            await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)
            assert made.pool.queue.in_progress == 0

    play(scenario)


@pytest.mark.usefixtures("unhurried")
def test_least_loaded_worker_first():
    async def scenario():
        async with running(workers=2) as made:
            held = [made.request("/until-disconnect") for _ in range(6)]
            await made.loads([3, 3])
            await until(lambda: all(client(exchange).body for exchange in held))
            of_one = [exchange for exchange in held if exchange.served_by == "worker 1"]
            assert len(of_one) == 3
            for exchange in of_one:
                exchange.client_gone()
            await made.loads([0, 3])
            again = [made.request("/until-disconnect") for _ in range(3)]
            await made.loads([3, 3])
            assert {exchange.served_by for exchange in again} == {"worker 1"}
            for exchange in held + again:
                exchange.client_gone()
            await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)

    play(scenario)


@pytest.mark.parametrize("app", ["holding:app", "holding:wsgi"])
def test_line(app):
    """A full worker: the line, in its order, and who leaves it."""

    async def scenario():
        with gate() as held:
            async with running(app, threads=1, worker_concurrency=1, waiting=2) as made:
                first, second, third, fourth = (made.request(f"/{number}?{held.query}") for number in range(4))
                assert first.state is ExchangeState.ASSIGNED
                assert (client(fourth).status, fourth.state) == (503, ExchangeState.CLOSED)
                assert b"retry-after: 1\r\n" in client(fourth).fields[0]
                assert (made.pool.queue.in_progress, made.pool.queue.waiting) == (3, 2)
                # a thread may be quick, until it is found that it is not
                await until(lambda: (second.state, third.state) == (ExchangeState.WAITING,) * 2)
                assert (made.pool.queue.in_progress, made.pool.queue.waiting) == (3, 2)
                second.client_gone()
                assert (made.pool.queue.in_progress, made.pool.queue.waiting) == (2, 1)
                held.release(2)
                await until(lambda: client(third).over)
                assert client(first).status == client(third).status == 200
                assert client(second).status is None
                await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)

    play(scenario)


def test_too_long_in_the_line():
    async def scenario():
        with gate() as held:
            async with running("holding:app", worker_concurrency=1, waiting_seconds=0.05) as made:
                first = made.request(f"/?{held.query}")
                await held.begun()
                second = made.request("/")
                await until(lambda: client(second).over)
                assert (client(second).status, second.state) == (503, ExchangeState.CLOSED)
                assert first.state is ExchangeState.ASSIGNED
                assert (made.pool.queue.in_progress, made.pool.queue.waiting) == (1, 0)
                held.release()
                await until(lambda: client(first).over)
                assert client(first).status == 200

    play(scenario)


def test_too_many_at_once():
    async def scenario():
        async with running(concurrency=2) as made:
            held = [made.request("/until-disconnect") for _ in range(2)]
            assert (await made.get("/")).status == 503
            held.pop().client_gone()
            await until(lambda: made.pool.queue.in_progress == 1)
            assert (await made.get("/")).status == 200
            held.pop().client_gone()
            await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)

    play(scenario)


def test_wsgi_takes_as_many_as_it_has_threads():
    async def scenario():
        with gate() as held:
            async with running("holding:wsgi", threads=3) as made:
                exchanges = [made.request(f"/?{held.query}") for _ in range(5)]
                await held.begun(3)
                in_turn = [ExchangeState.ASSIGNED] * 3 + [ExchangeState.WAITING] * 2
                await until(lambda: [exchange.state for exchange in exchanges] == in_turn)
                held.release(5)
                await until(lambda: all(client(exchange).over for exchange in exchanges))
                assert {client(exchange).status for exchange in exchanges} == {200}

    play(scenario)


def test_request_body_in_many_chunks():
    async def scenario():
        async with running() as made:
            exchange = made.request("/length", b"x" * 100_000, True)
            sent = 100_000
            while sent < 3_000_000:
                await until(lambda: exchange.receives_body)
                exchange.add_body(b"x" * 100_000, True)
                sent += 100_000
            exchange.add_body(b"", False)
            await until(lambda: client(exchange).over)
            assert client(exchange).body == b"%d" % sent

    play(scenario)


def test_a_slow_client_holds_the_app_back_and_nothing_is_lost():
    async def scenario():
        async with running() as made:
            exchange = made.request("/stream?100,65536")
            client(exchange).writable = False
            await until(lambda: len(client(exchange).body) >= 4 * 65536)
            assert (await made.get("/")).status == 200  # what the app could send, it has sent by now
            assert len(client(exchange).body) == 4 * 65536
            client(exchange).writable = True
            exchange.return_credit()
            await until(lambda: client(exchange).over)
            assert len(client(exchange).body) == 100 * 65536

    play(scenario)


# -- loops and threads that are busy ---------------------------------------------------------------------------------

HOLDING = """
import behaviors, holding
async def app(scope, receive, send):
    await (holding if scope["path"] == "/hold" else behaviors).app(scope, receive, send)
"""
HOLDING_LATER = """
import asyncio, behaviors, holding
async def app(scope, receive, send):
    if scope["path"] == "/hold":
        await asyncio.sleep(0)  # the loop has turned, and said that it is awake, when it comes to stand still
        await holding.app(scope, receive, send)
    else:
        await behaviors.app(scope, receive, send)
"""
in_any_step = pytest.mark.parametrize("source", [HOLDING, HOLDING_LATER], ids=["in the first step", "in a later step"])
HOLDING_THREAD = """
import holding, wsgi_behaviors
def app(environ, start_response):
    return (holding.wsgi if environ["PATH_INFO"] == "/hold" else wsgi_behaviors.app)(environ, start_response)
"""


async def hold(made, held):
    """Have a worker's loop or thread stand still until it is released; returns the exchange that it stands in."""
    exchange = made.request(f"/hold?{held.query}")
    await held.begun()
    return exchange


@asynccontextmanager
async def standing_still(*args, **options):
    """A pool, one of whose workers stands still within the block until it is released; by which gate, and where."""
    with gate() as held:
        async with running(*args, **options) as made:
            yield made, held, await hold(made, held)


def worker_of(made, exchange):
    return next(worker for worker in made.pool.workers if str(worker) == exchange.served_by)


async def all_over(exchanges):
    await until(lambda: all(client(exchange).over for exchange in exchanges))


@in_any_step
def test_others_answer_while_a_loop_is_stuck(app_in, source):
    async def scenario():
        async with standing_still(**app_in(source), workers=2) as (made, held, stuck):
            others = [made.request("/") for _ in range(20)]
            await all_over(others)
            assert {client(exchange).status for exchange in others} == {200}
            assert stuck.served_by not in {exchange.served_by for exchange in others}
            assert worker_of(made, stuck).line.stuck
            assert (stuck.state, made.pool.queue.in_progress, made.pool.queue.waiting) == (ExchangeState.ASSIGNED, 1, 0)
            assert [len(worker.exchanges) for worker in made.pool.workers].count(0) == 1
            # one that comes when it is known already
            assert (await made.get("/")).status == 200
            held.release()
            await until(lambda: client(stuck).over)
            assert client(stuck).status == 200
            await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)

    play(scenario)


@in_any_step
def test_all_loops_are_stuck_and_the_first_that_turns_answers_what_waits(app_in, source):
    async def scenario():
        with gate() as held, gate() as held_too:
            async with running(**app_in(source), workers=2) as made:
                first, second = await hold(made, held), await hold(made, held_too)
                assert first.served_by != second.served_by
                waiting = [made.request(f"/one-body?{number}") for number in range(1, 9)]
                await until(lambda: made.pool.queue.waiting == len(waiting))
                assert {exchange.state for exchange in waiting} == {ExchangeState.WAITING}
                assert all(worker.line.stuck for worker in made.pool.workers)
                held_too.release()
                await all_over([*waiting, second])
                assert {exchange.served_by for exchange in waiting} == {second.served_by}
                assert [len(client(exchange).body) for exchange in waiting] == list(range(1, 9)), "each gets its own"
                assert not client(first).over
                held.release()
                await all_over([first])
                await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)

    play(scenario)


@in_any_step
def test_a_loop_that_was_stuck_gets_its_share_again(app_in, source):
    async def scenario():
        async with standing_still(**app_in(source), workers=2) as (made, held, stuck):
            await all_over([made.request("/") for _ in range(4)])
            assert worker_of(made, stuck).line.stuck
            held.release()
            await all_over([stuck])
            served_by = set()
            async with asyncio.timeout(PATIENCE):
                while len(served_by) < 2:
                    exchanges = [made.request("/") for _ in range(4)]
                    await all_over(exchanges)
                    served_by |= {exchange.served_by for exchange in exchanges}

    play(scenario)


@in_any_step
def test_one_worker_that_is_stuck_answers_everything_when_it_turns(app_in, source):
    async def scenario():
        async with standing_still(**app_in(source)) as (made, held, stuck):
            waiting = [made.request(f"/one-body?{number}") for number in range(1, 51)]
            await until(lambda: made.pool.queue.waiting == len(waiting))
            held.release()
            await all_over([stuck, *waiting])
            assert [len(client(exchange).body) for exchange in waiting] == list(range(1, 51))
            await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)

    play(scenario)


@in_any_step
def test_stuck_again_as_soon_as_it_turns(app_in, source):
    """The first that it gets is the next long computation: what waits behind it still goes to another."""

    async def scenario():
        with gate() as held, gate() as held_next, gate() as held_other:
            async with running(**app_in(source), workers=2) as made:
                first, other = await hold(made, held), await hold(made, held_other)
                again = made.request(f"/hold?{held_next.query}")
                await until(lambda: made.pool.queue.waiting == 1)
                waiting = [made.request("/") for _ in range(10)]
                assert made.pool.queue.waiting == 11
                held.release()
                await held_next.begun()
                assert again.served_by == first.served_by
                held_other.release()
                await all_over([first, other, *waiting])
                assert {exchange.served_by for exchange in waiting} == {other.served_by}
                held_next.release()
                await all_over([again])

    play(scenario)


@in_any_step
def test_clients_that_go_while_they_wait_for_a_stuck_loop(app_in, source):
    async def scenario():
        async with standing_still(**app_in(source)) as (made, held, stuck):
            early, late, staying = (made.request("/") for _ in range(3))
            early.client_gone()  # while the worker has it
            await until(lambda: made.pool.queue.waiting == 2)
            assert early.state is ExchangeState.CLOSED
            assert made.pool.queue.in_progress == 3
            late.client_gone()  # while it waits in the line
            assert (made.pool.queue.waiting, made.pool.queue.in_progress) == (1, 2)
            held.release()
            await all_over([stuck, staying])
            assert client(early).status is client(late).status is None
            await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)

    play(scenario)


@in_any_step
@pytest.mark.parametrize("when", ["assigned", "waiting", "answered by another"])
def test_body_that_comes_while_a_loop_is_stuck(app_in, source, when):
    async def scenario():
        async with standing_still(**app_in(source), workers=1 if when == "waiting" else 2) as (made, held, stuck):
            if when == "answered by another":
                await all_over([made.request("/") for _ in range(4)])
            exchanges = [made.request("/length", b"a" * 1000, True) for _ in range(4)]
            if when == "waiting":
                await until(lambda: made.pool.queue.waiting == 4)
            for exchange in exchanges:
                exchange.add_body(b"b" * 70_000, True)
                exchange.add_body(b"c", False)
            if when == "waiting":
                held.release()
            await all_over(exchanges)
            assert {client(exchange).body for exchange in exchanges} == {b"71001"}
            if when != "waiting":
                assert not client(stuck).over
                held.release()
            await all_over([stuck])

    play(scenario)


@in_any_step
def test_what_was_begun_before_goes_on_when_the_loop_turns(app_in, source):
    """What is for it, a body, credit, stays in the queue of the stuck worker, in its order."""

    async def scenario():
        with gate() as held:
            async with running(**app_in(source)) as made:
                upload = made.request("/echo-stream", b"", True)
                download = made.request("/stream?20,65536")
                client(download).writable = False
                await until(lambda: len(client(download).body) >= 4 * 65536)
                await until(lambda: worker_of(made, upload).watched is False)
                stuck = await hold(made, held)
                sent = b""
                for number in range(20):
                    piece = b"%d," % number
                    sent += piece
                    upload.add_body(piece, True)
                    if number == 10:
                        client(download).writable = True
                        download.return_credit()
                        waiting = made.request("/")
                        await until(lambda: made.pool.queue.waiting == 1)
                upload.add_body(b"", False)
                held.release()
                await all_over([stuck, upload, download, waiting])
                assert client(upload).body == sent
                assert len(client(download).body) == 20 * 65536

    play(scenario)


def test_an_exchange_that_comes_in_the_very_turn_in_which_the_pool_looks_is_not_overlooked(app_in):
    async def scenario():
        async with standing_still(**app_in(HOLDING_LATER), workers=2) as (made, held, stuck):
            await until(lambda: made.pool.queue._watch is None)
            exchanges = [made.request("/") for _ in range(2)]
            assert stuck.served_by in {exchange.served_by for exchange in exchanges}
            made.pool.queue._watch.cancel()
            made.pool.queue._look_for_late()  # as when its time comes now
            await until(lambda: all(client(exchange).over for exchange in exchanges), PATIENCE / 4)
            held.release()
            await all_over([stuck])

    play(scenario)


@in_any_step
def test_close_while_a_loop_is_stuck_lets_it_finish_what_waits(app_in, source):
    async def scenario():
        async with standing_still(**app_in(source), workers=2) as (made, held, stuck):
            others = [made.request("/") for _ in range(6)]
            await all_over(others)
            closing = asyncio.ensure_future(made.close())
            await until(lambda: worker_of(made, stuck).state is WorkerState.RETIRING)
            held.release()
            assert await closing == 0
            assert client(stuck).status == 200

    play(scenario)


def test_a_stuck_worker_that_dies_takes_nothing_with_it_but_what_it_had_begun(caplog):
    async def scenario():
        with gate() as held:
            async with running("holding:app", workers=1) as made:
                dying = made.request(f"/stop-and-hold?{held.query}")
                await held.begun()
                waiting = [made.request("/", b"body") for _ in range(10)]
                await until(lambda: made.pool.queue.waiting == 10)
                held.release()
                await all_over([dying, *waiting])
                assert {client(exchange).status for exchange in waiting} == {200}
                await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)

    play(scenario)


def test_another_thread_answers_what_follows_on_a_slow_seat(app_in):
    async def scenario():
        with gate() as held:
            async with running(**app_in(HOLDING_THREAD), threads=4) as made:
                (worker,) = made.pool.workers
                slow = made.request(f"/hold?{held.query}")
                followers = [made.request(f"/one-body?{number}") for number in range(1, 4)]
                assert worker._seats.watched
                assert worker._seats.busy == 1
                await all_over(followers)
                assert [len(client(exchange).body) for exchange in followers] == [1, 2, 3]
                assert not client(slow).over
                assert (slow.state, made.pool.queue.in_progress) == (ExchangeState.ASSIGNED, 1)
                held.release()
                await all_over([slow])
                await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)
                assert worker._seats.busy == 0

    play(scenario)


def test_slow_seats_of_all_kinds_and_who_follows_them(app_in):
    """More slow ones than threads: each waiting exchange gets a thread when one is free, and none twice."""

    async def scenario():
        with gate() as held:
            async with running(**app_in(HOLDING_THREAD), threads=3) as made:
                slow = [made.request(f"/hold?{held.query}") for _ in range(5)]
                quick = [made.request("/") for _ in range(4)]
                await held.begun(3)
                assert not any(client(exchange).over for exchange in slow + quick)
                assert (made.pool.queue.waiting, made.pool.queue.in_progress) == (6, 9)
                held.release(1)
                await held.begun()  # the fourth
                held.release(4)
                await all_over(slow + quick)
                assert {client(exchange).status for exchange in slow + quick} == {200}
                await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)

    play(scenario)


class Stopped:
    """A clock of seats that stands still until it is set."""

    def __init__(self, worker):
        self.now = worker._seats._clock()
        worker._seats._clock = lambda: self.now


@pytest.mark.parametrize("moves_on", [True, False], ids=["later", "at once"])
def test_a_thread_that_waits_for_its_client_declines_what_follows(moves_on, monkeypatch):
    """The clock stands still, so that nothing is taken back in the meantime."""

    async def scenario():
        async with running("wsgi_behaviors:app", threads=2) as made:
            (worker,) = made.pool.workers
            clock = Stopped(worker)
            declined = []
            original = made.pool.queue.declined

            def note_declined(worker, exchange):
                declined.append(exchange)
                assert len(declined) < 100, "the same thread gets it again and again"
                if moves_on:
                    clock.now += 1000.0
                original(worker, exchange)

            monkeypatch.setattr(made.pool.queue, "declined", note_declined)
            stream = made.request("/stream?100,65536")
            client(stream).writable = False
            follower = made.request("/one-body?3")
            assert worker._seats.busy == 1
            try:
                await until(lambda: client(follower).over or len(declined) > 50)
                assert client(follower).body == b"xxx"
                assert declined == [follower]
                assert not client(stream).over
            finally:
                clock.now += 1000.0
                client(stream).writable = True
                stream.return_credit()
                await all_over([stream, follower])
            assert len(client(stream).body) == 100 * 65536
            await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)

    play(scenario)


def test_a_follower_whose_client_goes_before_it_is_declined(monkeypatch):
    async def scenario():
        async with running("wsgi_behaviors:app", threads=2) as made:
            (worker,) = made.pool.workers
            clock = Stopped(worker)
            stream = made.request("/stream?100,65536")
            client(stream).writable = False
            follower = made.request("/one-body?3")
            follower.client_gone()
            await until(lambda: made.pool.queue.in_progress == 1)
            assert follower.state is ExchangeState.CLOSED
            assert worker.exchanges == {stream.number: stream}
            clock.now += 1000.0
            client(stream).writable = True
            stream.return_credit()
            await all_over([stream])
            await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)

    play(scenario)


COUNTING = """
import os, time
DESCRIPTOR = %d

def begin(query):
    number, seconds = query.split(",")
    os.write(DESCRIPTOR, int(number).to_bytes(4))
    time.sleep(float(seconds))  # in the loop, too: it is stuck meanwhile
    return number.encode()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    answer = begin(scope["query_string"].decode())
    more = True
    while more:
        message = await receive()
        more = message.get("more_body")
        answer += message.get("body", b"")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": answer})

def wsgi(environ, start_response):
    answer = begin(environ["QUERY_STRING"])
    answer += environ["wsgi.input"].read()
    start_response("200 OK", [])
    return [answer]
"""


@pytest.mark.parametrize("attribute", ["app", "wsgi"])
@pytest.mark.parametrize("seed", range(3))
def test_everything_is_run_once_and_gets_its_own_answer_whoever_is_busy(app_in, attribute, seed):
    """Many requests, some slow, some whose body comes later, some whose client goes."""
    choose = random.Random(seed)
    total = 600

    async def scenario():
        reader, writer = os.pipe()
        begun = []
        try:
            given = app_in(COUNTING % writer) | {"app": f"written:{attribute}"}
            async with running(**given, workers=3, threads=4, waiting=total) as made:
                asyncio.get_running_loop().add_reader(reader, lambda: begun.append(os.read(reader, 65536)))
                exchanges, uploads, gone = [], [], set()
                for number in range(1, total + 1):
                    seconds = choose.choice([0, 0, 0, 0, 0, 0, 0, 0.001, 0.01, 0.02])
                    whole = choose.random() < 0.8
                    exchange = made.request(f"/?{number},{seconds}", b"" if whole else b"a", not whole)
                    exchanges.append(exchange)
                    if not whole:
                        uploads.append(exchange)
                    if choose.random() < 0.1:
                        leaving = choose.choice(exchanges)
                        if not leaving.answered:
                            leaving.client_gone()
                            gone.add(leaving)
                    if uploads and choose.random() < 0.5:
                        upload = uploads.pop(choose.randrange(len(uploads)))
                        if upload not in gone:
                            upload.add_body(b"b", False)
                    if choose.random() < 0.3:
                        await asyncio.sleep(choose.choice([0, 0, 0.001, 0.01]))
                for upload in uploads:
                    if upload not in gone:
                        upload.add_body(b"b", False)
                await asyncio.wait_for(made.pool.queue.wait_idle(), 3 * PATIENCE)
                assert made.pool.queue.waiting == 0
                assert [len(worker.exchanges) for worker in made.pool.workers] == [0, 0, 0]
                assert [made.pool.queue._dispatcher.load(worker) for worker in made.pool.workers] == [0, 0, 0]
                await until(lambda: len(b"".join(begun)) >= 4 * (total - len(gone)))
                asyncio.get_running_loop().remove_reader(reader)
        finally:
            os.close(reader)
            os.close(writer)
        for exchange in exchanges:
            got = client(exchange)
            if exchange in gone:
                continue
            assert got.faults == []
            assert got.status == 200
            assert got.body in (b"%d" % exchange.number, b"%dab" % exchange.number)
        data = b"".join(begun)
        numbers = [int.from_bytes(data[at : at + 4]) for at in range(0, len(data), 4)]
        assert len(numbers) == len(set(numbers)), "one was run twice"
        assert {exchange.number for exchange in exchanges if exchange not in gone} <= set(numbers)

    play(scenario)


# -- workers that die ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unhurried")
def test_a_lost_worker_is_replaced(caplog):
    async def scenario():
        async with running(workers=2) as made:
            held = [made.request("/until-disconnect") for _ in range(4)]
            await until(lambda: all(client(exchange).body for exchange in held))
            dead = made.request("/stop-loop")
            await until(lambda: client(dead).over)
            assert client(dead).status == 500
            victims = [exchange for exchange in held if exchange.served_by == dead.served_by]
            others = [exchange for exchange in held if exchange.served_by != dead.served_by]
            assert len(victims) == len(others) == 2
            await until(lambda: all(client(exchange).broken for exchange in victims))
            assert {exchange.state for exchange in victims} == {ExchangeState.CLOSED}
            assert not any(client(exchange).over for exchange in others)
            await until(lambda: len(made.watcher.ready) == 3)
            assert made.watcher.delays == [0.0]
            assert {worker.number for worker in made.pool.workers} == {1, 2}
            assert all(worker.state is WorkerState.READY for worker in made.pool.workers)
            fresh = [made.request("/until-disconnect") for _ in range(2)]
            assert {exchange.served_by for exchange in fresh} == {dead.served_by}
            for exchange in others + fresh:
                exchange.client_gone()
            await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)
            assert not made.pool.failure.done()

    play(scenario)
    assert "ended unexpectedly" in caplog.text


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_lost_worker_had_not_begun_goes_to_another(workers):
    async def scenario():
        with gate() as held:
            async with running("holding:app", workers=workers) as made:
                dying = made.request(f"/stop-and-hold?{held.query}")
                await held.begun()
                if workers == 2:  # so that the next ones go to the worker that is dying
                    made.pool.queue._dispatcher.remove(next(w for w in made.pool.workers if str(w) != dying.served_by))
                unbegun = [made.request("/", b"body") for _ in range(3)]
                gone = made.request("/")
                assert {exchange.served_by for exchange in [*unbegun, gone]} == {dying.served_by}
                gone.client_gone()
                held.release()
                await until(lambda: all(client(exchange).over for exchange in unbegun))
                assert {client(exchange).status for exchange in unbegun} == {200}
                assert client(dying).over
                assert (gone.state, client(gone).status) == (ExchangeState.CLOSED, None)
                await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)

    play(scenario)


@pytest.mark.usefixtures("unhurried")
def test_what_comes_back_is_refused_when_the_line_is_full():
    async def scenario():
        with gate() as held:
            async with running("holding:app", waiting=1) as made:
                made.request(f"/stop-and-hold?{held.query}")
                await held.begun()
                first, second = made.request("/"), made.request("/")
                held.release()
                await until(lambda: client(first).over and client(second).over)
                assert (client(first).status, client(second).status) == (200, 503)
                await asyncio.wait_for(made.pool.queue.wait_idle(), PATIENCE)

    play(scenario)


def test_back_off(monkeypatch):
    monkeypatch.setattr(retries, "BACKOFF", (0.01, 0.03))

    async def scenario():
        async with running() as made:
            for deaths in range(1, 6):
                await made.get("/stop-loop")
                await until(lambda: len(made.watcher.ready) == 1 + deaths)  # noqa: B023
            assert made.watcher.delays == [0.0, 0.01, 0.02, 0.03, 0.03]
            monkeypatch.setattr(retries, "QUICK_DEATH", 0.0)  # as if the last one had lived for long
            await made.get("/stop-loop")
            await until(lambda: len(made.watcher.ready) == 7)
            assert made.watcher.delays[-1] == 0.0

    play(scenario)


def test_a_replacement_that_can_not_start_is_tried_again(monkeypatch, app_in, tmp_path):
    monkeypatch.setattr(retries, "BACKOFF", (0.01, 0.03))
    source = (APPS / "behaviors.py").read_text(encoding="utf-8")

    async def scenario():
        async with running(**app_in(source)) as made:
            app_in("raise ValueError('broken meanwhile')")
            await made.get("/stop-loop")
            await until(lambda: len(made.watcher.delays) == 3)
            assert not made.pool.failure.done()
            exchange = made.request("/")
            app_in(source + "# mended\n")
            await until(lambda: client(exchange).over)
            assert client(exchange).status == 200

    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    play(scenario)


def test_a_replacement_without_a_channel_is_tried_again(monkeypatch, caplog):
    """Too many open files when a worker is to be replaced: later there may be fewer."""
    monkeypatch.setattr(retries, "BACKOFF", (0.01, 0.03))
    real = runtimes.QueueChannel
    broken = []

    def channel():
        if broken:
            raise broken.pop()
        return real()

    monkeypatch.setattr(runtimes, "QueueChannel", channel)

    async def scenario():
        async with running() as made:
            broken.append(OSError(errno.EMFILE, "Too many open files"))
            await made.get("/stop-loop")
            await until(lambda: not broken)
            exchange = made.request("/")
            await until(lambda: client(exchange).over, PATIENCE / 4)
            assert client(exchange).status == 200

    play(scenario)


def test_a_replacement_process_that_cannot_be_started_is_tried_again(monkeypatch, caplog):
    monkeypatch.setattr(retries, "BACKOFF", (0.01, 0.03))
    real, broken = subprocess.Popen, []

    def popen(*args, **options):
        if broken:
            raise broken.pop()
        return real(*args, **options)

    monkeypatch.setattr(subprocess, "Popen", popen)

    async def scenario():
        async with running(runtime="process") as made:
            broken.append(OSError(errno.EAGAIN, "Resource temporarily unavailable"))
            await made.get("/stop-loop")
            exchange = made.request("/")
            await until(lambda: client(exchange).over)
            assert client(exchange).status == 200
            assert not broken
            assert "Worker 1 can't be replaced yet: no process for worker 1: Resource temporarily" in caplog.text

    play(scenario)


def test_no_process_can_be_started(monkeypatch):
    def popen(*args, **options):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(subprocess, "Popen", popen)

    async def scenario():
        async with running(runtime="process", ready=False) as made:
            trouble = await made.pool.failure
            assert isinstance(trouble, ConfigError)
            assert str(trouble).startswith("no process for worker 1: Too many open files; use fewer workers")

    play(scenario)


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_requests_that_come_while_a_process_dies_are_served(app):
    """Whatever the moment, between its death and its being known: what it has not taken is not lost."""

    async def scenario():
        async with running(app, runtime="process") as made:
            for _ in range(3):
                worker = made.pool.workers[0]
                pending = [made.request("/") for _ in range(3)]
                await until(lambda: all(client(exchange).over for exchange in pending))  # noqa: B023
                os.kill(worker.thread._runtime._process.pid, signal.SIGSTOP)
                pending = [made.request("/")]
                os.kill(worker.thread._runtime._process.pid, signal.SIGKILL)
                while worker in made.pool.workers:
                    if len(pending) < 90:  # the line takes 100
                        pending.append(made.request("/"))
                    await asyncio.sleep(0)
                await until(lambda: all(client(exchange).over for exchange in pending))  # noqa: B023
                assert [client(exchange).status for exchange in pending] == [200] * len(pending)

    play(scenario)


# -- the end ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def patient_cut(monkeypatch):
    """Workers get any time to hear that they are not to start: a busy machine needs more than half a second."""
    monkeypatch.setattr(endings, "CUT_START", PATIENCE)


@pytest.mark.usefixtures("patient_cut")
def test_close_before_anybody_is_ready():
    async def scenario():
        async with running(workers=2, ready=False) as made:
            assert await made.close() == 0
            assert all(worker.state is WorkerState.CLOSED for worker in made.pool.workers)
            assert not made.pool.first_ready.is_set()
            assert not made.pool.failure.done()

    play(scenario)


def test_close_lets_exchanges_finish():
    async def scenario():
        with gate() as held:
            async with running("holding:app") as made:
                exchange = made.request(f"/?{held.query}")
                await held.begun()
                closing = asyncio.ensure_future(made.close())
                await until(lambda: made.pool.workers[0].state is WorkerState.RETIRING)
                assert not closing.done()
                held.release()
                assert await closing == 0
                assert client(exchange).status == 200

    play(scenario)


def test_close_twice():
    async def scenario():
        async with running() as made:
            assert await made.close() == 0
            assert await made.close() == 0

    play(scenario)


def test_close_after_a_failure(app_in):
    async def scenario():
        async with running(**app_in("raise ValueError"), ready=False) as made:
            await asyncio.wait_for(made.pool.failure, PATIENCE)
            assert await made.close() == 0

    play(scenario)


def test_close_past_the_deadline_cuts_what_can_be_cut():
    async def scenario():
        async with running() as made:
            streaming, sleeping = made.request("/until-disconnect"), made.request("/sleep?1000")
            await until(lambda: client(streaming).body)
            assert await made.close(0) == 0
            assert made.pool.workers[0].state is WorkerState.CLOSED
            assert client(streaming).broken
            assert client(sleeping).status == 500

    play(scenario)


@pytest.mark.parametrize("app", ["holding:app", "holding:wsgi"])
def test_close_abandons_what_does_not_end(app, monkeypatch, caplog):
    monkeypatch.setattr(endings, "LAST_CALL", 0.1)

    async def scenario():
        with gate() as held:
            async with running(app, workers=2) as made:
                exchange = made.request(f"/?{held.query}")
                await held.begun()
                try:
                    assert await made.close(0.1) == 1
                    states = {str(worker): worker.state for worker in made.pool.workers}
                    assert states.pop(exchange.served_by) is WorkerState.ABANDONED
                    assert list(states.values()) == [WorkerState.CLOSED]
                finally:
                    held.release()

    play(scenario)
    assert "does not end" in caplog.text


def test_a_thread_of_the_app_that_does_not_end_is_abandoned(app_in, monkeypatch):
    """The worker has said goodbye, but closing its interpreter waits for its threads."""
    monkeypatch.setattr(endings, "LAST_CALL", 0.1)
    source = """
import os, threading
threading.Thread(target=os.read, args=(%d, 1), daemon=False).start()
from behaviors import app
"""

    async def scenario():
        with gate() as held:
            async with running(**app_in(source % held.reader), workers=1) as made:
                try:
                    assert await made.close(0.3) == 1
                    assert made.pool.workers[0].state is WorkerState.ABANDONED
                finally:
                    held.release()

    play(scenario)


@pytest.mark.usefixtures("patient_cut")
@pytest.mark.parametrize("turns", range(6))
def test_close_while_a_replacement_is_on_its_way(turns):
    """Whatever the turn that the end comes in: no worker may be started behind its back."""

    async def scenario():
        before = living()
        made = make_pool()
        await made.pool.start()
        await until(made.pool.all_ready.is_set)
        died = asyncio.Event()
        made.watcher.on_replaced = died.set
        made.request("/stop-loop")
        await asyncio.wait_for(died.wait(), PATIENCE)
        for _ in range(turns):
            await asyncio.sleep(0)
        assert await made.close() == 0
        for _ in range(5):
            await asyncio.sleep(0)
        try:
            assert [worker.state for worker in made.pool.workers] == [WorkerState.CLOSED]
        finally:
            await made.close()
            await until(lambda: living() <= before)

    play(scenario)


def test_close_cancels_a_replacement_that_is_not_due(monkeypatch):
    monkeypatch.setattr(retries, "BACKOFF", (1000.0, 1000.0))

    async def scenario():
        async with running() as made:
            await made.get("/stop-loop")
            await until(lambda: len(made.watcher.ready) == 2)
            await made.get("/stop-loop")
            await until(lambda: made.watcher.delays == [0.0, 1000.0])
            assert await made.close() == 0

    play(scenario)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for the thread in /proc")
def test_a_daemon_thread_keeps_its_interpreter_open(monkeypatch, caplog, app_in):
    source = """
import os, threading
threading.Thread(target=os.read, args=(%d, 1), daemon=True, name="endless").start()
from behaviors import app
"""
    caplog.set_level(logging.INFO, "snakepit.server")

    async def scenario():
        before, threads = living(), len(os.listdir("/proc/self/task"))
        with gate() as held:
            made = make_pool(**app_in(source % held.reader))
            await made.pool.start()
            await until(made.pool.all_ready.is_set)
            assert await made.close() == 1
            assert made.pool.workers[0].state is WorkerState.CLOSED
            assert "endless" in caplog.text
            assert len(living() - before) == 1
            held.release()
            await until(lambda: len(os.listdir("/proc/self/task")) <= threads)
            await until(lambda: living() <= before)
        assert living() == before

    play(scenario)


def test_failed_starts_leave_no_files_open(app_in):
    async def scenario():
        given = app_in("raise ValueError")
        for cycle in range(6):
            if cycle == 1:
                before = open_files()
            async with running(**given, threads=4, ready=False) as made:
                await asyncio.wait_for(made.pool.failure, PATIENCE)
        await until(lambda: open_files() <= before, PATIENCE / 4)

    play(scenario)


def test_threads_that_can_not_be_started_leave_no_files_open(monkeypatch):
    async def scenario():
        async with running() as made:
            before = open_files()
            refused = refuse_threads(monkeypatch, 6)
            for _ in range(6):
                assert not await asyncio.wait_for(made.pool.reload(), PATIENCE)
            assert len(refused) == 6
            await until(lambda: open_files() <= before, PATIENCE / 4)

    play(scenario)


def test_dead_workers_leave_no_files_open(monkeypatch):
    """A worker's end and its replacement, over and over."""

    async def scenario():
        monkeypatch.setattr(retries, "QUICK_DEATH", 0.0)
        async with running() as made:
            for deaths in range(1, 7):
                await made.get("/stop-loop")
                await until(lambda: len(made.watcher.ready) == 1 + deaths)  # noqa: B023
                if deaths == 2:
                    before = open_files()
            await until(lambda: open_files() <= before, PATIENCE / 4)

    play(scenario)


def test_thirty_pools_one_after_another_leave_nothing_behind():
    async def scenario():
        start = living()
        for cycle in range(30):
            async with running("holding:app" if cycle % 2 else "holding:wsgi", workers=2) as made:
                assert (await made.get("/")).status == 200
            if cycle == 1:
                await asyncio.sleep(0)
                before = open_files()
        await until(lambda: open_files() <= before, PATIENCE / 4)
        assert living() == start

    play(scenario)

"""snakepit.server.pool with real interpreters, and clients that only keep what they get."""

import asyncio
import errno
import gc
import logging
import os
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from snakepit import interpreters
from snakepit.errors import AppImportError, LifespanError, WorkerLost
from snakepit.fields import render
from snakepit.lifecycle import ExchangeState, WorkerState
from snakepit.protocol.interface import RequestHead
from snakepit.server import pool as pool_module
from snakepit.server import worker as worker_module
from snakepit.server.exchange import Exchange
from snakepit.server.pool import Observer, Pool, PoolOptions

APPS = Path(__file__).parent.parent / "apps"
PATIENCE = 20.0 * float(os.environ.get("SNAKEPIT_TEST_PATIENCE", "1"))
FOR_EVER = 60.0  # seconds until workers are cut that end by themselves


async def until(condition, patience=PATIENCE):
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.002)


def living():
    """The interpreters there are, by their numbers."""
    return {interpreter.id for interpreter in interpreters._api.list_all()}


def open_files():
    for folder in ("/proc/self/fd", "/dev/fd"):
        if os.path.isdir(folder):
            return len(os.listdir(folder))
    return pytest.skip("this platform does not tell which files are open")


class Watcher(Observer):
    """Keeps what happened to the workers."""

    def __init__(self):
        self.ready = []
        self.delays = []
        self.on_replaced = lambda: None

    def worker_ready(self, worker):
        assert worker.state is WorkerState.READY
        self.ready.append(worker.number)

    def worker_replaced(self, worker, delay):
        self.delays.append(delay)
        self.on_replaced()


class FakeClient:
    """Keeps what an exchange sends."""

    def __init__(self):
        self.writable = True
        self.endpoints = (("10.0.0.1", 5000), ("127.0.0.1", 8000), "http")
        self.status = None
        self.headers = []
        self.body = b""
        self.complete = False
        self.broken = False
        self.faults = []

    def send_continue(self):
        raise AssertionError("no client here expects it")

    def send_response(self, status, fields, body, more):
        assert self.status is None, "two responses"
        self.status, self.fields = status, fields
        self.send_body(body, more)

    def send_body(self, data, more):
        assert not self.complete
        self.body += data
        self.complete = not more

    def send_error(self, status, reason, headers):
        if self.status is not None:
            self.broken = True
        else:
            self.send_response(status, render(headers), reason.encode(), False)

    def body_wanted(self):
        pass

    def report_fault(self, exchange, fault):
        self.faults.append(fault)

    @property
    def over(self):
        return self.complete or self.broken


class Running:
    """A pool that runs, and requests to it."""

    def __init__(self, pool, watcher):
        self.pool = pool
        self.watcher = watcher
        self.number = 0

    def request(self, target, body=b"", more=False):
        self.number += 1
        head = RequestHead("GET", target.encode(), "1.1", [(b"host", b"t")], False)
        exchange = Exchange(self.number, FakeClient(), self.pool, head)
        exchange.begin(body, more)
        self.pool.submit(exchange)
        return exchange

    async def get(self, target):
        exchange = self.request(target)
        await until(lambda: client(exchange).over)
        return client(exchange)

    async def loads(self, expected):
        await until(lambda: [self.pool.load(worker) for worker in self.pool.workers] == expected)

    async def close(self, seconds=FOR_EVER):
        return await self.pool.close(asyncio.get_running_loop().time() + seconds)


def client(exchange):
    return exchange._client


def settings_for(app, folder, **settings):
    module, _, attribute = app.partition(":")
    return {
        "sys_path": [str(folder), str(APPS), *sys.path],
        "argv": ["snakepit"],
        "module": module,
        "attribute": attribute,
        "script": None,
        "factory": False,
        "interface": "auto",
        "lifespan": "auto",
        "root_path": "",
        "interpreters": 2,
        "log_config": None,
    } | settings


def make_pool(app="behaviors:app", workers=1, threads=2, folder=APPS, settings=(), **options):
    settings = settings_for(app, folder, **dict(settings))
    given = {"worker_concurrency": 100, "concurrency": None, "waiting": 100, "waiting_seconds": 60.0} | options
    watcher = Watcher()
    made = PoolOptions(workers=workers, threads=threads, interface=settings["interface"], settings=settings, **given)
    return Running(Pool(made, watcher, asyncio.get_running_loop()), watcher)


@asynccontextmanager
async def running(*args, ready=True, **options):
    """A pool within a block; afterwards none of its interpreters may be left."""
    before = living()
    made = make_pool(*args, **options)
    await made.pool.start()
    try:
        if ready:
            async with asyncio.timeout(PATIENCE):
                await made.pool.all_ready.wait()
        yield made
    finally:
        await made.close()
        await until(lambda: living() <= before)


def play(scenario):
    """Run a scenario in a loop in which nothing may go wrong unseen."""

    async def main():
        errors = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        await scenario()
        await asyncio.sleep(0)
        gc.collect()  # an exception that nobody looked at is told when its task goes
        assert errors == []

    asyncio.run(main())


class Gate:
    """Two pipes: tests/apps/holding.py writes to one when it has begun, and goes on when it can read from the other."""

    def __init__(self):
        self._begun, begin = os.pipe()
        self.reader, self._writer = os.pipe()
        os.set_blocking(self._begun, False)
        self.query = f"{begin},{self.reader}"
        self._files = (self._begun, begin, self.reader, self._writer)

    async def begun(self, count=1):
        """Return when so many have begun since the last call."""
        async with asyncio.timeout(PATIENCE):
            while count:
                try:
                    count -= len(os.read(self._begun, count))
                except BlockingIOError:
                    await asyncio.sleep(0.002)

    def release(self, count=1):
        os.write(self._writer, b"x" * count)

    def close(self):
        for descriptor in self._files:
            os.close(descriptor)


@contextmanager
def gate():
    """Hold apps within this block, at whose end all of them must have been released."""
    made = Gate()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def app_in(tmp_path):
    """Write a module that holds an app; returns what `running` needs to serve it."""

    def write(source):
        (tmp_path / "written.py").write_text(source, encoding="utf-8")
        return {"app": "written:app", "folder": tmp_path}

    return write


# -- start-up --------------------------------------------------------------------------------------------------------


def test_start_up():
    async def scenario():
        made = make_pool(workers=3)
        pool = made.pool
        assert not pool.first_ready.is_set()
        await pool.start()
        assert [worker.number for worker in pool.workers] == [1, 2, 3]
        assert all(worker.state is WorkerState.STARTING for worker in pool.workers)
        assert repr(pool) == "<Pool [1 STARTING, 2 STARTING, 3 STARTING] <Dispatcher [] waiting 0>>"
        await until(pool.first_ready.is_set)
        await until(pool.all_ready.is_set)
        assert sorted(made.watcher.ready) == [1, 2, 3]
        assert all(worker.interface == "asgi" for worker in pool.workers)
        assert all(worker.import_seconds > 0 for worker in pool.workers)
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
                await until(lambda: worker.interface == "asgi")
                assert exchange.state is ExchangeState.WAITING
                assert (made.pool.waiting, made.pool.in_progress) == (1, 1)
                assert worker.state is WorkerState.STARTING
                held.release()
                await until(lambda: client(exchange).over)
                assert client(exchange).status == 200
                assert made.pool.all_ready.is_set()
                assert worker.startup_seconds > 0

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


# -- exchanges -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_exchange(app):
    async def scenario():
        async with running(app) as made:
            got = await made.get("/")
            assert (got.status, got.body) == (200, b"hello")
            await asyncio.wait_for(made.pool.wait_idle(), PATIENCE)
            assert made.pool.in_progress == 0

    play(scenario)


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
            await asyncio.wait_for(made.pool.wait_idle(), PATIENCE)

    play(scenario)


@pytest.mark.parametrize("app", ["holding:app", "holding:wsgi"])
def test_line(app):
    """A full worker: the line, in its order, and who leaves it."""

    async def scenario():
        with gate() as held:
            async with running(app, threads=1, worker_concurrency=1, waiting=2) as made:
                first, second, third, fourth = (made.request(f"/{number}?{held.query}") for number in range(4))
                assert first.state is ExchangeState.ASSIGNED
                assert (second.state, third.state) == (ExchangeState.WAITING,) * 2
                assert (client(fourth).status, fourth.state) == (503, ExchangeState.CLOSED)
                assert (b"retry-after", b"1") in client(fourth).headers
                assert (made.pool.in_progress, made.pool.waiting) == (3, 2)
                second.client_gone()
                assert (made.pool.in_progress, made.pool.waiting) == (2, 1)
                held.release(2)
                await until(lambda: client(third).over)
                assert client(first).status == client(third).status == 200
                assert client(second).status is None
                await asyncio.wait_for(made.pool.wait_idle(), PATIENCE)

    play(scenario)


def test_too_long_in_the_line():
    async def scenario():
        with gate() as held:
            async with running("holding:app", worker_concurrency=1, waiting_seconds=0.05) as made:
                first, second = made.request(f"/?{held.query}"), made.request("/")
                await until(lambda: client(second).over)
                assert (client(second).status, second.state) == (503, ExchangeState.CLOSED)
                assert first.state is ExchangeState.ASSIGNED
                assert (made.pool.in_progress, made.pool.waiting) == (1, 0)
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
            await until(lambda: made.pool.in_progress == 1)
            assert (await made.get("/")).status == 200
            held.pop().client_gone()
            await asyncio.wait_for(made.pool.wait_idle(), PATIENCE)

    play(scenario)


def test_wsgi_takes_as_many_as_it_has_threads():
    async def scenario():
        with gate() as held:
            async with running("holding:wsgi", threads=3) as made:
                exchanges = [made.request(f"/?{held.query}") for _ in range(5)]
                assert [exchange.state for exchange in exchanges] == [ExchangeState.ASSIGNED] * 3 + [
                    ExchangeState.WAITING
                ] * 2
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
            exchange.pay()
            await until(lambda: client(exchange).over)
            assert len(client(exchange).body) == 100 * 65536

    play(scenario)


# -- workers that die ------------------------------------------------------------------------------------------------


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
            assert all(client(exchange).broken and exchange.state is ExchangeState.CLOSED for exchange in victims)
            assert not any(client(exchange).over for exchange in others)
            await until(lambda: len(made.watcher.ready) == 3)
            assert made.watcher.delays == [0.0]
            assert {worker.number for worker in made.pool.workers} == {1, 2}
            assert all(worker.state is WorkerState.READY for worker in made.pool.workers)
            fresh = [made.request("/until-disconnect") for _ in range(2)]
            assert {exchange.served_by for exchange in fresh} == {dead.served_by}
            for exchange in others + fresh:
                exchange.client_gone()
            await asyncio.wait_for(made.pool.wait_idle(), PATIENCE)
            assert not made.pool.failure.done()

    play(scenario)
    assert "ended unexpectedly" in caplog.text


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_lost_worker_had_not_begun_goes_to_another(workers):
    async def scenario():
        with gate() as held:
            async with running("holding:app", workers=workers) as made:
                dying = made.request(f"/stop-and-hold?{held.query}")
                await held.begun()
                if workers == 2:  # so that the next ones go to the worker that is dying
                    made.pool._dispatcher.remove(next(w for w in made.pool.workers if str(w) != dying.served_by))
                unbegun = [made.request("/", b"body") for _ in range(3)]
                gone = made.request("/")
                assert {exchange.served_by for exchange in [*unbegun, gone]} == {dying.served_by}
                gone.client_gone()
                held.release()
                await until(lambda: all(client(exchange).over for exchange in unbegun))
                assert {client(exchange).status for exchange in unbegun} == {200}
                assert client(dying).over
                assert (gone.state, client(gone).status) == (ExchangeState.CLOSED, None)
                await asyncio.wait_for(made.pool.wait_idle(), PATIENCE)

    play(scenario)


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
                await asyncio.wait_for(made.pool.wait_idle(), PATIENCE)

    play(scenario)


def test_back_off(monkeypatch):
    monkeypatch.setattr(pool_module, "BACKOFF", (0.01, 0.03))

    async def scenario():
        async with running() as made:
            for deaths in range(1, 6):
                await made.get("/stop-loop")
                await until(lambda: len(made.watcher.ready) == 1 + deaths)  # noqa: B023
            assert made.watcher.delays == [0.0, 0.01, 0.02, 0.03, 0.03]
            monkeypatch.setattr(pool_module, "QUICK_DEATH", 0.0)  # as if the last one had lived for long
            await made.get("/stop-loop")
            await until(lambda: len(made.watcher.ready) == 7)
            assert made.watcher.delays[-1] == 0.0

    play(scenario)


def test_a_replacement_that_can_not_start_is_tried_again(monkeypatch, app_in, tmp_path):
    monkeypatch.setattr(pool_module, "BACKOFF", (0.01, 0.03))
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
    monkeypatch.setattr(pool_module, "BACKOFF", (0.01, 0.03))
    real = worker_module.Channel
    broken = []

    def channel():
        if broken:
            raise broken.pop()
        return real()

    monkeypatch.setattr(worker_module, "Channel", channel)

    async def scenario():
        async with running() as made:
            broken.append(OSError(errno.EMFILE, "Too many open files"))
            await made.get("/stop-loop")
            await until(lambda: not broken)
            exchange = made.request("/")
            await until(lambda: client(exchange).over, PATIENCE / 4)
            assert client(exchange).status == 200

    play(scenario)


# -- the end ---------------------------------------------------------------------------------------------------------


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
    monkeypatch.setattr(pool_module, "LAST_CALL", 0.1)

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
    monkeypatch.setattr(pool_module, "LAST_CALL", 0.1)
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
    monkeypatch.setattr(pool_module, "BACKOFF", (1000.0, 1000.0))

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
        worker_module._never_closed.pop().close()  # now that its thread has ended, so that later tests start clean
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


def test_dead_workers_leave_no_files_open(monkeypatch):
    """A worker's end and its replacement, over and over."""

    async def scenario():
        monkeypatch.setattr(pool_module, "QUICK_DEATH", 0.0)
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

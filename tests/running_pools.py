"""Real pools of real workers, requests to them, and apps that wait for the test."""

import asyncio
import gc
import logging
import os
import sys
import threading
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from clients import FakeClient
from waiting import PATIENCE, until

from snakepit.http.events import RequestHead
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.lifecycle import WorkerState
from snakepit.server.pool.observer import Observer
from snakepit.server.pool.options import PoolOptions
from snakepit.server.pool.pool import Pool
from snakepit.wire import interpreters
from snakepit.wire.settings import AppSettings

APPS = Path(__file__).parent / "apps"
FOR_EVER = 60.0  # seconds until workers are cut that end by themselves


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
        self.on_worn_out = lambda reason: False

    def worker_ready(self, worker):
        assert worker.state is WorkerState.READY
        self.ready.append(worker.number)

    def worker_replaced(self, worker, delay):
        self.delays.append(delay)
        self.on_replaced()

    def worn_out(self, reason):
        return self.on_worn_out(reason)


class Running:
    """A pool that runs, and requests to it."""

    def __init__(self, pool, watcher):
        self.pool = pool
        self.watcher = watcher
        self.number = 0

    def request(self, target, body=b"", more=False):
        self.number += 1
        head = RequestHead("GET", target.encode(), "1.1", [(b"host", b"t")], False, body=body, more=more)
        exchange = Exchange(self.number, FakeClient(), self.pool.queue, head)
        self.pool.queue.submit(exchange)
        return exchange

    async def get(self, target):
        exchange = self.request(target)
        await until(lambda: client(exchange).over)
        return client(exchange)

    async def loads(self, expected):
        await until(lambda: [len(worker.exchanges) for worker in self.pool.workers] == expected)

    async def close(self, seconds=FOR_EVER):
        return await self.pool.close(asyncio.get_running_loop().time() + seconds)


def client(exchange):
    return exchange._client


def settings_for(app, folder, **settings):
    module, _, attribute = app.partition(":")
    made = {
        "sys_path": [str(folder), str(APPS), *sys.path],
        "own_path": sys.path,
        "own_modules": [],
        "venv": None,
        "argv": ["snakepit"],
        "module": module,
        "attribute": attribute,
        "script": None,
        "factory": False,
        "interface": "auto",
        "lifespan": "auto",
        "reset_contextvars": False,
        "root_path": "",
        "mount": "",
        "interpreters": 2,
        "log_config": None,
        "log_format": "auto",
        "request_id": False,
        "debug": False,
        "app": "",
        "extensions": "vetted",
        "lazy_imports": "off",
        "lazy_libraries": [],
        "copies": "",
        "write_bytecode": True,
        "ws_max_queue": 32,
        "page_script": "",
        "timeout_request": None,
        "environ": dict(os.environ),
        "variables": {},
        "directory": "",
        "on_chdir": "warn",
        "tells_metrics": False,
        "open_files": None,
    } | settings
    assert AppSettings.__required_keys__ <= made.keys(), "a worker would end for want of the others"
    return made


def make_pool(app="behaviors:app", workers=1, threads=2, folder=APPS, settings=(), **options):
    settings = settings_for(app, folder, **dict(settings))
    given = {"worker_concurrency": 100, "concurrency": None, "waiting": 100, "waiting_seconds": 60.0}
    given |= {"runtime": "interpreter"} | options
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
    except BaseException:
        for held in _gates:  # or its end would have to wait for what the test holds
            held.release(1000)
        raise
    finally:
        await made.close()
        await until(lambda: living() <= before)


@contextmanager
def logged_exceptions():
    """The exceptions that the server logs within this block, as text: all of them are bugs."""
    logged = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(repr(record.exc_info[1])) if record.exc_info else None
    logger = logging.getLogger("snakepit.server")
    logger.addHandler(handler)
    try:
        yield logged
    finally:
        logger.removeHandler(handler)


def play(scenario, expected=()):
    """Run a scenario in a loop in which nothing may go wrong unseen; `expected`: the exceptions that are logged."""

    async def main():
        errors = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        with logged_exceptions() as logged:
            await scenario()
            await asyncio.sleep(0)
        gc.collect()  # an exception that was never retrieved is reported when its task is freed
        assert errors == []
        assert logged == list(expected)

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
    _gates.append(made)
    try:
        yield made
    finally:
        _gates.remove(made)
        made.close()


_gates: list[Gate] = []


def refuse_threads(monkeypatch, count):
    """The system has no thread for the next workers, so many of them."""
    refused = []
    start = threading.Thread.start

    def refuse(thread):
        if thread.name.startswith("snakepit-worker-") and len(refused) < count:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    return refused

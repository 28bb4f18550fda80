"""worker.hangs.asgi_tasks: a time-out never ends a thread of a pool, whatever the thread is at."""

import asyncio
import concurrent.futures
import functools
import sys
import threading
import time

import anyio._backends._asyncio
import anyio.to_thread
import pytest
from waiting import PATIENCE, wait_until

from snakepit.errors import RequestTimeout
from snakepit.worker.hangs import threads
from snakepit.worker.hangs.asgi_tasks import CURRENT_EXCHANGE, RunningTasks
from snakepit.worker.hangs.contract import NOTHING

NUMBER = 7
LATER = 8


class Gate:
    """A place in code that holds up the first thread that comes there, once it is set up."""

    def __init__(self):
        self.set_up = self.holds = self.open = False

    def __call__(self):
        if self.set_up:
            self.set_up, self.holds = False, True
            while not self.open:  # no lock: an exception has to get through at once
                time.sleep(0.001)


@pytest.fixture
def gate():
    made = Gate()
    yield made
    made.open = True


@pytest.fixture
def loop():
    """An event loop in a thread, which would outlive a test that fails."""
    made, over = asyncio.new_event_loop(), asyncio.Event()
    # anyio's threads last as long as the task that a loop runs until it is complete, as a worker's does
    thread = threading.Thread(target=lambda: made.run_until_complete(over.wait()), daemon=True)
    thread.start()
    yield made
    made.call_soon_threadsafe(over.set)
    thread.join(PATIENCE)
    made.close()


@pytest.fixture
def tasks(loop):
    async def make():
        return RunningTasks(loop, list, [])

    return asyncio.run_coroutine_threadsafe(make(), loop).result(PATIENCE)


class Anyio:
    """anyio's threads, as Starlette and FastAPI use them for functions that are no coroutines."""

    async def run(self, function, *args):
        return await anyio.to_thread.run_sync(function, *args)


class Executor:
    """A pool of asyncio with one thread, which is what is left if others have ended."""

    def __init__(self):
        self._executor = concurrent.futures.ThreadPoolExecutor(1)

    async def run(self, function, *args):
        asyncio.get_running_loop().set_default_executor(self._executor)
        return await asyncio.to_thread(function, *args)


def run(loop, pool, number, function, *args):
    """Let an exchange call a function in a thread; returns a future."""

    async def exchange():
        CURRENT_EXCHANGE.set(number)
        return await pool.run(function, *args)

    return asyncio.run_coroutine_threadsafe(exchange(), loop)


def gated(monkeypatch, owner, name, gate, before):
    original = getattr(owner, name)

    @functools.wraps(original)
    def through_the_gate(*args, **kwargs):
        if before:
            gate()
        result = original(*args, **kwargs)
        if not before:
            gate()
        return result

    monkeypatch.setattr(owner, name, through_the_gate)


class Locals:
    """Stands in for the thread locals of anyio, which sets one before the call and deletes it after that."""

    def __init__(self, original, at_begin, at_end):
        vars(self).update(_original=original, _at_begin=at_begin, _at_end=at_end)

    def __getattr__(self, name):
        return getattr(self._original, name)

    def __setattr__(self, name, value):
        if name == "current_cancel_scope":
            self._at_begin()
        setattr(self._original, name, value)

    def __delattr__(self, name):
        delattr(self._original, name)
        if name == "current_cancel_scope":
            self._at_end()


def before_anyio_calls(monkeypatch, loop, gate):
    backend = anyio._backends._asyncio
    monkeypatch.setattr(backend, "threadlocals", Locals(backend.threadlocals, gate, lambda: None))


def after_anyio_has_called(monkeypatch, loop, gate):
    backend = anyio._backends._asyncio
    monkeypatch.setattr(backend, "threadlocals", Locals(backend.threadlocals, lambda: None, gate))


def before_the_result_is_told(monkeypatch, loop, gate):
    gated(monkeypatch, loop, "call_soon_threadsafe", gate, before=True)


def when_the_loop_is_woken(monkeypatch, loop, gate):
    gated(monkeypatch, loop, "_write_to_self", gate, before=True)


def after_the_result_is_told(monkeypatch, loop, gate):
    gated(monkeypatch, loop, "call_soon_threadsafe", gate, before=False)


def between_two_calls(monkeypatch, loop, gate):
    gated(monkeypatch, anyio._backends._asyncio.Queue, "task_done", gate, before=True)


def before_the_executor_calls(monkeypatch, loop, gate):
    gated(monkeypatch, concurrent.futures.Future, "set_running_or_notify_cancel", gate, before=False)


def before_the_future_has_its_result(monkeypatch, loop, gate):
    gated(monkeypatch, concurrent.futures.Future, "set_result", gate, before=True)


def after_the_future_has_its_result(monkeypatch, loop, gate):
    gated(monkeypatch, concurrent.futures.Future, "set_result", gate, before=False)


@pytest.mark.parametrize(
    ("pool", "moment"),
    [
        (Anyio, before_anyio_calls),
        (Anyio, after_anyio_has_called),
        (Anyio, before_the_result_is_told),
        (Anyio, when_the_loop_is_woken),
        (Anyio, after_the_result_is_told),
        (Anyio, between_two_calls),
        (Executor, before_the_executor_calls),
        (Executor, before_the_future_has_its_result),
        (Executor, when_the_loop_is_woken),
        (Executor, after_the_result_is_told),
        (Executor, after_the_future_has_its_result),
    ],
)
def test_between_the_pools_code_and_the_apps_nothing_is_raised(monkeypatch, loop, tasks, gate, pool, moment):
    used = pool()
    assert run(loop, used, NUMBER, threading.get_ident).result(PATIENCE)  # there is a thread, and it is idle
    moment(monkeypatch, loop, gate)

    def set_up():
        """Set up the gate in the thread: the test's own use of the loop must not come there."""
        gate.set_up = True
        return threading.get_ident()

    if moment in (before_anyio_calls, before_the_executor_calls):
        gate.set_up = True
        called = run(loop, used, NUMBER, threading.get_ident)
    else:
        called = run(loop, used, NUMBER, set_up)
    wait_until(lambda: gate.holds)
    assert tasks.end_exchange(NUMBER, RequestTimeout) in (None, NOTHING)
    tasks.end_all(RequestTimeout, True)
    gate.open = True
    ident = called.result(PATIENCE)
    for number in range(LATER, LATER + 3):
        assert run(loop, used, number, threading.get_ident).result(PATIENCE) == ident  # by the same thread


@pytest.mark.parametrize("pool", [Anyio, Executor])
def test_what_is_raised_as_the_function_returns_reaches_its_caller(loop, pool):
    """C code has begun to return when the exception comes, so nothing of the app's is left to raise it in."""
    used = pool()
    for _ in range(50):  # Python specializes the instructions that call a function
        ident = run(loop, used, LATER, threading.get_ident).result(PATIENCE)
        with pytest.raises(RequestTimeout):
            run(loop, used, NUMBER, threads._raise, ident, RequestTimeout).result(PATIENCE)
    assert run(loop, used, LATER, threading.get_ident).result(PATIENCE) == ident


@pytest.mark.parametrize("pool", [Anyio, Executor])
def test_whenever_an_exception_is_raised_the_thread_goes_on(monkeypatch, loop, tasks, pool):
    """Many short calls, while somebody raises all the time, and Python changes threads all the time."""
    used, idents, ended, over = pool(), set(), [], threading.Event()
    monkeypatch.setattr(RunningTasks, "current", lambda self: 0)  # so nothing is raised in the loop's own thread

    def short():
        idents.add(threading.get_ident())
        time.sleep(0)  # lets another thread run

    async def exchange():
        CURRENT_EXCHANGE.set(NUMBER)
        while not over.is_set():
            try:
                await used.run(short)
            except RequestTimeout:
                ended.append(NUMBER)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        served = asyncio.run_coroutine_threadsafe(exchange(), loop)
        spared, end = 0, time.monotonic() + PATIENCE
        while (spared < 200 or len(ended) < 1000) and time.monotonic() < end:
            spared += tasks.end_exchange(NUMBER, RequestTimeout) is None
        over.set()
        served.result(PATIENCE)
    finally:
        over.set()
        sys.setswitchinterval(interval)
    assert spared >= 200
    assert len(ended) >= 1000
    assert len(idents) == 1

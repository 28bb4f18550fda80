"""worker.hangs.asgi_tasks: which thread works for which exchange of an event loop, and what is raised where."""

import asyncio
import concurrent.futures
import contextvars
import functools
import threading
import types

import anyio.to_thread
import pytest
from waiting import PATIENCE, wait_until

from snakepit.errors import RequestTimeout, WorkerStopping
from snakepit.worker.hangs.asgi_tasks import CURRENT_EXCHANGE, RunningTasks
from snakepit.worker.hangs.contract import NOTHING

NUMBER = 7


fire = types.SimpleNamespace(burns=False)  # no Event, whose lock an exception in the thread could leave locked


def burn():
    fire.burns = True
    while True:
        pass


def wait_until_it_burns():
    wait_until(lambda: fire.burns)


class Loop:
    """An event loop in a thread; its exchange runs `app`."""

    def __init__(self, app, number=NUMBER):
        self.error = None
        self.app, self.number = app, number
        self.began = threading.Event()
        self.threads_before = set(threading.enumerate())
        fire.burns = False
        self.thread = threading.Thread(target=lambda: asyncio.run(self._main()))
        self.thread.start()
        assert self.began.wait(PATIENCE)

    async def _main(self):
        self.loop = asyncio.get_running_loop()
        self.tasks = RunningTasks(self.loop, list, [Loop._exchange.__code__])
        self.task = asyncio.create_task(self._exchange())
        await self.task

    async def _exchange(self):
        CURRENT_EXCHANGE.set(self.number)
        self.began.set()
        try:
            await self.app()
        except BaseException as error:
            self.error = error

    def end(self):
        """Wait for all its threads, since anyio's may outlive the loop, and return the type of the error."""
        wait_until(lambda: self.threads_before.issuperset(threading.enumerate()))
        return type(self.error) if self.error else None


async def in_the_loop():
    burn()


async def in_a_task_of_its_own():
    await asyncio.create_task(in_the_loop())


async def by_asyncio():
    await asyncio.to_thread(burn)


async def by_an_executor():
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        run = functools.partial(contextvars.copy_context().run, burn)
        await asyncio.get_running_loop().run_in_executor(executor, run)


async def by_anyio():
    await anyio.to_thread.run_sync(burn)


@pytest.mark.parametrize(
    ("app", "aside"),
    [(in_the_loop, False), (in_a_task_of_its_own, False), (by_asyncio, True), (by_an_executor, True), (by_anyio, True)],
)
def test_what_works_for_an_exchange_is_ended(app, aside):
    running = Loop(app)
    wait_until_it_burns()
    assert running.tasks.end_exchange(NUMBER + 1, RequestTimeout) == NOTHING

    def ended():
        found = running.tasks.end_exchange(NUMBER, RequestTimeout)
        return found if found != NOTHING else None

    where, found_aside = wait_until(ended)
    assert found_aside is aside
    assert "in burn" in where
    assert running.end() is RequestTimeout


def test_what_was_cancelled_gets_a_chance_to_end_by_itself():
    running = Loop(in_the_loop)
    wait_until_it_burns()
    assert running.tasks.current() == NUMBER
    running.tasks.cancelled.add(NUMBER)
    assert running.tasks.end_exchange(NUMBER, RequestTimeout) is None
    assert running.thread.is_alive()
    where, _ = running.tasks.end_exchange(NUMBER, RequestTimeout)
    assert "in burn" in where
    assert running.end() is RequestTimeout


async def waits():
    await asyncio.sleep(PATIENCE)


def test_a_loop_that_waits_is_left_alone():
    running = Loop(waits)
    wait_until(lambda: running.tasks.current() == 0)
    assert running.tasks.end_exchange(NUMBER, RequestTimeout) == NOTHING
    running.tasks.end_all(WorkerStopping, True)
    running.loop.call_soon_threadsafe(running.task.cancel)
    assert running.end() is asyncio.CancelledError


async def in_a_callback():
    asyncio.get_running_loop().call_soon(burn)
    await asyncio.sleep(0.01)
    raise ValueError("the loop goes on")


@pytest.mark.parametrize(("app", "outcome"), [(in_the_loop, WorkerStopping), (in_a_callback, ValueError)])
def test_whatever_the_loop_is_at_is_ended_with_its_worker(app, outcome):
    running = Loop(app)
    wait_until_it_burns()
    running.tasks.end_all(WorkerStopping, False)
    assert running.end() is outcome


def test_a_loop_that_has_cancelled_all_is_let_go_until_it_has_to_end():
    running = Loop(in_the_loop)
    wait_until_it_burns()
    running.tasks.stopping = True
    running.tasks.end_all(WorkerStopping, False)
    running.thread.join(0.05)
    assert running.thread.is_alive()
    running.tasks.end_all(WorkerStopping, True)
    assert running.end() is WorkerStopping

"""snakepit.stacks.snapshot, stack and tasks: threads and tasks, what they wait for, and whom they work for."""

import asyncio
import contextvars
import marshal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from waiting import PATIENCE, wait_until

from snakepit.stacks import snapshot as snapshot_module
from snakepit.stacks import stack as stack_module
from snakepit.stacks import tasks as tasks_module
from snakepit.stacks.snapshot import snapshot
from snakepit.stacks.stack import packed, unpacked


class Working:
    """Stands in for the call of the app for an exchange: this is what is looked for on stacks."""

    def __init__(self, number):
        self.number = number

    async def run(self, work):
        await work

    def run_in_thread(self, work):
        work()


@pytest.fixture(autouse=True)
def runs_exchange(monkeypatch):
    monkeypatch.setattr(stack_module, "_RUNS_EXCHANGE", ("Working.run", "Working.run_in_thread"))
    monkeypatch.setattr(stack_module, "PACKAGE", __file__)


@contextmanager
def started(*targets):
    threads = [threading.Thread(target=target, name=target.__name__) for target in targets]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        gate.set()
        for thread in threads:
            thread.join(PATIENCE)
        gate.clear()


gate = threading.Event()


def waits():
    gate.wait()


def spins():
    while not gate.is_set():
        pass


def found(name, stacks=None):
    return [stack for stack in (snapshot()[0] if stacks is None else stacks) if stack.name == name]


def functions(stack):
    return [function for _, _, function in stack.calls]


def test_threads_that_wait_and_that_compute():
    with started(waits, spins):
        wait_until(lambda: found("waits") and "Event.wait" in functions(found("waits")[0]))
        [waiting], [spinning] = found("waits"), found("spins")
        assert "waits" in functions(waiting)
        assert functions(spinning)[-1] in ("spins", "Event.is_set")
        at = [line for file, line, function in spinning.calls if function == "spins"]
        assert at[0] in (spins.__code__.co_firstlineno + 1, spins.__code__.co_firstlineno + 2)
        assert (waiting.kind, waiting.exchange, waiting.is_idle) == ("thread", 0, False)
        assert waiting.ident != spinning.ident


def test_the_calling_thread_is_left_out():
    assert not found(threading.current_thread().name)


def test_a_thread_that_works_for_an_exchange():
    with started(waits) as _:

        def calls_app():
            Working(7).run_in_thread(waits)

        with started(calls_app):
            wait_until(lambda: found("calls_app") and "waits" in functions(found("calls_app")[0]))
            [stack] = found("calls_app")
            assert stack.exchange == 7
            assert stack.ours[functions(stack).index("Working.run_in_thread")]
            assert not stack.ours[functions(stack).index("waits")]


def test_stacks_cross_as_plain_tuples():
    stacks, _ = snapshot()
    assert unpacked(marshal.loads(marshal.dumps(packed(stacks)))) == stacks


def test_long_stacks_are_shortened():
    def deep(depth):
        if depth:
            deep(depth - 1)
        else:
            gate.wait()

    def recursion():
        deep(500)

    with started(recursion):
        wait_until(lambda: found("recursion") and "Event.wait" in functions(found("recursion")[0]))
        [stack] = found("recursion")
        assert len(stack.calls) == len(stack.ours) == stack_module.MOST_CALLS
        assert functions(stack)[0] == "Thread._bootstrap"
        assert "Event.wait" in functions(stack)


# -- tasks -------------------------------------------------------------------------------------------------------------


def in_loop(main, check):
    """Run a coroutine in a loop of another thread, and check its snapshot when all of it waits."""
    loop = asyncio.new_event_loop()
    task = None

    def loop_thread():
        nonlocal task
        task = loop.create_task(main(), name="main")
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    with started(loop_thread):
        try:
            wait_until(lambda: check(snapshot()[0]), "the snapshot is as it should be")
        finally:
            gate.set()
            loop.call_soon_threadsafe(task.cancel)


async def for_ever():
    await asyncio.Event().wait()


def test_a_task_that_waits_for_ever_for_a_lock():
    async def twice():
        lock = asyncio.Lock()
        await lock.acquire()
        await lock.acquire()

    def check(stacks):
        return [functions(stack)[-2:] for stack in found("main", stacks)] == [
            ["test_a_task_that_waits_for_ever_for_a_lock.<locals>.twice", "Lock.acquire"]
        ]

    in_loop(twice, check)


def exchanges(stacks):
    return sorted((stack.kind, stack.exchange, stack.tasks, functions(stack)[-1]) for stack in stacks if stack.exchange)


def test_tasks_that_an_exchange_gathers_are_its_own():
    async def gathering():
        await asyncio.gather(for_ever(), for_ever())

    def check(stacks):
        said = [stack.waits_for for stack in found("main", stacks)]
        return said == ["2 of the 2 that asyncio.gather() was given"] and exchanges(stacks) == [
            ("task", 5, 1, "test_tasks_that_an_exchange_gathers_are_its_own.<locals>.gathering"),
            ("task", 5, 2, "Event.wait"),
        ]

    in_loop(lambda: Working(5).run(gathering()), check)


def test_tasks_of_an_exchanges_group_are_its_own():
    async def group():
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(for_ever())
            tasks.create_task(for_ever())

    in_loop(lambda: Working(5).run(group()), lambda stacks: exchanges(stacks)[1:] == [("task", 5, 2, "Event.wait")])


def test_a_task_knows_its_exchange_by_its_context():
    variable = contextvars.ContextVar("snakepit_exchange")

    async def aside():
        variable.set(9)
        tasks = [asyncio.create_task(for_ever())]
        variable.set("not a number")
        tasks.append(asyncio.create_task(for_ever()))
        await asyncio.sleep(1000)

    in_loop(aside, lambda stacks: exchanges(stacks) == [("task", 9, 1, "Event.wait")])


async def in_thread():
    await asyncio.to_thread(waits)


async def shielded():
    await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, waits))


async def in_a_pool_of_its_own():
    with ThreadPoolExecutor(1) as pool:
        await asyncio.get_running_loop().run_in_executor(pool, waits)


async def by_anyio():
    to_thread = pytest.importorskip("anyio.to_thread")
    await to_thread.run_sync(waits)


@pytest.mark.parametrize("work", [in_thread, shielded, in_a_pool_of_its_own, by_anyio])
def test_a_thread_works_for_the_exchange_that_waits_for_it(work):
    def check(stacks):
        threads = [stack for stack in stacks if stack.kind == "thread" and "waits" in functions(stack)]
        return [stack.exchange for stack in threads] == [4]

    in_loop(lambda: Working(4).run(work()), check)


def test_equal_stacks_of_tasks_count_as_one():
    async def many():
        await asyncio.gather(*(for_ever() for _ in range(50)))

    in_loop(many, lambda stacks: [stack.tasks for stack in stacks if stack.tasks > 1] == [50])


def test_what_is_too_much_is_counted(monkeypatch):
    monkeypatch.setattr(tasks_module, "MOST_TASKS", 10)
    monkeypatch.setattr(snapshot_module, "MOST_STACKS", 1)

    async def many():
        await asyncio.gather(*(for_ever() for _ in range(50)))

    def check(_):
        stacks, left_out = snapshot()
        return len(stacks) == 1 and left_out >= 41

    in_loop(many, check)


def test_the_loop_that_is_given_need_not_be_on_a_stack():
    async def main():
        waiting = asyncio.create_task(for_ever(), name="waiting")
        await asyncio.sleep(0)
        with monkeypatched():
            assert not found("waiting", snapshot()[0])
        assert found("waiting", snapshot(asyncio.get_running_loop())[0])
        waiting.cancel()

    @contextmanager
    def monkeypatched():
        loops, tasks_module.loops_in = tasks_module.loops_in, lambda threads: set()
        try:
            yield
        finally:
            tasks_module.loops_in = loops

    asyncio.run(main())


def test_without_asyncio_nothing_is_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "asyncio")
    monkeypatch.delitem(sys.modules, "snakepit.stacks.tasks")
    snapshot()
    assert "asyncio" not in sys.modules

"""snakepit.stacks.awaiting: where a task waits."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from snakepit.stacks import awaiting


def calls(task):
    return [summary.name for summary in awaiting.stack_of(task)]


async def forever():
    await asyncio.Event().wait()


async def in_a_task():
    await asyncio.create_task(forever())


async def pieces():
    await forever()
    yield 1


async def in_a_loop():
    async for _ in pieces():
        pass


@asynccontextmanager
async def connection():
    await forever()
    yield


async def in_a_context():
    async with connection():
        pass


class Awaitable:
    def __await__(self):
        return forever().__await__()


async def in_an_object():
    await Awaitable()


async def with_a_time_limit():
    async with asyncio.timeout(1000):
        await forever()


@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (forever, ["forever", "wait"]),
        (in_a_task, ["in_a_task", "forever", "wait"]),
        (in_a_loop, ["in_a_loop", "pieces", "forever", "wait"]),
        (in_a_context, ["in_a_context", "__aenter__", "connection", "forever", "wait"]),
        (in_an_object, ["in_an_object", "forever", "wait"]),
        (with_a_time_limit, ["with_a_time_limit", "forever", "wait"]),
    ],
)
def test_where_it_waits(work, expected):
    async def main():
        task = asyncio.create_task(work())
        await asyncio.sleep(0.0)
        await asyncio.sleep(0.0)
        found = calls(task)
        task.cancel()
        await asyncio.wait([task])
        return found

    assert asyncio.run(main()) == expected


def test_a_task_that_is_over():
    async def main():
        task = asyncio.create_task(asyncio.sleep(0))
        await task
        return calls(task)

    assert asyncio.run(main()) == []


def test_so_many_calls_are_followed(monkeypatch):
    async def deeper(depth):
        await (deeper(depth - 1) if depth else forever())

    async def main():
        task = asyncio.create_task(deeper(20))
        await asyncio.sleep(0)
        found = calls(task)
        task.cancel()
        await asyncio.wait([task])
        return found

    monkeypatch.setattr(awaiting, "MOST_CALLS", 7)
    assert asyncio.run(main()) == ["deeper"] * 7

"""snakepit.server.event_loop.background: an exception that no code waits for is logged at once."""

import asyncio
import gc
import logging

import pytest

from snakepit.server.event_loop.background import BackgroundTasks


async def fail():
    raise ValueError("out of cheese")


def play(scenario):
    """Run a scenario in a loop that has nothing to report by itself."""

    async def main():
        reported = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        await scenario()
        gc.collect()
        await asyncio.sleep(0)
        assert reported == []

    asyncio.run(main())


def test_an_exception_is_logged_as_soon_as_the_task_ends(caplog):
    async def scenario():
        tasks = BackgroundTasks()
        task = tasks.begin(fail())  # kept here: the garbage collector never sees it
        assert tasks == {task}
        await asyncio.wait([task])
        await asyncio.sleep(0)
        assert tasks == set()

    play(scenario)
    [record] = caplog.records
    assert (record.name, record.levelno) == ("snakepit.server", logging.ERROR)
    assert record.getMessage() == "Error in the background task fail, which has ended"
    assert str(record.exc_info[1]) == "out of cheese"


def test_who_waits_gets_it_too(caplog):
    async def scenario():
        with pytest.raises(ValueError, match="out of cheese"):
            await BackgroundTasks().begin(fail())

    play(scenario)
    assert len(caplog.records) == 1


def test_what_ends_well_or_is_cancelled_is_not_logged(caplog):
    async def scenario():
        tasks = BackgroundTasks()
        assert await tasks.begin(asyncio.sleep(0, "slept")) == "slept"
        cancelled = tasks.begin(asyncio.Event().wait())
        cancelled.cancel()
        await asyncio.wait([cancelled])
        await asyncio.sleep(0)
        assert tasks == set()

    play(scenario)
    assert caplog.records == []


def test_all_are_cancelled(caplog):
    async def scenario():
        tasks = BackgroundTasks()
        first, second = tasks.begin(asyncio.Event().wait()), tasks.begin(asyncio.Event().wait())
        tasks.cancel()
        assert tasks == {first, second}, "until they have ended"
        await tasks.wait_cancelled()
        assert first.cancelled()
        assert second.cancelled()
        await asyncio.sleep(0)
        assert tasks == set()
        await tasks.wait_cancelled()

    play(scenario)
    assert caplog.records == []

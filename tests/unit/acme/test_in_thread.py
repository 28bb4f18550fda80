"""snakepit.acme.threads: a result or an exception comes back to the loop, if that is still there."""

import asyncio
import threading

import pytest

from snakepit.acme.threads import in_thread


def test_a_result_and_an_exception():
    async def test():
        loop = asyncio.get_running_loop()
        assert await in_thread(loop, threading.current_thread) is not threading.current_thread()
        with pytest.raises(KeyError):
            await in_thread(loop, lambda: {}["x"])

    asyncio.run(test())


def test_who_does_not_wait_any_more():
    gate = threading.Event()

    async def test():
        loop = asyncio.get_running_loop()
        done = in_thread(loop, lambda: gate.wait(60))
        done.cancel()
        gate.set()
        assert await in_thread(loop, lambda: 7) == 7

    asyncio.run(test())


def test_a_loop_that_is_closed():
    gate = threading.Event()
    loop = asyncio.new_event_loop()
    before = set(threading.enumerate())
    in_thread(loop, lambda: gate.wait(60))
    (thread,) = set(threading.enumerate()) - before
    loop.close()
    gate.set()
    thread.join()  # and pytest fails for an exception in a thread
    assert thread.daemon

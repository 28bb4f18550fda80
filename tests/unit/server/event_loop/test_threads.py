"""server.event_loop.threads: work in a few threads, whose results come in the loop's."""

import asyncio
import threading

import pytest
from waiting import until, wait_until

from snakepit.server.event_loop.threads import Threads


@pytest.fixture
def play():
    """Play with threads, at most two of them."""

    def play(scenario):
        async def main():
            threads = Threads(asyncio.get_running_loop(), "work", 2)
            await scenario(threads)
            threads.close()

        asyncio.run(main())
        wait_until(lambda: names() == [], "the threads have ended")

    return play


def names():
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("work-"))


def test_results_and_errors_come_in_the_loop(play):
    async def scenario(threads):
        came = []

        def then(result):
            came.append((result, threading.current_thread()))

        def fail():
            raise ValueError("no")

        threads.run(threading.current_thread, then)
        threads.run(fail, then)
        assert threads.busy == 2
        assert came == [], "never from within run"
        await until(lambda: len(came) == 2)
        assert threads.busy == 0
        assert {thread for _, thread in came} == {threading.main_thread()}
        (worked,) = [result for result, _ in came if isinstance(result, threading.Thread)]
        (error,) = [str(result) for result, _ in came if isinstance(result, ValueError)]
        assert worked.name.startswith("work-")
        assert worked.daemon
        assert error == "no"

    play(scenario)


def test_threads_begin_when_they_are_needed(play):
    async def scenario(threads):
        assert names() == []
        came = []
        threads.run(lambda: 1, came.append)
        assert names() == ["work-1"]
        await until(lambda: came)
        threads.run(lambda: 2, came.append)
        assert names() == ["work-1"], "the one is free"
        await until(lambda: came == [1, 2])
        go_on = threading.Event()
        for _ in range(5):
            threads.run(go_on.wait, came.append)
        assert names() == ["work-1", "work-2"], "and no more than that"
        assert threads.busy == 5
        go_on.set()
        await until(lambda: threads.busy == 0)
        assert came == [1, 2, *[True] * 5]

    play(scenario)


@pytest.mark.parametrize("allowed", [0, 1])
def test_where_the_system_allows_no_more_threads(play, monkeypatch, allowed):
    begin = threading.Thread.start

    def start(thread):
        if len(names()) == allowed:
            raise RuntimeError("can't start new thread")
        begin(thread)

    async def scenario(threads):
        came = []
        with monkeypatch.context() as limited:
            limited.setattr(threading.Thread, "start", start)
            for _ in range(3):
                threads.run(threading.current_thread, came.append)
        assert (threads.busy, came) == (3, []), "never from within run"
        await until(lambda: len(came) == 3)
        assert threads.busy == 0
        assert len({thread.name for thread in came}) == 1
        assert (came[0] is threading.main_thread()) is (allowed == 0)
        threads.run(threading.current_thread, came.append)
        await until(lambda: len(came) == 4)
        assert came[3].name == "work-1"

    play(scenario)


def test_what_was_given_out_is_done(play):
    came = []

    async def scenario(threads):
        go_on = threading.Event()
        for _ in range(4):
            threads.run(go_on.wait, came.append)
        threads.close()
        go_on.set()
        await until(lambda: len(came) == 4)
        threads.run(threading.current_thread, came.append)
        assert came[-1] is threading.current_thread(), "later jobs run at once"

    play(scenario)


def test_a_loop_that_is_closed_meanwhile():
    """Nobody wants the result any more; the thread ends."""
    go_on = threading.Event()

    async def main():
        Threads(asyncio.get_running_loop(), "work", 1).run(go_on.wait, lambda result: None)

    asyncio.run(main())
    assert names() == ["work-1"]
    go_on.set()
    wait_until(lambda: names() == [], "the thread has ended")


def test_nothing_is_kept_of_what_is_done(play):
    import gc
    import weakref

    class Job:
        def __call__(self):
            return 1

    async def scenario(threads):
        came = []
        job = Job()
        kept = weakref.ref(job)
        threads.run(job, came.append)
        del job
        await until(lambda: came)
        await until(lambda: gc.collect() >= 0 and kept() is None)

    play(scenario)

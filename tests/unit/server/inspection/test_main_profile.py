"""snakepit.server.inspection.main_profile: a thread that samples the others until it is told to end."""

import asyncio
import sys
import threading

import pytest
from waiting import PATIENCE

from snakepit.errors import SnakepitError
from snakepit.server.inspection.main_profile import MainProfile
from snakepit.stacks.sampler import Sampler


def functions(told):
    return {call[2] for call in told[0]}


def compute(entered, over):
    entered.set()
    while not over:
        pass


def run(seconds, end=True):
    """Sample a thread that computes; returns what is told of it."""
    entered, over, before = threading.Event(), [], sys.getswitchinterval()
    thread = threading.Thread(target=compute, args=(entered, over))

    async def main():
        profile = MainProfile(seconds, True, asyncio.get_running_loop())
        waiting = asyncio.create_task(profile.wait_told())
        while end and "compute" not in functions(profile._sampler.told_of_main(True)):
            await asyncio.sleep(0)
        if end:
            profile.end()
        async with asyncio.timeout(PATIENCE):
            return await waiting

    thread.start()
    try:
        assert entered.wait(PATIENCE)
        return asyncio.run(main())
    finally:
        over.append(True)
        thread.join(PATIENCE)
        assert sys.getswitchinterval() == pytest.approx(before)


def test_it_ends_by_itself():
    assert run(0.1, end=False) is not None, "what it has seen: nothing, where the machine is busy"


def test_it_ends_when_it_is_told_to():
    assert "compute" in functions(run(1000.0))


def test_what_goes_wrong_is_told(monkeypatch):
    def fail(self):
        raise ValueError("no frames")

    monkeypatch.setattr(Sampler, "sample", fail)
    with pytest.raises(ValueError, match="no frames"):
        run(1000.0, end=False)


def test_there_is_no_thread_for_it(monkeypatch):
    def fail(self):
        raise RuntimeError("can't start new thread")

    async def main():
        profile = MainProfile(1.0, True, asyncio.get_running_loop())
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            await profile.wait_told()

    before = sys.getswitchinterval()
    with pytest.raises(SnakepitError, match="the main interpreter can't be sampled: can't start new thread"):
        asyncio.run(main())
    assert sys.getswitchinterval() == pytest.approx(before)

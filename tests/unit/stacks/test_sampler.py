"""snakepit.stacks.sampler: what threads did while they were sampled."""

import marshal
import threading
from contextlib import contextmanager

import pytest
from waiting import PATIENCE, wait_until

from snakepit.stacks import sampler as sampler_module
from snakepit.stacks.sampler import Sampler


def busy(entered, over):
    entered.set()
    while not over.is_set():
        pass


@contextmanager
def started(name):
    entered, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=busy, args=(entered, over), name=name)
    thread.start()
    assert entered.wait(PATIENCE)
    try:
        yield
    finally:
        over.set()
        thread.join(PATIENCE)


def functions_of(told, thread):
    calls, samples = told
    return [[calls[at][2] for at in stack] for name, stack, _ in samples if name == thread]


def seconds_of(told, thread):
    return sum(seconds for name, _, seconds in told[1] if name == thread)


def test_the_time_of_a_loop_is_its_own():
    sampler = Sampler()
    with started("computes"):
        wait_until(lambda: sampler.sample() or seconds_of(sampler.told(), "computes") > 0.05)
    told = sampler.told()
    assert {stack[0] for stack in functions_of(told, "computes")} == {"busy"}  # without what starts threads
    assert functions_of(told, threading.current_thread().name) == []
    calls, samples = marshal.loads(marshal.dumps(told))
    assert (calls, samples) == told


def test_what_is_too_much_is_kept_without_its_calls(monkeypatch):
    monkeypatch.setattr(sampler_module, "MOST_STACKS", 0)
    sampler = Sampler()
    with started("computes"):
        sampler.sample()
    assert functions_of(sampler.told(), "computes") == [[]]


def test_the_longest_are_told(monkeypatch):
    sampler = Sampler()
    with started("one"), started("other"):
        sampler.sample()
        sampler.sample()
    assert len(sampler.told()[1]) >= 2
    longest = max(seconds for _, _, seconds in sampler.told()[1])
    monkeypatch.setattr(sampler_module, "MOST_TOLD", 1)
    assert [seconds for _, _, seconds in sampler.told()[1]] == [pytest.approx(longest)]

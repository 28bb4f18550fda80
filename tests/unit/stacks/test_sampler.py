"""snakepit.stacks.sampler: what threads did while they were sampled."""

import marshal
import sys
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


@pytest.fixture
def sampler():
    sampler = Sampler()
    yield sampler
    sampler.close()


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


def test_the_time_of_a_loop_is_its_own(sampler):
    with started("computes"):
        wait_until(lambda: sampler.sample() or seconds_of(sampler.told(), "computes") > 0.05)
    told = sampler.told()
    assert {stack[0] for stack in functions_of(told, "computes")} == {"busy"}  # without what starts threads
    assert functions_of(told, threading.current_thread().name) == []
    calls, samples = marshal.loads(marshal.dumps(told))
    assert (calls, samples) == told


def test_what_is_too_much_is_kept_without_its_calls(sampler, monkeypatch):
    monkeypatch.setattr(sampler_module, "MOST_STACKS", 0)
    with started("computes"):
        sampler.sample()
    assert functions_of(sampler.told(), "computes") == [[]]


def test_the_longest_are_told(sampler, monkeypatch):
    with started("one"), started("other"):
        sampler.sample()
        sampler.sample()
    assert len(sampler.told()[1]) >= 2
    longest = max(seconds for _, _, seconds in sampler.told()[1])
    monkeypatch.setattr(sampler_module, "MOST_TOLD", 1)
    assert [seconds for _, _, seconds in sampler.told()[1]] == [pytest.approx(longest)]


def test_threads_switch_often_while_one_samples():
    before = sys.getswitchinterval()
    one, other = Sampler(), Sampler()
    assert sys.getswitchinterval() == pytest.approx(sampler_module.SWITCH_INTERVAL)
    one.close()
    one.close()
    assert sys.getswitchinterval() == pytest.approx(sampler_module.SWITCH_INTERVAL)
    other.close()
    assert sys.getswitchinterval() == pytest.approx(before)


def test_the_main_interpreter_is_shown_whole_unless_it_waits(sampler):
    waiting = threading.Event()
    idle = threading.Thread(target=waiting.wait, name="waits")
    idle.start()
    with started("computes"):
        wait_until(lambda: sampler.sample() or seconds_of(sampler.told_of_main(True), "computes") > 0.05)
    waiting.set()
    idle.join(PATIENCE)
    whole = sampler.told_of_main(True)
    assert {tuple(stack[:3]) for stack in functions_of(whole, "computes")} == {
        ("Thread._bootstrap", "Thread._bootstrap_inner", "Thread.run")
    }
    assert functions_of(whole, "waits") == []
    assert functions_of(sampler.told_of_main(False), "computes") == []

"""worker.asgi.pace: the CPU time of exchanges, without that of wake-ups."""

import pytest

from snakepit.worker.asgi import pace as module
from snakepit.worker.asgi.pace import WAKE_UPS_KEPT, Pace


class Thread:
    """A thread's CPU time, by hand."""

    now = 0.0

    def thread_time(self):
        return self.now


@pytest.fixture
def thread(monkeypatch):
    made = Thread()
    monkeypatch.setattr(module, "time", made)
    return made


def turn(pace, thread, exchanges, each, waking):
    """Wake up, and take so many exchanges; seconds of CPU time."""
    thread.now += waking
    pace.turns += 1
    if pace.asleep:
        pace.woke()
    pace.begun += exchanges
    thread.now += exchanges * each


@pytest.fixture
def pace(thread):
    """It has made an average, so that it measures the next wake-up."""
    made = Pace()
    turn(made, thread, 1, 0.25, 0.0)
    made.average()
    return made


@pytest.mark.parametrize("in_a_turn", [1, 4])
def test_waking_up_does_not_count(pace, thread, in_a_turn):
    for _ in range(8):
        turn(pace, thread, in_a_turn, 0.25, 2.0)
    assert pace.average() == 0.25


def test_it_counts_until_it_was_measured(thread):
    pace = Pace()
    turn(pace, thread, 2, 0.25, 1.0)
    assert pace.average() == 0.75


def test_it_counts_where_an_app_has_waited_and_goes_on_between_turns(pace, thread):
    turn(pace, thread, 1, 0.25, 2.0)
    pace.any_waited = True
    assert pace.average() == 2.25
    turn(pace, thread, 1, 0.25, 2.0)
    assert pace.average() == 0.25


def test_the_least_of_some_wake_ups_is_what_one_takes(pace, thread):
    """What else the loop does between two turns, once, is no wake-up."""
    for waking, average in [(2.0, 0.25), (9.0, 7.25), (2.0, 0.25)]:
        turn(pace, thread, 1, 0.25, waking)
        assert pace.average() == average
    for _ in range(WAKE_UPS_KEPT):  # it is slower now
        turn(pace, thread, 1, 0.25, 4.0)
        average = pace.average()
    assert average == 0.25


def test_an_average_is_never_below_nothing(pace, thread):
    turn(pace, thread, 1, 0.0, 3.0)
    turn(pace, thread, 1, 0.0, 1.0)
    assert pace.average() == 0.0

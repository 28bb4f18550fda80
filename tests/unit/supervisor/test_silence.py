"""snakepit.supervisor.silence: which process hangs, and which is only slow, stopped, or not watched."""

import pytest

from snakepit.supervisor.silence import LOOKS, Silence

LIMIT = 60.0
STEP = LIMIT / LOOKS


def heard_at(now, limit=LIMIT):
    silence = Silence()
    silence.heard(now, limit)
    return silence


def look_until_it_hangs(silence, now, pause=STEP, stopped=False, most=100):
    """Look again and again; returns the time at which it was found to hang, None if it never was."""
    for _ in range(most):
        now += pause
        if silence.look(now, stopped):
            return now
    return None


def test_one_that_never_said_anything_is_not_watched():
    assert look_until_it_hangs(Silence(), 1000.0) is None


def test_one_that_says_nothing_any_more():
    assert look_until_it_hangs(heard_at(1000.0), 1000.0) == 1000.0 + LIMIT


@pytest.mark.parametrize("pause", [0.01, 1.0, STEP, STEP * 1.9])
def test_however_often_it_is_looked_at(pause):
    found = look_until_it_hangs(heard_at(1000.0), 1000.0, pause, most=10_000)
    assert LIMIT <= found - 1000.0 <= LIMIT + 2 * STEP


def test_one_that_says_so_again_and_again():
    silence = heard_at(1000.0)
    for now in range(1000, 2000, 15):
        silence.heard(float(now), LIMIT)
        assert look_until_it_hangs(silence, float(now), most=2) is None


def test_one_that_is_heard_of_late():
    silence = heard_at(1000.0)
    assert look_until_it_hangs(silence, 1000.0, most=LOOKS - 1) is None
    silence.heard(1059.0, LIMIT)
    assert look_until_it_hangs(silence, 1059.0) == 1059.0 + LIMIT


def test_a_pause_of_the_supervisor_tells_nothing():
    silence = heard_at(1000.0)
    assert not silence.look(1000.0 + 3600, stopped=False)  # both were suspended
    silence.heard(1000.0 + 3601, LIMIT)
    assert not silence.look(1000.0 + 3601 + STEP, stopped=False)


def test_after_a_pause_of_the_supervisor_it_has_most_of_its_time_again():
    silence = heard_at(1000.0)
    assert not silence.look(5000.0, stopped=False)
    assert look_until_it_hangs(silence, 5000.0) >= 5000.0 + LIMIT - 2 * STEP


def test_one_that_is_stopped_does_not_hang():
    silence = heard_at(1000.0)
    assert look_until_it_hangs(silence, 1000.0, stopped=True) is None
    assert look_until_it_hangs(silence, 1000.0 + 100 * STEP) == 1000.0 + 100 * STEP + LIMIT


@pytest.mark.parametrize("limit", [0.0, 5.0])
def test_the_limit_is_what_it_said_last(limit):
    silence = heard_at(1000.0)
    silence.heard(1001.0, limit)
    found = look_until_it_hangs(silence, 1001.0, 1.0)
    assert (found is not None) == (limit > 0)
    if limit:
        assert limit <= found - 1001.0 <= limit * 1.5


def test_when_to_look():
    silence = heard_at(1000.0)
    assert silence.next_look == 1000.0 + STEP
    assert not silence.look(1000.0 + STEP, stopped=False)
    assert silence.next_look == 1000.0 + 2 * STEP

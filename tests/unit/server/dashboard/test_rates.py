"""server.dashboard.rates: what happened between two looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.server.dashboard.rates import GAP, KEPT, LAST_BOUND, History, counts_of, percentile
from snakepit.server.exchanges.tally import Tally
from snakepit.system.buckets import BOUNDS

BUCKETS = len(BOUNDS) + 1


def counts(requests=0, errors=0, seconds=0.02):
    tally = Tally()
    for number in range(requests):
        tally.count("GET" if number % 2 else "PURGE", 500 if number < errors else 200)
        tally.took.add(seconds)
        tally.worked.add(seconds / 2)
        tally.waited.add(0.0)
    return counts_of([tally])


def look(history, now, **by_app):
    return history.look(now, 1e9 + now, by_app, 3, 5, 2**20)


def test_counts():
    both = counts_of([Tally(), Tally()])
    assert (both.requests, both.errors) == (0, 0)
    some = counts(5, errors=2)
    assert (some.requests, some.errors, sum(some.queue), sum(some.app), sum(some.total)) == (5, 2, 5, 5, 5)
    assert counts_of([]).total == (0,) * BUCKETS


def test_rates_are_of_the_time_between_two_looks():
    history = History()
    assert look(history, 10.0, shop=counts(7), blog=counts()) == {"shop": None, "blog": None}
    assert not history.points
    assert look(history, 12.0, shop=counts(17, errors=4), blog=counts(3)) == {"shop": 5.0, "blog": 1.5}
    [point] = history.points
    assert (point.time, point.requests, point.errors, point.waiting, point.in_progress) == (1e9 + 12, 6.5, 2.0, 3, 5)
    assert point.latency[0] == pytest.approx(0.0175)
    look(history, 13.0, shop=counts(17, errors=4), blog=counts(3))
    assert history.points[-1].latency == (None, None, None), "nothing was answered"
    assert history.points[-1].requests == 0


def test_nothing_is_said_of_a_time_in_which_nobody_looked():
    history = History()
    look(history, 1.0, shop=counts())
    assert look(history, 1.0 + GAP, shop=counts(100)) == {"shop": None}
    assert look(history, 2.0 + GAP, shop=counts(102)) == {"shop": 2.0}


def test_an_app_that_is_new_or_began_anew():
    history = History()
    look(history, 1.0, shop=counts(50))
    assert look(history, 2.0, shop=counts(4), blog=counts(6)) == {"shop": 4.0, "blog": 6.0}


def test_only_the_last_minutes_are_kept():
    history = History()
    for second in range(KEPT + 20):
        look(history, float(second), shop=counts())
    assert len(history.points) == KEPT


@pytest.mark.parametrize(
    ("buckets", "share", "seconds"),
    [
        ({}, 0.5, None),
        ({0: 10}, 0.5, 0.0005),
        ({0: 10}, 1.0, 0.001),
        ({1: 1, 9: 1}, 0.5, 0.0025),
        ({1: 1, 9: 1}, 0.99, 0.25 + 0.25 + 0.5 * 0.98),
        ({BUCKETS - 1: 4}, 1.0, LAST_BOUND),
    ],
)
def test_percentiles(buckets, share, seconds):
    found = percentile([buckets.get(index, 0) for index in range(BUCKETS)], share)
    assert found == (None if seconds is None else pytest.approx(seconds))


@given(
    st.lists(st.integers(0, 1000), min_size=BUCKETS, max_size=BUCKETS).filter(any),
    st.floats(0.01, 1.0),
    st.floats(0.01, 1.0),
)
def test_more_of_them_take_as_long_or_longer(buckets, one, other):
    low, high = sorted((one, other))
    assert 0 <= percentile(buckets, low) <= percentile(buckets, high) <= LAST_BOUND

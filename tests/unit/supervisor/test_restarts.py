"""snakepit.supervisor.restarts: when it is tried again."""

from hypothesis import given
from hypothesis import strategies as st

from snakepit.supervisor.restarts import FIRST_DELAY, MOST_QUICK_ENDS, QUICK_END, Restarts


def test_the_first_time_at_once():
    assert Restarts().ended(1000.0, 999.0) == 0.0


def test_quick_ends_back_off_and_are_given_up():
    restarts = Restarts()
    delays = [restarts.ended(1000.0 + n, 1000.0 + n) for n in range(MOST_QUICK_ENDS)]
    assert delays[0] == 0.0
    assert delays[1:-1] == [FIRST_DELAY * 2**n for n in range(MOST_QUICK_ENDS - 2)]
    assert delays[-1] is None
    assert restarts.total == MOST_QUICK_ENDS


def test_a_process_that_never_listened_counts_as_quick():
    restarts = Restarts()
    assert [restarts.ended(1000.0 * n, None) for n in range(1, MOST_QUICK_ENDS + 1)][-1] is None


def test_one_that_served_for_a_while_begins_the_count_anew():
    restarts = Restarts()
    for _ in range(MOST_QUICK_ENDS - 1):
        restarts.ended(1000.0, 999.0)
    assert restarts.ended(2000.0, 2000.0 - QUICK_END) == 0.0
    assert restarts.ended(2001.0, 2000.5) == FIRST_DELAY


@given(st.lists(st.floats(min_value=QUICK_END, max_value=1e6), max_size=50))
def test_ends_that_are_far_between_are_never_given_up(uptimes):
    restarts = Restarts()
    assert [restarts.ended(2e6, 2e6 - uptime) for uptime in uptimes] == [0.0] * len(uptimes)

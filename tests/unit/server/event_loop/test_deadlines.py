"""snakepit.server.event_loop.deadlines, on a loop whose clock is advanced by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playing import TimerLoop

from snakepit.server.event_loop.deadlines import LOOKED_AT, Deadlines, IdleDeadlines

SECONDS = 10


@pytest.fixture
def loop():
    return TimerLoop()


@pytest.fixture
def expired():
    return []


@pytest.fixture
def deadlines(loop, expired):
    return Deadlines(loop, SECONDS, expired.append)


def test_falls_due(loop, deadlines, expired):
    deadlines.add("a")
    assert len(deadlines) == 1
    loop.advance(9.9)
    assert expired == []
    loop.advance(0.1)
    assert expired == ["a"]
    assert len(deadlines) == 0
    assert loop.pending == []


def test_one_after_the_other_behind_one_timer(loop, deadlines, expired):
    for key in "abc":
        deadlines.add(key)
        loop.advance(1)
        assert len(loop.pending) == 1
    loop.advance(7)
    assert expired == ["a"]
    assert len(loop.pending) == 1
    loop.advance(1)
    assert expired == ["a", "b"]
    loop.advance(1)
    assert expired == ["a", "b", "c"]
    assert loop.pending == []


def test_at_the_same_time(loop, deadlines, expired):
    for key in "abc":
        deadlines.add(key)
    loop.advance(SECONDS)
    assert expired == ["a", "b", "c"]


def test_discarded_does_not_fall_due(loop, deadlines, expired):
    deadlines.add("a")
    deadlines.add("b")
    deadlines.discard("a")
    deadlines.discard("stranger")
    assert len(deadlines) == 1
    loop.advance(SECONDS)
    assert expired == ["b"]


def test_timer_of_the_discarded_finds_the_next(loop, deadlines, expired):
    deadlines.add("a")
    loop.advance(5)
    deadlines.add("b")
    deadlines.discard("a")
    loop.advance(5)
    assert expired == []
    assert len(loop.pending) == 1
    loop.advance(5)
    assert expired == ["b"]


def test_timer_of_the_discarded_ends_by_itself(loop, deadlines, expired):
    deadlines.add("a")
    deadlines.discard("a")
    loop.advance(SECONDS)
    assert expired == []
    assert loop.pending == []


def test_add_again_starts_anew(loop, deadlines, expired):
    deadlines.add("a")
    deadlines.add("b")
    loop.advance(5)
    deadlines.add("a")
    loop.advance(5)
    assert expired == ["b"]
    loop.advance(5)
    assert expired == ["b", "a"]


def test_the_oldest_that_fits(loop, deadlines):
    for key in "abc":
        deadlines.add(key)
        loop.advance(1)
    assert deadlines.first(lambda key: True) == "a"
    assert deadlines.first(lambda key: key > "a") == "b"
    assert deadlines.first(lambda key: key > "a", age=2) == "b"
    assert deadlines.first(lambda key: key > "b", age=2) is None, "it is too young"
    assert deadlines.first(lambda key: False) is None
    deadlines.add("a")
    assert deadlines.first(lambda key: True) == "b"


def test_a_search_ends(deadlines):
    for key in range(LOOKED_AT + 1):
        deadlines.add(key)
    assert deadlines.first(lambda key: key == LOOKED_AT - 1) == LOOKED_AT - 1
    assert deadlines.first(lambda key: key == LOOKED_AT) is None


def test_close(loop, deadlines, expired):
    deadlines.add("a")
    deadlines.close()
    assert loop.pending == []
    assert len(deadlines) == 0
    loop.advance(100)
    assert expired == []


def test_close_of_nothing(deadlines):
    deadlines.close()
    assert len(deadlines) == 0


def test_used_again_after_close(loop, deadlines, expired):
    deadlines.add("a")
    deadlines.close()
    deadlines.add("b")
    loop.advance(SECONDS)
    assert expired == ["b"]


def test_add_from_within(loop):
    expired = []

    def again(key):
        expired.append((loop.now, key))
        deadlines.add(key)

    deadlines = Deadlines(loop, SECONDS, again)
    deadlines.add("a")
    loop.advance(5)
    deadlines.add("b")
    loop.advance(16)
    assert expired == [(110, "a"), (115, "b"), (120, "a")]
    assert len(loop.pending) == 1, "a single timer, after any additions"
    deadlines.close()
    assert loop.pending == []


def test_discard_from_within(loop):
    expired = []

    def others(key):
        expired.append(key)
        deadlines.discard("b")

    deadlines = Deadlines(loop, SECONDS, others)
    for key in "abc":
        deadlines.add(key)
    loop.advance(SECONDS)
    assert expired == ["a", "c"]


def test_close_from_within(loop):
    expired = []

    def everybody(key):
        expired.append(key)
        deadlines.close()

    deadlines = Deadlines(loop, SECONDS, everybody)
    for key in "abc":
        deadlines.add(key)
    loop.advance(SECONDS)
    assert expired == ["a"]
    assert loop.pending == []


actions = st.lists(
    st.tuples(st.just("add"), st.integers(0, 5))
    | st.tuples(st.just("discard"), st.integers(0, 5))
    | st.tuples(st.just("advance"), st.integers(0, 7)),
    max_size=60,
)


@given(actions)
def test_against_a_timer_for_each(actions):
    loop, expired, due, expected = TimerLoop(), [], {}, []
    deadlines = Deadlines(loop, SECONDS, expired.append)
    for action, value in actions:
        if action == "add":
            deadlines.add(value)
            due.pop(value, None)
            due[value] = loop.now + SECONDS
        elif action == "discard":
            deadlines.discard(value)
            due.pop(value, None)
        else:
            loop.advance(value)
            expected += [key for key, when in due.items() if when <= loop.now]
            due = {key: when for key, when in due.items() if when > loop.now}
        assert expired == expected
        assert len(deadlines) == len(due)
        assert len(loop.pending) <= 1
        assert loop.pending or not due


class Idle:
    """Keys that are idle or not, as the test says, and deadlines that are told nothing of that."""

    def __init__(self, loop, expired):
        self.loop = loop
        self.since = {}
        self.expired = expired
        self.deadlines = IdleDeadlines(loop, SECONDS, self.since.get, self._expire)

    def _expire(self, key):
        self.expired.append((key, self.loop.now))

    def begin(self, key):
        self.since[key] = self.loop.now

    def end(self, key):
        self.since[key] = None


@pytest.fixture
def idle(loop, expired):
    return Idle(loop, expired)


def test_idle_all_along(loop, idle, expired):
    idle.begin("a")
    idle.deadlines.add("a")
    loop.advance(9.9)
    assert expired == []
    loop.advance(0.1)
    assert expired == [("a", loop.now)]
    assert len(idle.deadlines) == 0
    assert loop.pending == []


def test_its_time_counts_from_when_it_became_idle_last(loop, idle, expired):
    idle.begin("a")
    idle.deadlines.add("a")
    for _ in range(5):
        loop.advance(7)
        idle.end("a")
        loop.advance(0.5)
        idle.begin("a")
    loop.advance(SECONDS - 0.1)
    assert expired == []
    assert "a" in idle.deadlines
    loop.advance(0.1)
    assert expired == [("a", loop.now)]


def test_who_is_busy_does_not_expire(loop, idle, expired):
    idle.end("a")
    idle.deadlines.add("a")
    loop.advance(10 * SECONDS)
    assert expired == []
    assert "a" in idle.deadlines


def test_those_that_were_busy_meanwhile_are_the_oldest(loop, idle):
    idle.end("a")
    idle.deadlines.add("a")
    loop.advance(SECONDS)
    idle.begin("a")
    idle.begin("b")
    idle.deadlines.add("b")
    assert idle.deadlines.first(lambda key: True) == "a"
    assert idle.deadlines.first(lambda key: key == "b") == "b"


@pytest.mark.parametrize("became_idle_at", [0, 5], ids=["with all others", "with a timer of its own"])
def test_idle_ones_can_be_discarded(loop, idle, expired, became_idle_at):
    idle.end("a")
    idle.deadlines.add("a")
    loop.advance(became_idle_at)
    idle.begin("a")
    loop.advance(12 - became_idle_at)
    idle.deadlines.discard("a")
    assert "a" not in idle.deadlines
    loop.advance(100)
    assert [key for key, _ in expired] == (["a"] if became_idle_at == 0 else [])
    assert loop.pending == []


def test_close_of_those_that_wait_for_the_idle(loop, idle, expired):
    for at, key in enumerate("abc"):
        idle.begin(key)
        idle.deadlines.add(key)
        loop.advance(at)
    idle.begin("a")
    loop.advance(8)
    idle.deadlines.close()
    assert len(idle.deadlines) == 0
    assert loop.pending == []


@given(
    moves=st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["begin", "end"]), st.integers(0, 25)), max_size=30
    )
)
def test_each_expires_when_it_has_been_idle_for_so_long_and_not_before(moves):
    loop, expired = TimerLoop(), []
    idle = Idle(loop, expired)
    for key in "abcd":
        idle.end(key)
        idle.deadlines.add(key)
    due = {}
    for key, move, pause in moves:
        if key in idle.deadlines:
            getattr(idle, move)(key)
            due.pop(key, None)
            if move == "begin":
                due[key] = loop.now + SECONDS
        loop.advance(pause)
    loop.advance(3 * SECONDS)
    assert sorted(expired) == sorted(due.items())
    assert all(key in idle.deadlines for key in "abcd" if key not in due)

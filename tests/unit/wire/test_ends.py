"""snakepit.wire.ends: what the end of a thread that may wait keeps, and when that leaves."""

import pytest
from wsgi_side import Script

from snakepit.http.fields import NONE
from snakepit.wire import ends, envelopes
from snakepit.wire.ends import LIMIT, BlockingEnd

ONE, TWO, THREE = (envelopes.answer(number, 200, NONE, b"a") for number in (1, 2, 3))
RETIRE = envelopes.retire()


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def script():
    return Script([[RETIRE]] * 5)


@pytest.fixture
def end(script):
    end = BlockingEnd(script)
    end.released = 0
    return end


def test_what_is_posted_leaves_at_once(script, end):
    end.post(ONE)
    end.post(TWO, THREE)
    assert script.items == [[ONE], [TWO, THREE]]


def test_what_is_kept_leaves_with_what_is_posted(script, end):
    end.keep(ONE)
    end.keep(TWO)
    assert script.items == []
    end.post(THREE)
    assert script.items == [[ONE, TWO, THREE]]


def test_what_is_kept_leaves_when_the_owner_comes_to_wait(script, end):
    end.keep(ONE)
    assert end.wait() == [RETIRE]
    assert script.items == [[ONE]]


def test_what_is_kept_stays_while_there_is_something_to_be_taken(script, end):
    script.there.extend([RETIRE, RETIRE])
    end.keep(ONE)
    assert end.wait() == [RETIRE]
    assert end.wait() == [RETIRE]
    assert script.items == []
    end.wait()
    assert script.items == [[ONE]]


def test_nothing_is_kept_at_first(script):
    end = BlockingEnd(script)
    assert not end.keep(ONE)
    end.post()
    assert script.items == []


def test_after_a_release_only_what_is_of_later_exchanges_is_kept(script, end):
    assert end.keep(ONE)
    end.release(2)
    assert script.items == [[ONE]]
    assert not end.keep(TWO)
    assert end.keep(THREE)
    assert script.items == [[ONE]]


def test_the_last_release_counts(script, end):
    end.release(envelopes.ALL)
    assert not end.keep(THREE)
    end.release(2)
    assert not end.keep(TWO)
    assert end.keep(THREE)


def test_release_does_not_mind_how_much_waits_already(script, end):
    """What is kept must not be kept for as long as the owner is at something."""
    script.full = 1
    end.keep(ONE)
    end.release(1)
    assert script.items == [[ONE]]


def test_replace(script, end):
    end.keep(ONE)
    end.keep(TWO)
    assert end.replace(TWO, THREE)
    assert not end.replace(TWO, ONE), "that is not here any more"
    assert not end.replace(ONE, TWO), "that is not the last one"
    end.post()
    assert script.items == [[ONE, THREE]]
    assert not end.replace(THREE, TWO), "that has left"


def test_replace_means_the_one_that_was_kept_and_not_one_like_it(script, end):
    end.keep(ONE)
    like = (*ONE,)
    assert like == ONE
    assert not end.replace(like, TWO)


def test_flush_late(monkeypatch, script, end):
    clock = Clock()
    monkeypatch.setattr(ends, "monotonic", clock)
    end.flush_late(0.0)
    assert script.items == [], "there is nothing"
    end.keep(ONE)
    clock.now += 0.9
    end.keep(TWO)
    end.flush_late(1.0)
    assert script.items == []
    clock.now += 0.2
    end.flush_late(1.0)
    assert script.items == [[ONE, TWO]], "it counts from the first"
    end.keep(THREE)
    end.flush_late(1.0)
    assert script.items == [[ONE, TWO]], "and from the first of what is there"


def test_what_there_is_no_room_for_is_held_back_until_there_is(script, end):
    script.full = 2
    end.post(ONE)
    assert end.holds_back
    end.wait()
    assert end.holds_back
    end.wait()
    assert not end.holds_back
    assert script.items == [[ONE]]


def test_what_is_kept_is_not_held_back(end):
    end.keep(ONE)
    assert not end.holds_back


def test_release_sends_what_is_held_back(script, end):
    script.full = 2
    end.post(ONE)
    end.release(0)
    assert not end.holds_back
    assert script.items == [[ONE]]


def test_whoever_has_taken_many_rings_back(script, end):
    rings = []
    script.ring = lambda: rings.append(None)
    script.there.extend([RETIRE] * LIMIT)
    for _ in range(LIMIT - 1):
        end.wait()
    assert rings == []
    end.wait()
    assert rings == [None]

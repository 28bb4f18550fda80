"""server.workers.seats: which thread gets an exchange, with a clock that is set by hand and ends without channels."""

import pytest
from fakes import fake_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from snakepit.server.workers.seats import FOLLOW_TIME, FOLLOWERS, QUICK_APP, Seats
from snakepit.wire import envelopes
from snakepit.wire.envelopes import REQUEST
from snakepit.wire.loop_ends import MainEnd

MOMENT = QUICK_APP / 10
LONG = FOLLOW_TIME * 1.1


@fake_of(MainEnd)
class FakeEnd:
    """The main interpreter's end of a thread's channel: what is posted waits until the thread takes it."""

    def __init__(self, name):
        self.name = name
        self.waiting = []
        self.apart = False

    def __repr__(self):
        return self.name

    def one_by_one(self):
        self.apart = True

    def take_back(self):
        came, self.waiting = self.waiting, []
        return came

    def put_back(self, back):
        self.waiting[:0] = back


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def request(number):
    return envelopes.request(number, "GET", b"/", "1.1", [], None, None, "http", b"", False, False)


class World:
    """Seats, and what the worker does with them: each exchange's request is posted to the seat that it gets."""

    def __init__(self, count):
        self.clock = Clock()
        self.ends = [FakeEnd(name) for name in "abcdefgh"[:count]]
        self.seats = Seats(self.ends, self.clock)

    def give(self, *numbers, whole=True):
        """The names of the seats that they get."""
        names = ""
        for number in numbers:
            end = self.seats.take(number, whole)
            end.waiting.append(request(number))
            names += end.name
        return names

    def wait(self, seconds):
        self.clock.now += seconds

    def takes(self, name):
        """A thread takes the next envelope; returns the number it is about."""
        return self.ends["abcdefgh".index(name)].waiting.pop(0)[1]

    def serve(self, name, number, seconds):
        """A thread takes an exchange and is through with it some time later."""
        assert self.takes(name) == number
        self.wait(seconds)
        self.seats.leave(number)


@pytest.fixture
def world():
    return World(3)


# -- who gets what ---------------------------------------------------------------------------------------------------


def test_threads_get_each_envelope_by_itself(world):
    assert all(end.apart for end in world.ends)


def test_the_first_comes_first(world):
    assert world.seats.busy == 0
    assert world.give(1, whole=False) == "a"
    assert world.seats.busy == 1


def test_the_one_that_was_used_last_comes_first(world):
    """Its thread's caches are warm, and the others are left asleep."""
    assert world.give(1, 2, 3, whole=False) == "abc"
    for number in (3, 1, 2):
        world.seats.leave(number)
    assert world.give(4, 5, 6, whole=False) == "bac"


def test_quick_and_whole_ones_follow_each_other(world):
    assert world.give(1, 2, 3) == "aaa"
    assert world.seats.busy == 1
    assert world.seats.followed


def test_nobody_follows_where_nobody_is(world):
    world.give(1)
    assert not world.seats.followed
    world.serve("a", 1, MOMENT)
    assert world.give(2) == "a"
    assert not world.seats.followed


def test_one_that_is_not_whole_does_not_follow(world):
    """Its body would have to wait among requests."""
    assert world.give(1) == "a"
    assert world.give(2, whole=False) == "b"
    assert not world.seats.followed


def test_nobody_follows_one_that_is_not_whole(world):
    assert world.give(1, whole=False) == "a"
    assert world.give(2, 3) == "bb"


def test_a_seat_may_be_followed_again_when_it_has_been_left(world):
    world.give(1, whole=False)
    world.serve("a", 1, MOMENT)
    assert world.give(2, 3) == "aa"


def test_only_so_many_follow(world):
    assert world.give(*range(FOLLOWERS)) == "a" * FOLLOWERS
    assert world.give(*range(FOLLOWERS, 2 * FOLLOWERS)) == "b" * FOLLOWERS
    world.serve("a", 0, MOMENT)
    assert world.give(2 * FOLLOWERS) == "a", "there is room for one again"
    assert world.give(2 * FOLLOWERS + 1) == "c"


def test_nobody_follows_one_that_takes_long(world):
    assert world.give(1) == "a"
    world.wait(LONG)
    assert world.give(2) == "b"


def test_one_may_follow_as_long_as_it_is_not_known_to_take_long(world):
    assert world.give(1) == "a"
    world.wait(FOLLOW_TIME * 0.9)
    assert world.give(2) == "a"


def test_time_counts_from_the_exchange_that_the_seat_is_at(world):
    world.give(1, 2)
    world.wait(FOLLOW_TIME * 0.9)
    world.serve("a", 1, 0.0)
    world.wait(FOLLOW_TIME * 0.9)
    assert world.give(3) == "a", "it has begun with the second just now"
    world.wait(FOLLOW_TIME * 0.2)
    assert world.give(4) == "b"


def test_time_counts_from_the_exchange_and_not_from_the_last_use_of_the_seat(world):
    world.give(1)
    world.serve("a", 1, MOMENT)
    world.wait(1000.0)
    assert world.give(2, 3) == "aa"


def test_as_many_exchanges_as_seats_find_one_each_whoever_followed_whom(world):
    assert world.give(1, 2, 3) == "aaa"
    world.takes("a")
    world.wait(LONG)
    assert sorted(world.seats.overdue()) == [2, 3]
    assert world.give(2) == "b"
    world.takes("b")
    world.wait(LONG)
    assert world.give(3) == "c"


# -- the average -----------------------------------------------------------------------------------------------------


def settle(world, seconds, count=200):
    """Let the app take so long for each exchange for a while."""
    for number in range(1_000_000, 1_000_000 + count):
        name = world.give(number, whole=False)
        world.serve(name, number, seconds)


def test_an_app_that_is_slow_on_average_gets_a_thread_for_each(world):
    settle(world, QUICK_APP * 1.5)
    assert world.give(1, 2, 3) == "abc"


def test_an_app_that_becomes_quick_is_followed_again(world):
    settle(world, QUICK_APP * 1.5)
    settle(world, MOMENT)
    assert world.give(1, 2, 3) == "aaa"


def test_one_slow_exchange_among_quick_ones_does_not_count_for_much(world):
    settle(world, MOMENT)
    settle(world, QUICK_APP * 3, count=1)
    assert world.give(1, 2) == "aa"


def test_waiting_behind_another_is_not_the_time_of_an_exchange(world):
    """The waiting time of followers does not count as slowness: only the time at the front does."""
    number = 0
    for _ in range(50):
        assert world.give(*range(number, number + FOLLOWERS)) == "a" * FOLLOWERS
        for _ in range(FOLLOWERS):
            world.serve("a", number, QUICK_APP * 0.9)
            number += 1


def test_what_was_given_up_does_not_count(world):
    for number in range(0, 400, 2):
        world.give(number, number + 1)
        world.wait(MOMENT)
        world.seats.give_up(number + 1)
        world.seats.leave(number)
    assert world.give(400, 401) == "aa"


# -- leaving and giving up -------------------------------------------------------------------------------------------


def test_leave(world):
    world.give(1, 2)
    world.serve("a", 1, MOMENT)
    assert world.seats.busy == 1
    assert not world.seats.followed
    world.serve("a", 2, MOMENT)
    assert world.seats.busy == 0


@pytest.mark.parametrize("leave", [Seats.leave, Seats.give_up])
def test_leaving_twice_is_a_bug(world, leave):
    world.give(1)
    leave(world.seats, 1)
    with pytest.raises(KeyError):
        leave(world.seats, 1)


def test_nobody_follows_where_one_was_given_up(world):
    """Whatever its thread is at takes long."""
    world.give(1, 2, 3)
    world.seats.give_up(3)
    assert world.give(4, 5) == "bb"
    world.serve("a", 1, MOMENT)
    assert world.give(6) == "b"
    world.serve("a", 2, MOMENT)
    assert world.give(7, 8, whole=False) == "ac", "free again, and for anyone"


def test_giving_up_a_follower_does_not_touch_the_time_of_the_first(world):
    world.give(1, 2, 3)
    world.takes("a")
    world.wait(FOLLOW_TIME * 0.9)
    world.seats.give_up(2)
    world.wait(FOLLOW_TIME * 0.2)
    assert world.give(4) == "b"
    assert list(world.seats.overdue()) == [3]


def test_giving_up_the_only_one_frees_the_seat(world):
    world.give(1)
    world.seats.give_up(1)
    assert world.seats.busy == 0
    assert world.give(2, whole=False) == "a"


def test_one_that_was_declined_does_not_follow_the_same_exchange_again(world):
    """Its thread has said that it waits for its client: it would decline again and again."""
    assert world.give(1, 2) == "aa"
    assert world.takes("a") == 1
    assert world.takes("a") == 2
    world.seats.give_up(2)
    assert world.give(2) == "b"
    assert world.give(3) == "b"
    world.seats.leave(1)
    assert world.give(4, whole=False) == "a"


def test_a_seat_that_declined_may_be_followed_again_when_it_was_free(world):
    world.give(1, 2)
    world.takes("a")
    world.takes("a")
    world.seats.give_up(2)
    world.seats.leave(1)
    assert world.give(3, 4) == "aa"


def test_declining_frees_no_seat_and_touches_no_time(world):
    world.give(1, 2, 3)
    world.takes("a")
    world.takes("a")
    world.wait(FOLLOW_TIME * 0.9)
    world.seats.give_up(2)
    assert (world.seats.busy, world.seats.followed) == (1, True)
    world.wait(FOLLOW_TIME * 0.2)
    assert list(world.seats.overdue()) == [3]


# -- what waits for too long -----------------------------------------------------------------------------------------


def test_nothing_is_overdue_where_nobody_follows(world):
    world.give(1)
    world.wait(LONG)
    assert world.seats.overdue() == {}
    assert world.takes("a") == 1, "it stays: its thread is about to begin with it"


def test_nothing_is_overdue_in_time(world):
    world.give(1, 2)
    world.wait(FOLLOW_TIME * 0.9)
    assert world.seats.overdue() == {}
    assert [world.takes("a"), world.takes("a")] == [1, 2]


def test_what_follows_a_slow_one_comes_back(world):
    world.give(1, 2, 3)
    assert world.takes("a") == 1
    world.wait(LONG)
    assert world.seats.overdue() == {2: [request(2)], 3: [request(3)]}
    assert world.seats.overdue() == {}
    assert not world.seats.followed
    assert world.seats.busy == 1
    world.seats.leave(1)
    assert world.seats.busy == 0


def test_only_what_follows_on_slow_seats_comes_back(world):
    world.give(*range(FOLLOWERS + 2))  # two seats
    world.takes("a")
    world.takes("b")
    world.wait(FOLLOW_TIME * 0.6)
    world.seats.leave(0)
    world.takes("a")
    world.wait(FOLLOW_TIME * 0.6)
    assert list(world.seats.overdue()) == [FOLLOWERS + 1]
    assert world.seats.followed, "the first seat has been at its second for a short time"


def test_everything_but_requests_is_put_back_in_its_order(world):
    world.give(1, 2)
    world.takes("a")
    end = world.ends[0]
    others = [envelopes.credit(1, 5), envelopes.disconnect(2), envelopes.disconnect(1), envelopes.retire()]
    end.waiting = [others[0], *end.waiting, *others[1:]]
    world.wait(LONG)
    assert world.seats.overdue() == {2: [request(2)]}
    assert end.waiting == others


def test_what_its_thread_has_taken_does_not_come_back(world):
    """It was told that it waits for a thread, and took it in the meantime; it is not lost then."""
    world.give(1, 2, 3)
    assert world.takes("a") == 1
    assert world.takes("a") == 2
    world.wait(LONG)
    assert list(world.seats.overdue()) == [3]
    assert world.seats.followed
    world.seats.leave(1)
    world.seats.leave(2)
    assert world.seats.busy == 0


def test_what_follows_comes_back_though_the_thread_has_not_even_begun(world):
    world.give(1, 2)
    world.wait(LONG)
    back = world.seats.overdue()
    assert 2 in back
    waiting = [envelope[1] for envelope in world.ends[0].waiting]
    assert sorted([*back, *waiting]) == [1, 2]
    assert world.seats.busy == len(waiting)


# -- random walks ----------------------------------------------------------------------------------------------------

COUNT = 4


class Walk(RuleBasedStateMachine):
    """Exchanges come, threads take what is theirs, serve it, decline it, and the pool looks for what is overdue."""

    def __init__(self):
        super().__init__()
        self.world = World(COUNT)
        self.numbers = iter(range(1, 1_000_000))
        self.where = {}  # of each exchange that has a seat: its end
        self.at = {}  # of each end whose thread is at work: which exchange
        self.partial = set()
        self.given_up = set()  # ends at which something was given up and that were not free since
        self.homeless = []  # came back, and waits for another seat

    @property
    def seats(self):
        return self.world.seats

    def place(self, number, whole):
        end = self.seats.take(number, whole)
        end.waiting.append(request(number))
        self.where[number] = end
        if not whole:
            self.partial.add(number)
        return end

    @precondition(lambda self: len(self.where) + len(self.homeless) < COUNT)
    @rule(whole=st.sampled_from([True, True, True, False]))
    def comes(self, whole):
        number = next(self.numbers)
        others = list(self.where.values())
        end = self.place(number, whole)
        if end in others:
            mates = [mate for mate, place in self.where.items() if place is end]
            assert not self.partial.intersection(mates), "nothing waits among what is not whole"
            assert end not in self.given_up
            assert len(mates) <= FOLLOWERS

    @precondition(lambda self: self.homeless)
    @rule()
    def comes_again(self):
        self.place(self.homeless.pop(0), True)

    @precondition(lambda self: any(end not in self.at and end.waiting for end in self.world.ends))
    @rule(data=st.data())
    def thread_takes(self, data):
        ends = [end for end in self.world.ends if end not in self.at and end.waiting]
        end = data.draw(st.sampled_from(ends))
        envelope = end.waiting.pop(0)
        if envelope[0] == REQUEST:
            self.at[end] = envelope[1]

    @precondition(lambda self: any(end.waiting for end in self.at))
    @rule(data=st.data())
    def thread_declines(self, data):
        end = data.draw(st.sampled_from([end for end in self.at if end.waiting]))
        envelope = end.waiting.pop(0)
        if envelope[0] == REQUEST:
            del self.where[envelope[1]]
            self.seats.give_up(envelope[1])
            self.given_up.add(end)
            self.homeless.append(envelope[1])

    @precondition(lambda self: self.at)
    @rule(data=st.data())
    def thread_is_through(self, data):
        end = data.draw(st.sampled_from(list(self.at)))
        number = self.at.pop(end)
        self.partial.discard(number)
        del self.where[number]
        self.seats.leave(number)
        self.given_up &= set(self.where.values())

    @precondition(lambda self: self.at)
    @rule(data=st.data())
    def something_else_is_posted(self, data):
        end = data.draw(st.sampled_from(list(self.at)))
        end.waiting.append(envelopes.credit(self.at[end], 1))

    @rule(seconds=st.sampled_from([MOMENT, QUICK_APP, FOLLOW_TIME / 2, LONG]))
    def time_passes(self, seconds):
        self.world.wait(seconds)

    @rule()
    def pool_looks(self):
        before = {end: [e for e in end.waiting if e[0] != REQUEST] for end in self.world.ends}
        back = self.seats.overdue()
        for number, held in back.items():
            assert held == [request(number)]
            assert number not in self.at.values()
            self.given_up.add(self.where.pop(number))
            self.homeless.append(number)
        self.given_up &= set(self.where.values())
        assert before == {end: [e for e in end.waiting if e[0] != REQUEST] for end in self.world.ends}

    @invariant()
    def each_exchange_is_in_one_place(self):
        waiting = [e[1] for end in self.world.ends for e in end.waiting if e[0] == REQUEST]
        assert sorted([*waiting, *self.at.values()]) == sorted(self.where)

    @invariant()
    def seats_are_busy_that_have_something(self):
        assert self.seats.busy == len(set(self.where.values()))
        assert self.seats.followed == (len(self.where) > self.seats.busy)


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)

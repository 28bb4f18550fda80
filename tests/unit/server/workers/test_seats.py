"""server.workers.seats: which thread gets an exchange, with a clock that is set by hand and ends without channels."""

import pytest
from fakes import fake_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from snakepit.server.workers.seats import FOLLOWERS, PATIENCE, QUICK_ONES, Seats
from snakepit.server.workers.speed import FIRST_PAUSE, MOST_COUNTED, QUICK, TRIAL
from snakepit.wire import envelopes
from snakepit.wire.envelopes import ALL, REQUEST
from snakepit.wire.loop_ends import MainEnd

MOMENT = QUICK / 10
LONG = PATIENCE * 1.1


@fake_of(MainEnd)
class FakeEnd:
    """The main interpreter's end of a thread's channel: what is posted waits until the thread takes it."""

    def __init__(self, name):
        self.name = name
        self.waiting = []
        self.apart = False
        self.unread = False
        self.heard_at = 0.0

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
    """Seats, and what the worker does with them: each exchange's request is posted to the seat that it gets.

    `released`: up to which exchanges nothing may be kept any more, as the watchdog is told. `rooms`: what room there
    was, each time it has changed.
    """

    def __init__(self, count):
        self.clock = Clock()
        self.ends = [FakeEnd(name) for name in "abcdefgh"[:count]]
        self.released, self.rooms = [], []
        self.told = 0
        self.seats = Seats(self.ends, self.released.append, self.resized, self.clock)

    def resized(self):
        self.told += 1
        if self.rooms[-1:] != [self.seats.room]:
            self.rooms.append(self.seats.room)

    def give(self, *numbers, whole=True):
        """The names of the seats that they get."""
        names = ""
        for number in numbers:
            end = self.seats.take(number, whole)
            end.waiting.append(request(number))
            if self.seats.unsettled:
                self.seats.settle()
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

    def become_slow(self):
        """The app is found slow, and there is nothing that it has not ended."""
        number = 1_000_000
        while self.seats._speed.quick:
            number += 1
            self.serve(self.give(number), number, MOST_COUNTED)

    def become_patient(self):
        """The app will be tried again now."""
        self.wait(FIRST_PAUSE)


@pytest.fixture
def world():
    return World(3)


@pytest.fixture
def slow(world):
    world.become_slow()
    return world


# -- who gets what ---------------------------------------------------------------------------------------------------


def test_threads_get_each_envelope_by_itself(world):
    assert all(end.apart for end in world.ends)


def test_threads_have_reacted_as_long_as_one_is_free_or_was_heard_of(world):
    world.give(1, 2, whole=False)
    assert world.seats.have_reacted(5.0), "one is free"
    world.give(3, whole=False)
    assert not world.seats.have_reacted(5.0)
    world.ends[1].heard_at = 6.0
    assert world.seats.have_reacted(5.0)
    assert not world.seats.have_reacted(7.0)
    world.seats.leave(3)
    assert world.seats.have_reacted(7.0)


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
    assert world.seats.watched


def test_nobody_follows_where_nobody_is(world):
    world.give(1)
    world.serve("a", 1, MOMENT)
    assert world.give(2) == "a"
    assert world.seats.busy == 1


def test_one_that_is_not_whole_does_not_follow(world):
    """Its body would have to wait among requests."""
    assert world.give(1) == "a"
    assert world.give(2, whole=False) == "b"


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
    world.wait(PATIENCE * 0.9)
    assert world.give(2) == "a"


def test_time_counts_from_the_exchange_that_the_seat_is_at(world):
    world.give(1, 2)
    world.wait(PATIENCE * 0.9)
    world.serve("a", 1, 0.0)
    world.wait(PATIENCE * 0.9)
    assert world.give(3) == "a", "it has begun with the second just now"
    world.wait(PATIENCE * 0.2)
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


# -- an app that is slow ---------------------------------------------------------------------------------------------


def test_an_app_that_is_slow_gets_a_thread_for_each(slow):
    assert slow.give(1, 2, 3) == "abc"


def test_an_app_that_is_slow_is_tried_again(slow):
    slow.become_patient()
    assert slow.give(1, 2, 3) == "aaa"


def test_whoever_is_at_work_when_an_app_is_tried_again_may_be_followed(slow):
    assert slow.give(1, 2) == "ab"
    slow.become_patient()
    slow.serve("b", 2, 0.0)
    assert slow.give(3) == "b", "the first has been at it for long"
    assert slow.give(4) == "b"


def test_one_slow_exchange_among_quick_ones_does_not_count_for_much(world):
    for number in range(TRIAL):
        world.give(number)
        world.serve("a", number, MOMENT)
    world.give(1000)
    world.serve("a", 1000, 5.0)
    assert world.give(1, 2) == "aa"


def test_waiting_behind_another_is_not_the_time_of_an_exchange(world):
    """The waiting time of followers does not count as slowness: only the time at the front does."""
    number = 0
    for _ in range(20):
        assert world.give(*range(number, number + FOLLOWERS)) == "a" * FOLLOWERS
        for _ in range(FOLLOWERS):
            world.serve("a", number, QUICK * 0.9)
            number += 1


def test_what_is_answered_together_took_its_time_together(world):
    for number in range(0, 40 * FOLLOWERS, FOLLOWERS):
        assert world.give(*range(number, number + FOLLOWERS)) == "a" * FOLLOWERS
        world.wait(FOLLOWERS * QUICK / 2)
        for each in range(number, number + FOLLOWERS):
            world.serve("a", each, 0.0)


def test_what_was_given_up_does_not_count(world):
    for number in range(0, 8 * TRIAL, 2):
        world.give(number, number + 1)
        world.wait(MOMENT)
        world.seats.give_up(number + 1)
        world.seats.leave(number)
    assert world.give(10_000, 10_001) == "aa"


def test_what_a_client_takes_to_send_is_not_the_time_of_the_app(world):
    for number in range(2 * TRIAL):
        world.give(number, whole=False)
        world.wait(1.0)
        world.seats.leave(number)
    assert world.give(10_000, 10_001) == "aa"


# -- leaving and giving up -------------------------------------------------------------------------------------------


def test_leave(world):
    world.give(1, 2)
    world.serve("a", 1, MOMENT)
    assert world.seats.busy == 1
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
    assert [world.takes("a"), world.takes("a")] == [1, 2]
    world.wait(PATIENCE * 0.9)
    world.seats.give_up(2)
    assert world.give(4) == "b"
    world.wait(PATIENCE * 0.2)
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


def test_what_follows_where_one_was_declined_is_looked_after(world):
    """The thread may have its client's credit now, and compute for long."""
    world.give(1, 2, 3)
    world.takes("a")
    world.takes("a")
    world.seats.give_up(2)
    assert world.seats.watched
    world.wait(LONG)
    assert list(world.seats.overdue()) == [3]


def test_declining_frees_no_seat(world):
    world.give(1, 2, 3)
    world.seats.give_up(2)
    world.seats.give_up(3)
    assert world.seats.busy == 1
    world.seats.leave(1)
    assert world.seats.busy == 0


# -- what waits for too long -----------------------------------------------------------------------------------------


def test_nothing_is_overdue_where_nobody_follows(world):
    world.give(1)
    world.wait(LONG)
    assert world.seats.overdue() == {}
    assert world.takes("a") == 1, "it stays: its thread is about to begin with it"


def test_nothing_is_overdue_in_time(world):
    world.give(1, 2)
    world.wait(PATIENCE * 0.9)
    assert world.seats.overdue() == {}
    assert [world.takes("a"), world.takes("a")] == [1, 2]


def test_what_follows_a_slow_one_comes_back(world):
    world.give(1, 2, 3)
    assert world.takes("a") == 1
    world.wait(LONG)
    assert world.seats.watched
    assert world.seats.overdue() == {2: [request(2)], 3: [request(3)]}
    assert world.seats.overdue() == {}
    assert not world.seats.watched
    assert world.seats.busy == 1
    world.seats.leave(1)
    assert world.seats.busy == 0


def test_only_what_follows_on_slow_seats_comes_back(world):
    world.give(*range(FOLLOWERS + 2))  # two seats
    world.takes("a")
    world.takes("b")
    world.wait(PATIENCE * 0.6)
    world.seats.leave(0)
    world.takes("a")
    world.wait(PATIENCE * 0.6)
    assert list(world.seats.overdue()) == [FOLLOWERS + 1]
    assert world.seats.watched, "the first seat has been at its second for a short time"


def test_nothing_is_overdue_where_a_thread_has_said_something_that_nobody_has_read(world):
    """This loop may not have run itself."""
    world.give(1, 2)
    world.takes("a")
    world.wait(LONG)
    world.ends[0].unread = True
    assert world.seats.overdue() == {}
    assert world.seats.watched
    world.ends[0].unread = False
    assert list(world.seats.overdue()) == [2]


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
    world.seats.leave(1)
    world.seats.leave(2)
    assert world.seats.busy == 0


def test_what_follows_comes_back_though_the_thread_has_not_even_begun(world):
    """The first stays: it would only be given to another thread that can't run either, and so on."""
    world.give(1, 2, 3)
    world.wait(LONG)
    assert list(world.seats.overdue()) == [2, 3]
    assert world.ends[0].waiting == [request(1)]
    assert world.give(2, 3) == "bb"
    world.wait(LONG)
    assert list(world.seats.overdue()) == [3]
    assert world.takes("a") == 1


# -- what threads keep -----------------------------------------------------------------------------------------------


def test_what_a_thread_keeps_that_has_been_silent_for_long_is_released_once(world):
    """It may be at the only exchange that there is: its answer may be complete, and its close() take long."""
    world.give(1)
    world.takes("a")
    assert world.seats.watched
    world.wait(PATIENCE * 0.9)
    assert world.seats.overdue() == {}
    assert world.released == []
    world.wait(PATIENCE * 0.2)
    assert world.seats.overdue() == {}
    assert world.released == [ALL]
    assert not world.seats.watched
    world.wait(LONG)
    assert world.seats.overdue() == {}
    assert world.released == [ALL]


def test_one_release_is_for_all_threads(world):
    world.give(*range(FOLLOWERS), 100)
    world.wait(LONG)
    world.seats.overdue()
    assert world.released == [ALL]


def released(world):
    """A thread has been at the exchange 1 for long: nothing is kept any more."""
    world.give(1)
    world.takes("a")
    world.wait(LONG)
    world.seats.overdue()
    assert world.released == [ALL]


def serve_quick_ones(world, count):
    for number in range(100, 100 + count):
        world.serve(world.give(number), number, MOMENT)


def test_where_nothing_is_kept_nothing_is_watched_that_nothing_follows(world):
    """Waking the watchdog for each slow one would cost more than it brings."""
    released(world)
    world.give(2)
    assert not world.seats.watched
    world.wait(LONG)
    world.seats.overdue()
    assert world.released == [ALL]


def test_answers_are_kept_again_after_so_many_quick_exchanges(world):
    """Those to come, for the ones that threads have are not watched."""
    released(world)
    serve_quick_ones(world, QUICK_ONES - 1)
    assert world.released == [ALL]
    assert world.give(50) == "b"
    world.serve("b", 50, MOMENT)
    assert world.released == [ALL, 100 + QUICK_ONES - 2], "the highest number of all"
    world.give(1000)
    assert world.seats.watched


def test_a_slow_one_among_the_quick_begins_the_count_anew(world):
    released(world)
    serve_quick_ones(world, QUICK_ONES - 1)
    world.serve(world.give(50), 50, LONG)
    serve_quick_ones(world, QUICK_ONES - 1)
    assert world.released == [ALL]
    serve_quick_ones(world, 1)
    assert len(world.released) == 2


def test_what_is_kept_again_is_released_again(world):
    released(world)
    serve_quick_ones(world, QUICK_ONES)
    world.give(1000)
    world.wait(LONG)
    world.seats.overdue()
    assert world.released == [ALL, 100 + QUICK_ONES - 1, ALL]
    serve_quick_ones(world, QUICK_ONES - 1)
    assert len(world.released) == 3, "the count begins anew"


def test_a_slow_one_from_before_does_not_end_it_when_answers_are_kept_again(world):
    """Its thread keeps nothing."""
    released(world)
    assert world.give(50) == "b"
    world.wait(LONG)
    assert world.give(51) == "c"
    world.serve("c", 51, MOMENT)
    for number in range(100, 99 + QUICK_ONES):
        assert world.give(number) == "c"
        world.serve("c", number, MOMENT)
    assert world.released == [ALL, 98 + QUICK_ONES]
    assert not world.seats.watched
    world.wait(LONG)
    world.seats.overdue()
    assert len(world.released) == 2


def test_an_exchange_of_a_slow_app_is_watched_as_long_as_its_answer_may_be_kept(world):
    world.give(1)
    world.takes("a")
    world.seats._speed.quick = False
    assert world.seats.watched
    world.wait(LONG)
    world.seats.overdue()
    assert world.released == [ALL]


def test_a_thread_that_serves_what_is_not_whole_is_not_watched(world):
    """It keeps nothing then, and nothing follows."""
    world.give(1, whole=False)
    assert not world.seats.watched
    world.wait(LONG)
    world.seats.overdue()
    assert world.released == []


# -- room ------------------------------------------------------------------------------------------------------------


def test_there_is_room_for_more_than_threads_where_the_app_is_quick():
    world = World(1)
    assert world.seats.room == FOLLOWERS
    assert world.give(*range(FOLLOWERS)) == "a" * FOLLOWERS


def test_there_is_room_for_one_for_each_thread_where_the_app_is_slow(world):
    world.become_slow()
    assert world.rooms == [3]
    world.become_patient()
    world.give(1)
    assert world.rooms == [3, FOLLOWERS]


@pytest.mark.parametrize("close", ["partial", "late", "declined"])
def test_there_is_room_for_one_for_each_thread_where_nobody_can_follow(close):
    world = World(1)
    world.give(1, whole=close != "partial")
    if close == "late":
        world.give(2)
        world.takes("a")
        world.wait(LONG)
        assert list(world.seats.overdue()) == [2]
    elif close == "declined":
        world.give(2)
        world.seats.give_up(2)
    assert world.rooms == [1]
    world.seats.leave(1)
    assert world.rooms == [1, FOLLOWERS]


def test_there_is_room_as_long_as_one_can_be_followed(world):
    world.give(1, 2, whole=False)
    world.give(3)
    assert world.give(4) == "c"
    assert world.rooms == [FOLLOWERS]
    world.takes("c")
    world.wait(LONG)
    world.seats.overdue()
    assert world.rooms == [FOLLOWERS, 3]


def test_more_threads_than_may_follow_each_other_are_all_the_room_there_is():
    clock = Clock()
    ends = [FakeEnd(str(number)) for number in range(FOLLOWERS + 1)]
    seats = Seats(ends, lambda upto: None, lambda: pytest.fail("resized"), clock)
    assert seats.room == FOLLOWERS + 1
    given = {seats.take(number, True).name for number in range(FOLLOWERS + 1)}
    assert given == {"0", "1"}
    clock.now += LONG
    seats.overdue()
    seats.settle()
    assert seats.room == FOLLOWERS + 1


def test_who_finds_no_thread_follows_one_that_has_been_silent_for_long_and_is_not_known_to_be_late(world):
    world.give(1)
    world.wait(LONG)
    world.give(2)
    world.wait(LONG)
    assert world.give(3) == "c"
    world.wait(LONG)
    assert world.give(4, 5, 6, 7) == "abca"
    assert sorted(world.seats.overdue()) == [4, 5, 6, 7]


def test_what_room_is_left_beside_one_that_nothing_may_follow_is_told_in_any_case(world):
    """Whoever gives several at once waits for that."""
    world.give(1)
    assert world.told == 0
    world.give(2, whole=False)
    assert (world.told, world.seats.room) == (1, FOLLOWERS)


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
        before = set(self.where.values())
        end = self.seats.take(number, whole)
        assert whole or end not in before
        end.waiting.append(request(number))
        if self.seats.unsettled:
            self.seats.settle()
        self.where[number] = end
        if not whole:
            self.partial.add(number)
        return end

    @precondition(lambda self: len(self.where) + len(self.homeless) < COUNT)
    @rule()
    def comes_in_part(self):
        self.comes(False)

    @precondition(lambda self: len(self.where) + len(self.homeless) < self.seats.room)
    @rule()
    def comes_whole(self):
        self.comes(True)

    def comes(self, whole):
        number = next(self.numbers)
        others = list(self.where.values())
        end = self.place(number, whole)
        if end in others:
            mates = [mate for mate, place in self.where.items() if place is end]
            assert not self.partial.intersection(mates), "nothing waits among what is not whole"
            assert end not in self.given_up
            assert len(mates) <= FOLLOWERS

    @precondition(lambda self: self.homeless and len(self.where) < self.seats.room)
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

    @rule(seconds=st.sampled_from([MOMENT, QUICK, PATIENCE / 2, LONG, FIRST_PAUSE]))
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

    @invariant()
    def whoever_waits_for_another_is_watched(self):
        for seat in self.seats._busy:
            waiting = [e[1] for e in seat.end.waiting if e[0] == REQUEST]
            if waiting and waiting != seat.exchanges[:1]:
                assert not seat.late
                assert self.seats.watched

    @invariant()
    def resized_has_told_of_the_room(self):
        assert self.seats.room == (self.world.rooms or [FOLLOWERS])[-1]
        assert COUNT <= self.seats.room <= FOLLOWERS


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)

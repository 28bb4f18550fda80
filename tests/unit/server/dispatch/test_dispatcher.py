"""server.dispatch.dispatcher: least loaded first, longest waiting first, and never a free worker beside a line."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from snakepit.server.dispatch.dispatcher import Dispatcher, Unassigned

WAITS, REFUSED = Unassigned.WAITS, Unassigned.REFUSED


@pytest.fixture
def dispatcher():
    return Dispatcher(line_limit=2)


def test_nobody_there(dispatcher):
    assert dispatcher.submit("x") is WAITS
    assert "x" in dispatcher.line
    assert dispatcher.waiting == 1


def test_least_loaded_first(dispatcher):
    dispatcher.add("a", 10)
    assert dispatcher.submit(1) == "a"
    assert dispatcher.submit(2) == "a"
    dispatcher.add("b", 10)
    assert dispatcher.submit(3) == "b"
    assert dispatcher.submit(4) == "b"
    assert (dispatcher.load("a"), dispatcher.load("b")) == (2, 2)
    assert repr(dispatcher) == "<Dispatcher [a 2/10, b 2/10] waiting 0>"


def test_equals_take_turns(dispatcher):
    for worker in "abc":
        dispatcher.add(worker, 10)
    assert [dispatcher.submit(number) for number in range(9)] == list("abcabcabc")


def test_idle_workers_take_turns(dispatcher):
    for worker in "abc":
        dispatcher.add(worker, 10)
    served = []
    for number in range(6):
        worker = dispatcher.submit(number)
        served.append(worker)
        dispatcher.finished(worker)
    assert served == list("abcabc"), "the one that was idle for longest comes first"


def test_a_small_worker_is_filled_and_then_left_out(dispatcher):
    dispatcher.add("small", 1)
    dispatcher.add("big", 3)
    assert [dispatcher.submit(number) for number in range(5)] == ["small", "big", "big", "big", WAITS]


def test_line_is_served_in_order(dispatcher):
    dispatcher.add("a", 1)
    assert dispatcher.submit("x") == "a"
    assert dispatcher.submit("y") is WAITS
    assert dispatcher.submit("z") is WAITS
    assert dispatcher.waiting == 2
    assert dispatcher.finished("a") == [("a", "y")]
    assert dispatcher.finished("a") == [("a", "z")]
    assert dispatcher.finished("a") == []
    assert repr(dispatcher) == "<Dispatcher [a 0/1] waiting 0>"


def test_line_is_bounded(dispatcher):
    assert [dispatcher.submit(number) for number in range(3)] == [WAITS, WAITS, REFUSED]
    assert dispatcher.line == [0, 1]
    assert dispatcher.waiting == 2


def test_line_of_none():
    dispatcher = Dispatcher(line_limit=0)
    assert dispatcher.submit("x") is REFUSED
    assert "x" not in dispatcher.line
    assert dispatcher.add("a", 1) == []
    assert dispatcher.submit("x") == "a"


def test_the_line_is_cleared(dispatcher):
    dispatcher.submit(1)
    dispatcher.submit(2)
    assert dispatcher.clear_line() == [1, 2]
    assert dispatcher.waiting == 0
    assert dispatcher.add("a", 1) == []


def test_withdraw_from_the_middle():
    dispatcher = Dispatcher(line_limit=3)
    for name in "xyz":
        dispatcher.submit(name)
    dispatcher.withdraw("y")
    assert "y" not in dispatcher.line
    assert dispatcher.add("a", 3) == [("a", "x"), ("a", "z")]


def test_withdraw_makes_room_in_the_line(dispatcher):
    for name in "xy":
        dispatcher.submit(name)
    dispatcher.withdraw("x")
    dispatcher.submit("z")
    assert "z" in dispatcher.line


def test_withdraw_of_who_does_not_wait(dispatcher):
    dispatcher.add("a", 1)
    dispatcher.submit("x")
    dispatcher.withdraw("x")
    assert dispatcher.load("a") == 1


def test_new_worker_takes_what_it_can_from_the_line():
    dispatcher = Dispatcher(line_limit=5)
    for number in range(5):
        dispatcher.submit(number)
    assert dispatcher.add("a", 2) == [("a", 0), ("a", 1)]
    assert dispatcher.add("b", 9) == [("b", 2), ("b", 3), ("b", 4)]
    assert dispatcher.waiting == 0


@pytest.mark.parametrize("load", [0, 1, 2])
def test_removed_worker_gets_nothing(dispatcher, load):
    dispatcher.add("a", 2)
    for number in range(load):
        assert dispatcher.submit(number) == "a"
    dispatcher.remove("a")
    assert dispatcher.submit("x") is WAITS
    assert dispatcher.finished("a") == []
    assert "x" in dispatcher.line
    assert repr(dispatcher) == "<Dispatcher [] waiting 1>"


def test_remove_twice_and_remove_a_stranger(dispatcher):
    dispatcher.add("a", 1)
    dispatcher.add("b", 1)
    dispatcher.remove("a")
    dispatcher.remove("a")
    dispatcher.remove("stranger")
    assert dispatcher.submit("x") == "b"


def test_others_go_on_when_one_is_removed(dispatcher):
    dispatcher.add("a", 2)
    dispatcher.add("b", 2)
    dispatcher.submit(1)
    dispatcher.submit(2)
    dispatcher.remove("a")
    assert dispatcher.submit(3) == "b"
    assert dispatcher.submit(4) is WAITS
    assert dispatcher.finished("b") == [("b", 4)]


# -- who feels at home somewhere -------------------------------------------------------------------------------------


def loaded(**loads):
    """Workers with so many exchanges each."""
    dispatcher = Dispatcher(line_limit=2)
    for worker, load in loads.items():
        dispatcher.add(worker, 100)
        for _ in range(load):
            assert dispatcher.submit_to(worker)
    return dispatcher


def test_home_comes_first_among_equals():
    dispatcher = loaded(a=0, b=0, c=0)
    for number in range(6):
        assert dispatcher.submit(number, "b") == "b"
        dispatcher.finished("b")


@pytest.mark.parametrize(
    ("least", "home", "stays"),
    [(0, 0, True), (0, 1, False), (3, 4, False), (4, 5, True), (4, 6, False), (40, 50, True), (40, 51, False)],
)
def test_home_while_it_is_about_as_free(least, home, stays):
    dispatcher = loaded(a=home, b=least)
    assert dispatcher.submit("x", "a") == ("a" if stays else "b")


def test_home_may_be_full(dispatcher):
    dispatcher.add("a", 5)
    dispatcher.add("b", 100)
    for worker, load in (("a", 5), ("b", 4)):
        for _ in range(load):
            assert dispatcher.submit_to(worker)
    assert dispatcher.submit("x", "a") == "b"


def test_home_may_be_stuck_or_gone():
    dispatcher = loaded(a=0, b=0, c=0)
    dispatcher.stuck("a")
    dispatcher.remove("b")
    assert dispatcher.submit("x", "a") == "c"
    assert dispatcher.submit("y", "b") == "c"


# -- workers that are stuck ------------------------------------------------------------------------------------------


def test_a_stuck_worker_gets_nothing(dispatcher):
    dispatcher.add("a", 10)
    dispatcher.add("b", 2)
    assert [dispatcher.submit(number) for number in range(2)] == ["a", "b"]
    dispatcher.stuck("a")
    assert [dispatcher.submit(number) for number in range(2, 4)] == ["b", WAITS]
    assert dispatcher.finished("b") == [("b", 3)]
    assert dispatcher.finished("a") == []
    assert repr(dispatcher) == "<Dispatcher [a 0/10, b 2/2] waiting 0>"


def test_who_gets_nothing_until_it_is_heard_of_is_asleep():
    dispatcher = Dispatcher(line_limit=10)
    for worker in "ab":
        dispatcher.add(worker, 10)
    assert dispatcher.asleep == []
    dispatcher.stuck("a")
    assert dispatcher.asleep == ["a"]
    dispatcher.heard("a")
    assert dispatcher.asleep == [], "it may have one"
    given = [dispatcher.submit(number) for number in range(2)]
    assert sorted(given) == ["a", "b"]
    assert dispatcher.asleep == ["a"], "it has that one"
    dispatcher.heard("a")
    assert dispatcher.asleep == []
    dispatcher.remove("a")
    assert dispatcher.asleep == []


def test_all_are_stuck(dispatcher):
    for worker in "ab":
        dispatcher.add(worker, 10)
        dispatcher.stuck(worker)
    assert dispatcher.submit("x") is WAITS
    assert dispatcher.submit("y") is WAITS
    assert dispatcher.heard("b") == [("b", "x")]
    assert dispatcher.heard("a") == [("a", "y")]


def test_stuck_twice_and_a_stranger_that_is_stuck(dispatcher):
    dispatcher.add("a", 10)
    dispatcher.stuck("a")
    dispatcher.stuck("a")
    dispatcher.stuck("stranger")
    assert dispatcher.heard("stranger") == []
    assert dispatcher.submit("x") is WAITS
    assert dispatcher.heard("a") == [("a", "x")]


@pytest.mark.parametrize("load", [0, 1, 2])
def test_stuck_and_removed(dispatcher, load):
    dispatcher.add("a", 2)
    for number in range(load):
        dispatcher.submit(number)
    dispatcher.stuck("a")
    dispatcher.remove("a")
    assert dispatcher.heard("a") == []
    assert dispatcher.finished("a") == []
    assert dispatcher.submit("x") is WAITS


def test_a_worker_that_is_added_again_is_not_stuck(dispatcher):
    dispatcher.add("a", 2)
    dispatcher.stuck("a")
    dispatcher.remove("a")
    dispatcher.add("a", 2)
    assert [dispatcher.submit(number) for number in range(3)] == ["a", "a", WAITS]


def test_a_new_worker_beside_a_stuck_one(dispatcher):
    dispatcher.add("a", 2)
    dispatcher.stuck("a")
    dispatcher.submit("x")
    assert dispatcher.add("b", 2) == [("b", "x")]
    assert dispatcher.submit("y") == "b"


def test_being_heard_of_changes_nothing_where_nothing_was_wrong(dispatcher):
    dispatcher.add("a", 1)
    dispatcher.add("b", 1)
    assert dispatcher.heard("a") == []
    assert [dispatcher.submit(number) for number in range(3)] == ["a", "b", WAITS]
    assert dispatcher.heard("a") == []


def test_slow_start():
    """One, and when it has taken that promptly two, then four: the first may be the next long computation."""
    dispatcher = Dispatcher(line_limit=10_000)
    dispatcher.add("a", 100_000)
    dispatcher.stuck("a")
    for number in range(5000):
        dispatcher.submit(number)
    got = []
    expected = 1
    while dispatcher.waiting:
        assignments = dispatcher.heard("a")
        got += [exchange for _, exchange in assignments]
        if expected < 1024:
            assert len(assignments) == expected
            assert dispatcher.waiting == 5000 - len(got)
        expected *= 2
    assert got == list(range(5000)), "in their order"
    assert dispatcher.load("a") == 5000
    assert [dispatcher.submit(number) for number in range(3000)] == ["a"] * 3000, "it may have what comes"
    assert dispatcher.heard("a") == []


def test_slow_start_limits_what_comes_as_well_as_what_waits(dispatcher):
    dispatcher.add("a", 10)
    dispatcher.stuck("a")
    assert dispatcher.heard("a") == []
    assert [dispatcher.submit(number) for number in range(2)] == ["a", WAITS]
    assert dispatcher.heard("a") == [("a", 1)]
    assert [dispatcher.submit(number) for number in range(2, 4)] == ["a", WAITS]


def test_slow_start_is_no_matter_of_what_is_finished(dispatcher):
    """It has to be heard of; answers alone would be too soon, since they can have been under way for long."""
    dispatcher.add("a", 10)
    dispatcher.submit(0)
    dispatcher.submit(1)
    dispatcher.stuck("a")
    dispatcher.heard("a")
    assert dispatcher.submit(2) == "a"
    assert dispatcher.submit(3) is WAITS
    assert dispatcher.finished("a") == []
    assert dispatcher.finished("a") == []
    assert dispatcher.waiting == 1
    assert dispatcher.heard("a") == [("a", 3)]


def test_slow_start_begins_anew_when_it_is_stuck_again():
    dispatcher = Dispatcher(line_limit=100)
    dispatcher.add("a", 100)
    dispatcher.stuck("a")
    for number in range(20):
        dispatcher.submit(number)
    assert [len(dispatcher.heard("a")) for _ in range(3)] == [1, 2, 4]
    dispatcher.stuck("a")
    assert dispatcher.submit(20) is WAITS
    assert [len(dispatcher.heard("a")) for _ in range(3)] == [1, 2, 4]


def test_slow_start_does_not_exceed_the_capacity():
    dispatcher = Dispatcher(line_limit=100)
    dispatcher.add("a", 5)
    for number in range(3):
        dispatcher.submit(number)
    dispatcher.stuck("a")
    for number in range(3, 10):
        dispatcher.submit(number)
    assert [len(dispatcher.heard("a")) for _ in range(3)] == [1, 1, 0]
    assert dispatcher.finished("a") == [("a", 5)]


def test_others_get_what_a_worker_may_not_have_yet():
    dispatcher = Dispatcher(line_limit=100)
    dispatcher.add("a", 100)
    dispatcher.add("b", 3)
    dispatcher.stuck("a")
    dispatcher.heard("a")
    assert [dispatcher.submit(number) for number in range(5)] == ["b", "a", "b", "b", WAITS]


# -- what is given back ----------------------------------------------------------------------------------------------


def test_what_is_given_back_goes_to_another(dispatcher):
    dispatcher.add("a", 10)
    assert [dispatcher.submit(number) for number in range(3)] == ["a"] * 3
    dispatcher.add("b", 10)
    dispatcher.stuck("a")
    assert dispatcher.give_back("a", [1, 2], 2) == [("b", 1), ("b", 2)]
    assert (dispatcher.load("a"), dispatcher.load("b")) == (1, 2)


def test_what_is_given_back_comes_first_in_the_line(dispatcher):
    dispatcher.add("a", 3)
    for number in range(5):
        dispatcher.submit(number)
    dispatcher.stuck("a")
    assert dispatcher.give_back("a", [1, 2], 2) == []
    assert dispatcher.waiting == 4, "whatever the limit: they had been accepted"
    assert dispatcher.submit("too many for the line") == "a"
    assert dispatcher.add("b", 10) == [("b", 1), ("b", 2), ("b", 3), ("b", 4)]


def test_what_is_given_back_twice_comes_before_the_rest_of_what_was():
    dispatcher = Dispatcher(line_limit=10)
    for worker in "ab":
        dispatcher.add(worker, 2)
    assert [dispatcher.submit(number) for number in range(6)] == ["a", "b", "a", "b", WAITS, WAITS]
    for worker in "ab":
        dispatcher.stuck(worker)
    assert dispatcher.give_back("a", [0, 2], 2) == []
    assert dispatcher.give_back("b", [1, 3], 2) == []
    assert dispatcher.add("c", 10) == [("c", exchange) for exchange in (1, 3, 0, 2, 4, 5)]


def test_what_nobody_waits_for_any_more_makes_room_all_the_same(dispatcher):
    dispatcher.add("a", 2)
    for number in range(3):
        dispatcher.submit(number)
    assert dispatcher.give_back("a", [], 1) == [("a", 2)]
    assert dispatcher.load("a") == 2


def test_one_that_is_not_stuck_may_get_what_it_gave_back(dispatcher):
    """One of its threads waits for a client; the others do not."""
    dispatcher.add("a", 2)
    dispatcher.submit(0)
    dispatcher.submit(1)
    assert dispatcher.give_back("a", [1], 1) == [("a", 1)]
    assert dispatcher.load("a") == 2


def test_what_a_removed_worker_gives_back(dispatcher):
    dispatcher.add("a", 2)
    dispatcher.submit(0)
    dispatcher.remove("a")
    assert dispatcher.give_back("a", [0], 1) == []
    assert dispatcher.add("b", 1) == [("b", 0)]


def test_what_was_given_back_can_be_withdrawn(dispatcher):
    dispatcher.add("a", 2)
    dispatcher.submit(0)
    dispatcher.submit(1)
    dispatcher.stuck("a")
    dispatcher.give_back("a", [0, 1], 2)
    dispatcher.withdraw(0)
    assert dispatcher.heard("a") == [("a", 1)]


def test_nobody_overtakes_what_was_given_back(dispatcher):
    dispatcher.add("a", 1)
    dispatcher.submit(0)
    dispatcher.stuck("a")
    dispatcher.give_back("a", [0], 1)
    assert dispatcher.submit(1) is WAITS
    assert dispatcher.add("b", 1) == [("b", 0)]
    assert dispatcher.heard("a") == [("a", 1)]


# -- one worker in particular ----------------------------------------------------------------------------------------


def test_submit_to_one_though_others_have_less(dispatcher):
    dispatcher.add("a", 3)
    dispatcher.add("b", 3)
    assert dispatcher.submit(0) == "a"
    assert dispatcher.submit_to("a")
    assert dispatcher.submit_to("a")
    assert not dispatcher.submit_to("a"), "it is full"
    assert (dispatcher.load("a"), dispatcher.load("b"), dispatcher.waiting) == (3, 0, 0)
    assert dispatcher.finished("a") == []
    assert dispatcher.submit_to("a")


def test_submit_to_one_that_may_have_nothing(dispatcher):
    assert not dispatcher.submit_to("stranger")
    dispatcher.add("a", 3)
    dispatcher.stuck("a")
    assert not dispatcher.submit_to("a")
    dispatcher.heard("a")
    assert dispatcher.submit_to("a")
    assert not dispatcher.submit_to("a"), "it has to be heard of first"
    dispatcher.remove("a")
    assert not dispatcher.submit_to("a")


def test_submit_to_one_does_not_overtake_the_line(dispatcher):
    """The queue is empty while any worker has room, except within a call."""
    dispatcher.add("a", 1)
    dispatcher.submit(0)
    dispatcher.submit(1)
    assert not dispatcher.submit_to("a")
    assert dispatcher.finished("a") == [("a", 1)]


def test_one_that_may_not_wait_goes_home_too():
    """Where the least loaded worker has room only for those that wait there, and home can begin it."""
    dispatcher = Dispatcher(4)
    dispatcher.add("a", 1, 2)
    assert dispatcher.submit_to("a")
    for worker in ("b", "c"):
        dispatcher.add(worker, 2)
        assert dispatcher.submit_to(worker)
    assert dispatcher.submit(0, "c", ahead=False) == "c"
    assert dispatcher.submit(1, "c", ahead=False) == "b", "c is full"


LINE_LIMIT = 4
UNLIMITED = 1024  # a window that is as good as none


class AgainstNaiveModel(RuleBasedStateMachine):
    """The same facts go to the dispatcher and to a model that checks every worker each time.

    The model knows of each exchange where it is, so none can be lost or be in two places.
    """

    def __init__(self):
        super().__init__()
        self.dispatcher = Dispatcher(LINE_LIMIT)
        self.names = iter(range(1_000_000))
        self.capacity = {}
        self.room = {}  # how many it may have, with those that wait there
        self.may_wait = {}  # of each exchange: whether it may be one of those
        self.load = {}
        self.stuck = set()
        self.window = {}  # of those that were stuck: how many they may get until they are heard of again
        self.budget = {}  # and how many are left
        self.has = {}  # exchanges, by worker
        self.over = 0  # exchanges that were finished, withdrawn, refused, or had a worker that was removed
        self.submitted = 0
        self.line = []
        self.gone = []

    def has_room(self, worker, ahead):
        if worker in self.stuck or self.load[worker] >= (self.room if ahead else self.capacity)[worker]:
            return False
        return worker not in self.window or self.budget[worker] > 0

    def least_load(self, ahead):
        """Of a worker with room; None: none has any."""
        return min((self.load[worker] for worker in self.load if self.has_room(worker, ahead)), default=None)

    def ahead(self):
        return sum(max(0, load - self.capacity[worker]) for worker, load in self.load.items())

    def least_loaded_asleep(self):
        asleep = [worker for worker, load in self.load.items() if load < self.capacity[worker]]
        return min(asleep, key=lambda worker: self.load[worker], default=None)

    def serve_line(self, assignments):
        """Hold what comes of the line to the model: the oldest exchange goes to one of those that have the least."""
        for worker, exchange in assignments:
            assert exchange == self.line.pop(0)
            ahead = self.may_wait[exchange]
            assert self.has_room(worker, ahead)
            assert self.load[worker] == self.least_load(ahead)
            self.assign(worker, exchange)
            if not ahead:  # the worker says what room it has beside it
                self.serve_line(self.dispatcher.resize(worker, self.capacity[worker], self.room[worker]))
        assert not self.line or self.least_load(self.may_wait[self.line[0]]) is None

    def assign(self, worker, exchange):
        self.has[worker].append(exchange)
        self.load[worker] += 1
        if worker in self.window:
            self.budget[worker] -= 1

    @rule(capacity=st.integers(1, 9), more=st.integers(0, 5))
    def add(self, capacity, more):
        worker = f"w{next(self.names)}"
        self.capacity[worker], self.room[worker] = capacity, capacity + more
        self.has[worker] = []
        self.load[worker] = 0
        self.serve_line(self.dispatcher.add(worker, capacity, self.room[worker] if more else 0))

    def as_free(self, home, ahead):
        """Whether a worker is about as free as the least loaded, whoever may have one more there."""
        least = self.least_load(True)
        return self.has_room(home, ahead) and self.load[home] <= least + least // 4

    @rule(data=st.data(), may_wait=st.booleans())
    def submit(self, data, may_wait):
        exchange = f"x{next(self.names)}"
        home = data.draw(st.sampled_from([None, *self.load, *self.gone]))
        ahead = may_wait and self.ahead() < LINE_LIMIT
        least = self.least_load(ahead)
        self.submitted += 1
        self.may_wait[exchange] = may_wait
        if least is not None and not self.line:
            worker = self.dispatcher.submit(exchange, home, may_wait)
            if worker != home:
                assert self.has_room(worker, ahead)
                assert self.load[worker] == least
                assert home not in self.load or not self.as_free(home, ahead) or least != self.least_load(True)
            else:
                assert self.as_free(home, ahead) or self.load[home] == least
            self.assign(worker, exchange)
        elif len(self.line) + self.ahead() < LINE_LIMIT:
            assert self.dispatcher.submit(exchange, home, may_wait) is WAITS
            self.line.append(exchange)
        elif (worker := self.least_loaded_asleep()) is not None:
            assert self.dispatcher.submit(exchange, home, may_wait) == worker
            self.has[worker].append(exchange)
            self.load[worker] += 1
        else:
            assert self.dispatcher.submit(exchange, home, may_wait) is REFUSED
            self.over += 1
        assert (exchange in self.dispatcher.line) == (exchange in self.line)

    @precondition(lambda self: self.load)
    @rule(data=st.data())
    def submit_to(self, data):
        worker = data.draw(st.sampled_from(list(self.load)))
        given = not self.line and self.has_room(worker, False)
        assert self.dispatcher.submit_to(worker) is given
        if given:
            self.submitted += 1
            self.assign(worker, f"x{next(self.names)}")

    @precondition(lambda self: self.load)
    @rule(data=st.data(), capacity=st.integers(1, 9), more=st.integers(0, 5))
    def resize(self, data, capacity, more):
        worker = data.draw(st.sampled_from([*self.load, *self.gone]))
        if worker in self.load:
            self.capacity[worker], self.room[worker] = capacity, capacity + more
            self.serve_line(self.dispatcher.resize(worker, capacity, capacity + more))
        else:
            assert self.dispatcher.resize(worker, capacity, more) == []

    @precondition(lambda self: self.load)
    @rule(data=st.data(), ahead=st.booleans())
    def insist(self, data, ahead):
        worker = data.draw(st.sampled_from([*self.load, *self.gone]))
        given = worker in self.load and self.load[worker] < (self.room if ahead else self.capacity)[worker]
        assert self.dispatcher.insist(worker, ahead) is given
        if given:
            self.submitted += 1
            self.assign(worker, f"x{next(self.names)}")

    @precondition(lambda self: any(self.load.values()))
    @rule(data=st.data())
    def finish(self, data):
        worker = data.draw(st.sampled_from([worker for worker, load in self.load.items() if load]))
        self.has[worker].remove(data.draw(st.sampled_from(self.has[worker])))
        self.over += 1
        self.load[worker] -= 1
        self.serve_line(self.dispatcher.finished(worker))

    @precondition(lambda self: self.load)
    @rule(data=st.data())
    def remove(self, data):
        worker = data.draw(st.sampled_from(list(self.load)))
        self.dispatcher.remove(worker)
        del self.load[worker], self.capacity[worker], self.room[worker]
        self.over += len(self.has.pop(worker))
        self.stuck.discard(worker)
        self.window.pop(worker, None)
        self.gone.append(worker)

    @precondition(lambda self: self.load)
    @rule(data=st.data())
    def be_stuck(self, data):
        worker = data.draw(st.sampled_from(list(self.load)))
        self.dispatcher.stuck(worker)
        self.stuck.add(worker)

    @precondition(lambda self: self.load)
    @rule(data=st.data())
    def be_heard(self, data):
        worker = data.draw(st.sampled_from(sorted(self.stuck) or list(self.load)))
        self.hear(worker)

    @precondition(lambda self: self.window)
    @rule(data=st.data(), times=st.integers(1, 12))
    def be_heard_again_and_again(self, data, times):
        worker = data.draw(st.sampled_from(list(self.window)))
        for _ in range(times):
            self.hear(worker)

    def hear(self, worker):
        if worker in self.stuck:
            self.stuck.remove(worker)
            self.window[worker] = 1
        elif worker in self.window:
            self.window[worker] *= 2
        else:
            assert self.dispatcher.heard(worker) == []
            return
        if self.window[worker] >= UNLIMITED:
            del self.window[worker]
        else:
            self.budget[worker] = self.window[worker]
        self.serve_line(self.dispatcher.heard(worker))

    @precondition(lambda self: any(self.load.values()))
    @rule(data=st.data())
    def give_back(self, data):
        """Some of what a worker has; of these, some whose client has gone."""
        worker = data.draw(st.sampled_from([worker for worker, load in self.load.items() if load]))
        back = data.draw(st.lists(st.sampled_from(self.has[worker]), unique=True))
        gone = data.draw(st.lists(st.sampled_from(back), unique=True)) if back else []
        fresh = [exchange for exchange in back if exchange not in gone]
        for exchange in back:
            self.has[worker].remove(exchange)
        self.over += len(gone)
        self.load[worker] -= len(back)
        self.line[:0] = fresh
        self.may_wait.update(dict.fromkeys(fresh, True))
        self.serve_line(self.dispatcher.give_back(worker, fresh, len(back)))
        for exchange in fresh:
            assert (exchange in self.dispatcher.line) == (exchange in self.line)

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def finish_late(self, data):
        worker = data.draw(st.sampled_from(self.gone))
        assert self.dispatcher.finished(worker) == []
        assert self.dispatcher.heard(worker) == []
        self.dispatcher.stuck(worker)

    @precondition(lambda self: self.line)
    @rule(data=st.data())
    def withdraw(self, data):
        exchange = data.draw(st.sampled_from(self.line))
        self.line.remove(exchange)
        self.over += 1
        assignments = self.dispatcher.withdraw(exchange)
        assert exchange not in self.dispatcher.line
        self.serve_line(assignments)

    @invariant()
    def same(self):
        loads = ", ".join(f"{worker} {load}/{self.capacity[worker]}" for worker, load in self.load.items())
        shown = repr(self.dispatcher)
        assert shown.endswith(f" waiting {len(self.line)}>")
        assert self.dispatcher.waiting == len(self.line) + self.ahead()
        assert sorted(shown[len("<Dispatcher [") : shown.index("]")].split(", ")) == sorted(loads.split(", "))
        for worker, load in self.load.items():
            assert self.dispatcher.load(worker) == load == len(self.has[worker])

    @invariant()
    def no_exchange_is_lost_or_doubled(self):
        there = [*self.line, *(exchange for has in self.has.values() for exchange in has)]
        assert len(there) == len(set(there))
        assert len(there) + self.over == self.submitted
        assert self.dispatcher.line == self.line

    @invariant()
    def nobody_waits_beside_a_free_worker(self):
        assert not (self.line and self.least_load(self.may_wait[self.line[0]]) is not None)


TestAgainstNaiveModel = AgainstNaiveModel.TestCase
TestAgainstNaiveModel.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


# -- those that wait in workers ---------------------------------------------------------------------------------------


def test_a_worker_may_have_more_than_it_can_begin():
    dispatcher = Dispatcher(100)
    dispatcher.add("a", 1, 3)
    assert [dispatcher.submit(number) for number in range(4)] == ["a", "a", "a", WAITS]
    assert dispatcher.waiting == 3
    assert dispatcher.line == [3]
    assert dispatcher.finished("a", 2) == [("a", 3)]
    assert dispatcher.waiting == 1


def test_who_can_begin_it_comes_before_those_that_can_not():
    dispatcher = Dispatcher(100)
    dispatcher.add("a", 2, 4)
    dispatcher.add("b", 2, 4)
    assert Counter(dispatcher.submit(number) for number in range(4)) == {"a": 2, "b": 2}
    assert dispatcher.waiting == 0
    assert Counter(dispatcher.submit(number) for number in range(4, 8)) == {"a": 2, "b": 2}
    assert dispatcher.waiting == 4


def test_what_may_not_wait_in_a_worker_waits_in_the_line_and_so_do_those_behind_it():
    dispatcher = Dispatcher(100)
    dispatcher.add("a", 1, 3)
    assert dispatcher.submit(1, ahead=False) == "a"
    assert dispatcher.submit(2, ahead=False) is WAITS
    assert dispatcher.submit(3) is WAITS
    assert dispatcher.finished("a") == [("a", 2)]
    assert dispatcher.resize("a", 1, 3) == [("a", 3)]


def test_who_gets_what_nothing_may_wait_behind_says_what_room_there_is_before_more_is_given():
    dispatcher = Dispatcher(100)
    for number in range(3):
        assert dispatcher.submit(number, ahead=number > 1) is WAITS
    assert dispatcher.add("a", 2, 10) == [("a", 0)]
    assert dispatcher.resize("a", 2, 10) == [("a", 1)]
    assert dispatcher.resize("a", 2) == []
    assert dispatcher.line == [2]


def test_home_is_no_place_to_wait_for_what_may_not():
    dispatcher = Dispatcher(100)
    dispatcher.add("a", 1, 3)
    dispatcher.add("b", 1, 3)
    assert dispatcher.submit(1, "a") == "a"
    assert dispatcher.submit(2, "b") == "b"
    assert dispatcher.submit(3, "a", ahead=False) is WAITS
    assert dispatcher.finished("b") == [("b", 3)]
    assert dispatcher.submit(4, "a") == "a"


def test_as_many_wait_as_the_line_takes_wherever_they_do():
    dispatcher = Dispatcher(2)
    dispatcher.add("a", 1, 10)
    assert [dispatcher.submit(number) for number in range(4)] == ["a", "a", "a", REFUSED]
    dispatcher = Dispatcher(2)
    dispatcher.add("a", 1, 2)
    assert [dispatcher.submit(number) for number in range(4)] == ["a", "a", WAITS, REFUSED]
    dispatcher = Dispatcher(0)
    dispatcher.add("a", 1, 10)
    assert [dispatcher.submit(number) for number in range(2)] == ["a", REFUSED]


def test_a_worker_that_has_no_room_any_more_keeps_what_it_has():
    dispatcher = Dispatcher(100)
    dispatcher.add("a", 2, 5)
    for number in range(4):
        dispatcher.submit(number)
    assert dispatcher.resize("a", 2) == []
    assert dispatcher.waiting == 2
    assert dispatcher.submit(4) is WAITS
    assert dispatcher.finished("a", 2) == []
    assert dispatcher.finished("a") == [("a", 4)]
    assert dispatcher.submit(5) is WAITS
    assert dispatcher.resize("a", 2, 5) == [("a", 5)]


def test_a_worker_that_is_removed_takes_those_along_that_wait_there():
    dispatcher = Dispatcher(1)
    dispatcher.add("a", 1, 2)
    dispatcher.add("b", 1, 1)
    assert {dispatcher.submit(1), dispatcher.submit(2), dispatcher.submit(3)} == {"a", "b"}
    assert dispatcher.waiting == 1
    dispatcher.remove("a")
    assert dispatcher.waiting == 0
    assert dispatcher.submit(4) is WAITS


def test_who_finds_the_line_full_waits_for_a_stuck_worker_and_is_refused_only_where_all_are_full():
    dispatcher = Dispatcher(1)
    dispatcher.add("a", 2)
    dispatcher.add("b", 2)
    assert {dispatcher.submit(1), dispatcher.submit(2)} == {"a", "b"}
    dispatcher.stuck("a")
    dispatcher.stuck("b")
    assert dispatcher.submit(3) is WAITS
    assert 3 in dispatcher.line
    assert {dispatcher.submit(4), dispatcher.submit(5)} == {"a", "b"}
    assert dispatcher.submit(6) is REFUSED
    assert 6 not in dispatcher.line
    assert dispatcher.heard("a") == [], "it is full"
    assert dispatcher.finished("a") == [("a", 3)]
    assert dispatcher.load("a") == 2

"""snakepit.server.dispatcher: least loaded first, longest waiting first, and never a free worker beside a line."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from snakepit.server.dispatcher import Dispatcher


@pytest.fixture
def dispatcher():
    return Dispatcher(line_limit=2)


def test_nobody_there(dispatcher):
    assert dispatcher.submit("x") is None
    assert dispatcher.in_line("x")
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
    assert [dispatcher.submit(number) for number in range(5)] == ["small", "big", "big", "big", None]


def test_line_is_served_in_order(dispatcher):
    dispatcher.add("a", 1)
    assert dispatcher.submit("x") == "a"
    assert dispatcher.submit("y") is None
    assert dispatcher.submit("z") is None
    assert dispatcher.waiting == 2
    assert dispatcher.finished("a") == [("a", "y")]
    assert dispatcher.finished("a") == [("a", "z")]
    assert dispatcher.finished("a") == []
    assert repr(dispatcher) == "<Dispatcher [a 0/1] waiting 0>"


def test_line_is_bounded(dispatcher):
    for number in range(3):
        assert dispatcher.submit(number) is None
    assert [dispatcher.in_line(number) for number in range(3)] == [True, True, False]
    assert dispatcher.waiting == 2


def test_line_of_none():
    dispatcher = Dispatcher(line_limit=0)
    assert dispatcher.submit("x") is None
    assert not dispatcher.in_line("x")
    assert dispatcher.add("a", 1) == []
    assert dispatcher.submit("x") == "a"


def test_withdraw_from_the_middle():
    dispatcher = Dispatcher(line_limit=3)
    for name in "xyz":
        dispatcher.submit(name)
    dispatcher.withdraw("y")
    assert not dispatcher.in_line("y")
    assert dispatcher.add("a", 3) == [("a", "x"), ("a", "z")]


def test_withdraw_makes_room_in_the_line(dispatcher):
    for name in "xy":
        dispatcher.submit(name)
    dispatcher.withdraw("x")
    dispatcher.submit("z")
    assert dispatcher.in_line("z")


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
    assert dispatcher.submit("x") is None
    assert dispatcher.finished("a") == []
    assert dispatcher.in_line("x")
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
    assert dispatcher.submit(4) is None
    assert dispatcher.finished("b") == [("b", 4)]


LINE_LIMIT = 4


class AgainstNaiveModel(RuleBasedStateMachine):
    """The same facts go to the dispatcher and to a model that looks at everybody each time."""

    def __init__(self):
        super().__init__()
        self.dispatcher = Dispatcher(LINE_LIMIT)
        self.names = iter(range(1_000_000))
        self.capacity = {}
        self.load = {}
        self.since = {}  # when the worker came to the load it has
        self.clock = 0
        self.line = []
        self.gone = []

    def change(self, worker, load):
        self.clock += 1
        self.load[worker] = load
        self.since[worker] = self.clock

    def least_loaded(self):
        free = [worker for worker, load in self.load.items() if load < self.capacity[worker]]
        return min(free, key=lambda worker: (self.load[worker], self.since[worker]), default=None)

    def serve_line(self):
        assignments = []
        while self.line and (worker := self.least_loaded()) is not None:
            assignments.append((worker, self.line.pop(0)))
            self.change(worker, self.load[worker] + 1)
        return assignments

    @rule(capacity=st.integers(1, 4))
    def add(self, capacity):
        worker = f"w{next(self.names)}"
        self.capacity[worker] = capacity
        self.change(worker, 0)
        assert self.dispatcher.add(worker, capacity) == self.serve_line()

    @rule()
    def submit(self):
        exchange = f"x{next(self.names)}"
        worker = self.least_loaded()
        assert self.dispatcher.submit(exchange) == worker
        if worker is not None:
            self.change(worker, self.load[worker] + 1)
        elif len(self.line) < LINE_LIMIT:
            self.line.append(exchange)
        assert self.dispatcher.in_line(exchange) == (exchange in self.line)

    @precondition(lambda self: any(self.load.values()))
    @rule(data=st.data())
    def finish(self, data):
        worker = data.draw(st.sampled_from([worker for worker, load in self.load.items() if load]))
        self.change(worker, self.load[worker] - 1)
        assert self.dispatcher.finished(worker) == self.serve_line()

    @precondition(lambda self: self.load)
    @rule(data=st.data())
    def remove(self, data):
        worker = data.draw(st.sampled_from(list(self.load)))
        self.dispatcher.remove(worker)
        del self.load[worker], self.capacity[worker], self.since[worker]
        self.gone.append(worker)

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def finish_late(self, data):
        assert self.dispatcher.finished(data.draw(st.sampled_from(self.gone))) == []

    @precondition(lambda self: self.line)
    @rule(data=st.data())
    def withdraw(self, data):
        exchange = data.draw(st.sampled_from(self.line))
        self.line.remove(exchange)
        self.dispatcher.withdraw(exchange)
        assert not self.dispatcher.in_line(exchange)

    @invariant()
    def same(self):
        loads = ", ".join(f"{worker} {load}/{self.capacity[worker]}" for worker, load in self.load.items())
        shown = repr(self.dispatcher)
        assert shown.endswith(f" waiting {len(self.line)}>")
        assert sorted(shown[len("<Dispatcher [") : shown.index("]")].split(", ")) == sorted(loads.split(", "))
        assert self.dispatcher.waiting == len(self.line) <= LINE_LIMIT
        for worker, load in self.load.items():
            assert self.dispatcher.load(worker) == load <= self.capacity[worker]

    @invariant()
    def nobody_waits_beside_a_free_worker(self):
        assert not (self.line and self.least_loaded() is not None)


TestAgainstNaiveModel = AgainstNaiveModel.TestCase
TestAgainstNaiveModel.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)

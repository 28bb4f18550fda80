"""server.pool.roster: replacements come first, no place is forgotten, and waiting callers are told, in every case."""

import logging
from dataclasses import dataclass, field

import pytest
from fakes import fake_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from snakepit.errors import AppImportError, ConfigError, StartTimeout
from snakepit.server.events.kinds import Kind
from snakepit.server.lifecycle import WORKER, WorkerState, advance
from snakepit.server.pool.actions import (
    Abandon,
    AnswerInstead,
    Arrived,
    AwaitEnd,
    CancelRestart,
    Close,
    CountAge,
    CutStart,
    Drop,
    ForgetAge,
    GiveUp,
    KeepMemory,
    Note,
    Replaced,
    Restart,
    Retire,
    Settled,
    Start,
    SuccessorFailed,
    Tell,
)
from snakepit.server.pool.retries import ATTEMPTS, BACKOFF, PAUSE_BEFORE_ATTEMPT, QUICK_DEATH
from snakepit.server.pool.roster import REASONS, Roster
from snakepit.server.workers import worker as worker_module
from snakepit.server.workers.report import WorkerReport

STARTING, READY, RETIRING = WorkerState.STARTING, WorkerState.READY, WorkerState.RETIRING
FAILED, LOST, ABANDONED, CLOSED = WorkerState.FAILED, WorkerState.LOST, WorkerState.ABANDONED, WorkerState.CLOSED


class Flag:
    def __init__(self):
        self.up = False

    def is_set(self):
        return self.up


@dataclass
class Thread:
    memory_at_end: int | None = None
    is_left_open: bool = False
    ended: Flag = field(default_factory=Flag)


@fake_of(worker_module.WorkerHandle)
@dataclass(eq=False)
class Worker:
    """What the roster reads of a worker."""

    number: int
    state: WorkerState = STARTING
    failure: tuple[str, str] = ("", "")
    report: WorkerReport = field(default_factory=WorkerReport)
    thread: Thread = field(default_factory=Thread)

    def __str__(self):
        return f"worker {self.number}"

    def to(self, state):
        self.state = advance(WORKER, self.state, state)


class World:
    """Carries out what the roster says, as the pool does, and holds it to what is allowed."""

    def __init__(self, workers=2, patient=False):
        self.now = 1000.0
        self.roster = Roster(workers, patient)
        self.started = {}  # workers, in this order
        self.deadlines = {}  # workers that have to end
        self.restarts = {}  # seconds, by number
        self.settling = set()  # numbers for which a caller waits
        self.arriving = set()
        self.outcomes = []
        self.gave_up = []
        self.shown = []
        self.told = []
        self.observed = []
        self.noted = []
        self.open = 0
        self.hanging = set()
        self.do([Start(self.roster.begin([Worker(number) for number in range(1, workers + 1)]))])

    def do(self, actions):
        for action in actions:
            self.carry_out(action)
        return actions

    def carry_out(self, action):
        roster = self.roster
        match action:
            case Start(worker):
                assert not roster.closing
                assert worker.state is STARTING
                assert worker not in self.started
                self.started[worker] = None
            case Drop(worker):
                assert worker not in self.started
                worker.to(RETIRING)
                worker.to(CLOSED)
                worker.thread.ended.up = True
            case Retire(worker):
                assert worker in self.started
                assert not roster.is_current(worker), "break before make"
                worker.to(RETIRING)
                self.deadlines[worker] = None
            case AwaitEnd(worker) | CutStart(worker):
                assert worker.state is FAILED
                self.deadlines[worker] = None
            case Abandon(worker, silent):
                worker.to(ABANDONED)
                self.deadlines.pop(worker, None)
                if not silent:
                    self.hanging.add(worker)
                self.do(roster.was_abandoned(worker, killed=silent))
            case Close(worker, lost):
                if lost:
                    worker.to(LOST)
                worker.to(CLOSED)
            case Restart(number, seconds):
                assert not roster.closing
                self.restarts[number] = seconds
            case CancelRestart(number):
                self.restarts.pop(number, None)
            case CountAge(worker):
                assert roster.is_current(worker)
                assert worker.state is READY
            case ForgetAge():
                pass
            case Arrived(number, trouble):
                self.arriving.remove(number)
                self.outcomes.append((number, trouble))
            case Settled(number, trouble):
                self.settling.remove(number)
                self.outcomes.append((number, trouble))
            case Replaced() | SuccessorFailed() | KeepMemory():
                self.observed.append(action)
            case GiveUp(error):
                self.gave_up.append(error)
            case AnswerInstead(error):
                self.shown.append(error)
            case Note(kind, text, number, reason):
                assert text
                self.noted.append((kind, number, reason))
            case Tell(level, text):
                assert level >= logging.INFO
                self.told.append(text)
            case _:
                raise AssertionError(f"the pool does not know {action}")

    # -- facts -------------------------------------------------------------------------------------------------------

    def ready(self, worker):
        worker.to(READY)
        return self.do(self.roster.ready(worker, self.now))

    def failed(self, worker, kind="import", fault="no such module"):
        worker.failure = (kind, fault)
        worker.to(FAILED)
        return self.do(self.roster.failed(worker))

    def timed_out(self, worker):
        worker.failure = ("timeout", f"Worker {worker.number} was not ready")
        worker.to(FAILED)
        return self.do(self.roster.start_timed_out(worker))

    def silent(self, worker):
        worker.failure = ("lost", "it did not answer")
        worker.to(LOST)
        return self.do(self.roster.silent(worker, self.now))

    def ended(self, worker, goodbye=False):
        worker.report.said_goodbye = goodbye
        if not goodbye and not worker.failure[0]:
            worker.failure = ("lost", "its thread has ended")
        worker.thread.ended.up = True
        self.deadlines.pop(worker, None)
        self.hanging.discard(worker)
        worker.thread.is_left_open = bool(worker.report.daemon_threads)
        self.open += worker.thread.is_left_open
        return self.do(self.roster.ended(worker, self.now))

    def late(self, worker):
        del self.deadlines[worker]
        return self.do(self.roster.did_not_end(worker))

    def replace(self, number, siblings=(), reason="reload"):
        assert self.roster.refusal(number) == ""
        self.settling.add(number)
        return self.do(self.roster.succession_began(Worker(number), None, reason, siblings))

    def scale(self, wanted):
        leaving, actions = self.roster.scale(wanted)
        self.do(actions)
        for number in self.roster.missing:
            self.arriving.add(number)
            self.do(self.roster.joined(Worker(number)))
        return leaving

    def restart(self, number):
        del self.restarts[number]
        return self.do(self.roster.restarted(Worker(number)))

    def close(self):
        self.restarts.clear()
        self.do(self.roster.close())
        for worker in [*self.roster.workers, *self.roster.successors]:
            if worker.state in (STARTING, READY):
                worker.to(RETIRING)

    # ----------------------------------------------------------------------------------------------------------------

    @property
    def first(self):
        return self.roster.workers[0]

    @property
    def second(self):
        return self.roster.workers[1]

    @property
    def unended(self):
        return [worker for worker in self.started if not worker.thread.ended.up]


@pytest.fixture
def world():
    """Two workers that are ready."""
    made = World()
    made.ready(made.first)
    made.ready(made.second)
    assert made.roster.all_ready
    made.observed.clear()
    return made


# -- the start ---------------------------------------------------------------------------------------------------------


def test_the_first_worker_starts_alone_and_the_others_when_it_is_ready():
    world = World(3)
    assert list(world.started) == [world.first]
    world.ready(world.first)
    assert list(world.started) == world.roster.workers
    assert (world.roster.first_ready, world.roster.all_ready) == (True, False)
    assert repr(world.roster) == "<Roster [1 READY, 2 STARTING, 3 STARTING]>"


def test_a_first_worker_that_can_not_start_is_the_end():
    world = World()
    world.failed(world.first)
    world.ended(world.first)
    [error] = world.gave_up
    assert isinstance(error, AppImportError)
    assert str(error) == "no such module"
    assert world.restarts == {}


def test_where_that_is_borne_what_went_wrong_is_the_answer_and_a_replacement_mends_it():
    world = World(patient=True)
    first, second = world.roster.workers
    world.failed(first)
    assert len(world.shown) == 1
    assert world.roster.first_ready
    assert second in world.started, "it may fare better"
    world.failed(second)
    assert len(world.told) == 2, "it most likely has the same trouble"
    assert world.gave_up == []
    world.replace(1)
    [successor] = world.roster.successors
    world.ready(successor)
    assert world.first is successor
    assert world.outcomes == [(1, "")]


@pytest.fixture
def failing():
    """A worker could not start, another one still starts, and then files change: both are replaced."""
    made = World(patient=True)
    made.failed(made.first, fault="old")
    for number in (1, 2):
        made.replace(number, (1, 2))
    return made


def test_what_failed_with_older_files_is_not_the_answer(failing):
    world = failing
    first, second = world.roster.workers
    successor, other = world.roster.successors
    world.ended(first)
    world.failed(second, fault="old")
    world.ended(second)
    assert list(map(str, world.shown)) == ["old"]
    world.failed(other, fault="new")
    world.ended(other)
    assert list(map(str, world.shown)) == ["old", "new"]
    world.ended(successor)
    assert list(map(str, world.shown)) == ["old", "new"]


def test_what_fails_after_its_successor_is_not_the_answer(failing):
    world = failing
    first, second = world.roster.workers
    _, other = world.roster.successors
    world.failed(other, fault="new")
    world.ended(other)
    assert list(map(str, world.shown)) == ["old", "new"], "worker 2 still starts"
    world.ended(first)
    world.failed(second, fault="old")
    world.ended(second)
    assert list(map(str, world.shown)) == ["old", "new"]


def test_who_fails_where_another_could_start_is_tried_again_and_not_for_ever():
    world = World()
    world.ready(world.first)
    for attempt in range(1, ATTEMPTS):
        assert world.gave_up == [], attempt
        world.failed(world.second)
        assert world.restarts == {2: PAUSE_BEFORE_ATTEMPT}
        world.ended(world.second)
        world.restart(2)
    world.failed(world.second)
    assert world.restarts == {}
    assert len(world.gave_up) == 1
    assert world.told[-1] == f"Worker 2 could not start in {ATTEMPTS} attempts, though another one could"


def test_it_is_not_tried_again_while_its_successor_starts():
    """Otherwise that attempt would take the place from the successor, which serves by then."""
    world = World(patient=True)
    world.ready(world.first)
    world.replace(2)
    successor = list(world.started)[-1]
    world.failed(world.roster.workers[1])
    assert world.restarts == {}
    world.ready(successor)
    assert world.roster.is_current(successor)


def test_what_only_the_operator_can_mend_is_not_tried_again():
    world = World()
    world.ready(world.first)
    world.second.failure = ("config", "too many open files")
    world.ended(world.second)
    assert world.restarts == {}
    [error] = world.gave_up
    assert isinstance(error, ConfigError)


def test_one_that_is_late_is_told_of_once(world):
    world.replace(1)
    [successor] = world.roster.successors
    actions = world.timed_out(successor)
    assert CutStart(successor) in actions
    assert world.observed == [SuccessorFailed(successor, "Worker 1 was not ready")]
    assert world.outcomes == [(1, str(StartTimeout("Worker 1 was not ready")))]
    world.ended(successor)
    assert world.told == []
    assert world.roster.retiring == []


# -- make before break -------------------------------------------------------------------------------------------------


def test_a_worker_retires_when_its_successor_is_ready(world):
    before = world.first
    world.replace(1)
    [successor] = world.roster.successors
    assert before.state is READY
    assert world.roster.is_current(before)
    assert not world.roster.may_be_recycled(before)
    world.ready(successor)
    assert (world.first, before.state, world.outcomes) == (successor, RETIRING, [(1, "")])
    assert world.roster.retiring == [before]
    world.ended(before, goodbye=True)
    assert (before.state, world.roster.retiring, world.told) == (CLOSED, [], [])


def test_a_newer_successor_is_the_one_that_counts(world):
    world.replace(1)
    [older] = world.roster.successors
    world.replace(1)
    [newer] = world.roster.successors
    assert (older.state, world.outcomes) == (RETIRING, [])
    world.ready(newer)
    assert world.outcomes == [(1, "")]


def test_a_successor_that_fails_changes_nothing_and_takes_its_siblings_with_it(world):
    before = world.roster.workers
    for number in (1, 2):
        world.replace(number, siblings=(1, 2))
    first, second = world.roster.successors
    world.failed(first)
    assert world.outcomes == [], "it may have more to say"
    world.ended(first)
    assert world.outcomes == [(1, "no such module"), (2, "no such module")]
    assert second.state is RETIRING
    assert world.roster.workers == before
    assert world.observed == [SuccessorFailed(first, "no such module")]


def test_memory_that_copies_keep_is_counted_from_when_the_successor_began(world):
    before = world.first
    before.report.copies = [("module", 5)]
    world.settling.add(1)
    world.do(world.roster.succession_began(successor := Worker(1), 7))
    world.ready(successor)
    assert world.observed == []
    world.ended(before, goodbye=True)
    assert world.observed == [KeepMemory(before, 7)]


# -- workers that are lost ---------------------------------------------------------------------------------------------


def test_one_that_dies_is_replaced_at_once_and_later_and_later_if_that_goes_on(world):
    first, most = BACKOFF
    delays = []
    for _ in range(12):
        world.ended(world.first)
        delays.append(world.restarts[1])
        world.restart(1)
        world.ready(world.first)
    assert delays[:5] == [0.0, first, 2 * first, 4 * first, 8 * first]
    assert delays[-1] == most
    world.now += QUICK_DEATH
    world.ended(world.first)
    assert world.restarts[1] == 0.0
    assert world.told[0] == "Worker 1 ended unexpectedly: its thread has ended"
    assert world.noted == [(Kind.WORKER_LOST, 1, "ended")] * 13


@pytest.mark.parametrize("reason", REASONS)
def test_a_replacement_counts_by_its_reason_and_is_noted_unless_all_are_reloaded(world, reason):
    world.replace(1, reason=reason)
    assert world.roster.replaced[reason] == 0
    world.ready(world.roster.successors[0])
    assert world.roster.replaced[reason] == world.roster.replaced.total() == 1
    noted = reason in ("hang", "requests", "lifetime", "memory")
    assert world.noted == ([(Kind.WORKER_REPLACED, 1, reason)] if noted else [])


def test_the_reason_is_that_of_the_newest_request(world):
    world.replace(1, reason="lifetime")
    world.replace(1, reason="reload")
    world.ready(world.roster.successors[0])
    assert (world.roster.replaced["reload"], world.roster.replaced["lifetime"]) == (1, 0)


def test_failures_and_abandoned_workers_are_noted(world):
    world.scale(3)
    world.failed(world.roster.workers[2])
    world.ended(world.roster.workers[2])
    world.scale(1)
    [late] = world.deadlines
    world.late(late)
    assert world.noted == [(Kind.WORKER_FAILED, 3, "import"), (Kind.WORKER_ABANDONED, 2, "left")]


def test_one_that_dies_while_its_successor_is_on_its_way_is_not_restarted(world):
    world.replace(1)
    [successor] = world.roster.successors
    world.ended(world.first)
    assert world.restarts == {}
    world.ended(successor)
    assert world.restarts == {1: BACKOFF[0]}, "its place is empty"


def test_a_successor_that_fails_beside_a_restarted_worker_leaves_that_alone(world):
    world.ended(world.first)
    world.restart(1)
    restarted = world.first
    world.replace(1)
    world.timed_out(world.roster.successors[0])
    assert world.restarts == {}, "its place has a worker, and a starting one"
    world.ready(restarted)
    assert world.roster.is_current(restarted)


def test_a_silent_one_is_abandoned_and_replaced(world):
    silent = world.first
    actions = world.silent(silent)
    assert Abandon(silent, silent=True) in actions
    assert world.restarts == {1: 0.0}
    assert world.roster.serving == {world.second: world.now}


def test_no_channel_for_a_new_one(world):
    world.ended(world.first)
    del world.restarts[1]
    world.do(world.roster.not_restarted(1, "too many open files"))
    assert world.restarts == {1: BACKOFF[1]}
    assert world.told[-1] == "Worker 1 can't be replaced yet: too many open files"


# -- the end -----------------------------------------------------------------------------------------------------------


def test_abandoned_workers_wear_the_process_out_when_as_many_hang_as_are_wanted(world):
    for number in (1, 2):
        before = world.roster.workers[number - 1]
        world.replace(number)
        world.ready(world.roster.successors[0])
        assert world.roster.worn_out == ""
        world.late(before)
    assert world.roster.worn_out == "2 abandoned workers have not ended"
    assert world.roster.remains.left_open == 2
    world.ended(world.roster.remains.abandoned[0])
    assert (world.roster.worn_out, world.roster.remains.left_open) == ("", 1)


def test_daemon_threads_leave_an_interpreter_open(world):
    before = world.first
    world.scale(1)
    leaving = next(iter(world.roster.retiring))
    leaving.report.daemon_threads = ["poller"]
    world.ended(leaving, goodbye=True)
    assert world.first is before
    assert world.roster.remains.left_open == 1
    assert world.told == [
        "Worker 2 leaves a daemon thread running (poller), so its interpreter stays open until it ends"
    ]
    leaving.thread.is_left_open = False
    assert world.roster.remains.left_open == 0


def test_who_waits_is_told_of_the_end(world):
    world.replace(1)
    world.scale(3)
    world.close()
    assert sorted(world.outcomes) == [(1, "the server is stopping"), (3, "the server is stopping")]
    assert world.roster.refusal(1) == "the server is stopping"
    world.close()  # again does nothing


def test_one_that_does_not_end_as_it_should_is_told_of_at_the_end(world):
    world.close()
    world.ended(world.first)
    assert world.told == ["Worker 1 did not end as it should: its thread has ended"]


def test_a_number_that_is_not_wanted_any_more(world):
    world.replace(2)
    successor = world.roster.successors[0]
    [leaving] = world.scale(1)
    assert (leaving.number, leaving.state, successor.state) == (2, RETIRING, RETIRING)
    assert world.outcomes == [(2, "worker 2 is not wanted any more")]
    assert world.roster.refusal(2) == "there is no worker 2"


def test_no_channel_for_one_more(world):
    world.roster.scale(4)
    world.do(world.roster.not_made(3, "too many open files"))
    assert world.roster.wanted == 2
    assert world.told == ["Worker 3 can't be started: too many open files"]


# -- whatever happens --------------------------------------------------------------------------------------------------


class Anything(RuleBasedStateMachine):
    """All that can happen to workers, in any order."""

    def some(self, data, *states, **more):
        found = [w for w in self.world.unended if w.state in states]
        return data.draw(st.sampled_from(found), **more)

    def any_in(self, *states):
        return any(worker.state in states for worker in self.world.unended)

    @initialize(workers=st.integers(1, 4), patient=st.booleans())
    def begin(self, workers, patient):
        self.patient = patient
        self.world = World(workers, patient)

    @property
    def roster(self):
        return self.world.roster

    @rule(seconds=st.sampled_from([0.1, QUICK_DEATH]))
    def wait(self, seconds):
        self.world.now += seconds

    @precondition(lambda self: self.any_in(STARTING))
    @rule(data=st.data())
    def be_ready(self, data):
        self.world.ready(self.some(data, STARTING))

    @precondition(lambda self: self.any_in(STARTING))
    @rule(data=st.data(), kind=st.sampled_from(["import", "lifespan", "config"]))
    def fail(self, data, kind):
        self.world.failed(self.some(data, STARTING), kind, "trouble")

    @precondition(lambda self: self.any_in(STARTING) and not self.roster.closing)
    @rule(data=st.data())
    def be_late(self, data):
        self.world.timed_out(self.some(data, STARTING))

    @precondition(lambda self: any(w.state is READY for w in self.roster.workers) and not self.roster.closing)
    @rule(data=st.data())
    def be_silent(self, data):
        self.world.silent(data.draw(st.sampled_from([w for w in self.roster.workers if w.state is READY])))

    @precondition(lambda self: self.any_in(STARTING, READY, FAILED))
    @rule(data=st.data())
    def die(self, data):
        self.world.ended(self.some(data, STARTING, READY, FAILED))

    @precondition(lambda self: self.any_in(RETIRING, ABANDONED))
    @rule(data=st.data(), goodbye=st.booleans(), threads=st.sampled_from([[], ["poller"], ["poller", "other"]]))
    def end(self, data, goodbye, threads):
        worker = self.some(data, RETIRING, ABANDONED)
        worker.report.daemon_threads = threads
        self.world.ended(worker, goodbye)

    @precondition(lambda self: self.world.deadlines)
    @rule(data=st.data())
    def miss_its_deadline(self, data):
        self.world.late(data.draw(st.sampled_from(list(self.world.deadlines))))

    @precondition(lambda self: self.roster.all_ready and not self.roster.closing and self.roster.numbers)
    @rule(data=st.data())
    def replace(self, data):
        self.world.replace(data.draw(st.sampled_from(self.roster.numbers)))

    @precondition(lambda self: (self.roster.all_ready or self.patient) and not self.roster.closing)
    @rule()
    def replace_all(self):
        numbers = self.roster.numbers
        for number in numbers:
            self.world.replace(number, numbers)

    @precondition(lambda self: self.roster.all_ready and not self.roster.closing)
    @rule(wanted=st.integers(1, 5))
    def scale(self, wanted):
        self.world.scale(wanted)

    @precondition(lambda self: self.world.restarts)
    @rule(data=st.data(), made=st.booleans())
    def restart(self, data, made):
        number = data.draw(st.sampled_from(sorted(self.world.restarts)))
        if made:
            self.world.restart(number)
        else:
            del self.world.restarts[number]
            self.world.do(self.roster.not_restarted(number, "too many open files"))

    @precondition(lambda self: not self.roster.closing and len(self.world.started) > 4)
    @rule()
    def close(self):
        self.world.close()

    @invariant()
    def those_that_are_ready_serve(self):
        ready = {worker for worker in self.world.started if worker.state is READY}
        if not self.roster.closing:
            assert set(self.roster.serving) == ready
        assert all(self.roster.is_current(worker) for worker in ready)

    @invariant()
    def no_place_is_forgotten(self):
        """A worker serves there, is starting, or will be started; or it is known why there is none."""
        if self.roster.closing or self.world.gave_up:
            return
        assert self.roster.missing == []
        coming = {worker.number for worker in self.roster.successors} | set(self.world.restarts)
        for worker in self.roster.workers:
            there = worker.state in (STARTING, READY)
            ending = worker.state is FAILED and not worker.thread.ended.up  # its end is what matters
            shown = self.patient and bool(self.world.told or self.world.shown)
            assert there or ending or shown or worker.number in coming, f"{worker} is {worker.state.name}"

    @invariant()
    def who_waits_is_told(self):
        successors = {worker.number for worker in self.roster.successors}
        assert self.world.settling == (set() if self.roster.closing else successors)
        if self.roster.closing:
            assert self.world.arriving == set()

    @invariant()
    def nobody_waits_for_one_that_has_come_or_gone(self):
        by_number = {worker.number: worker for worker in self.roster.workers}
        for number in self.world.arriving:
            assert by_number[number].state is STARTING or not by_number[number].thread.ended.up

    @invariant()
    def those_that_retire_have_a_deadline(self):
        if not self.roster.closing:
            assert set(self.roster.retiring) <= set(self.world.deadlines)

    @invariant()
    def what_stays_open_is_counted(self):
        assert self.roster.remains.hanging == len(self.world.hanging)
        assert self.roster.remains.left_open == len(self.world.hanging) + self.world.open

    @invariant()
    def it_is_given_up_once(self):
        assert len(self.world.gave_up) <= 1
        assert not (self.world.gave_up and self.patient)


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)

"""snakepit.worker.hangs.wsgi_threads and threads: an exception is raised in the app's code, and never anywhere else."""

import threading
import time
import types

import pytest
from waiting import PATIENCE, wait_until

from snakepit.errors import Interrupted, RequestTimeout, WorkerStopping
from snakepit.stacks import thread_frames
from snakepit.worker.hangs import threads
from snakepit.worker.hangs.contract import NOTHING
from snakepit.worker.hangs.wsgi_threads import RunningThreads


def call_app(app):
    app()


SEATS = [call_app.__code__]


class Runner:
    """A thread that serves one exchange as a seat does."""

    def __init__(self, seats, app, number=1):
        self.began = threading.Event()
        self.error = None
        self._args = seats, app, number
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self.began.wait(PATIENCE)

    def _run(self):
        seats, app, number = self._args
        try:
            try:
                seats.enter(number)
                self.began.set()
                call_app(app)
            finally:
                seats.leave(number)
        except BaseException as error:
            seats.leave(number)
            self.error = error

    def end(self):
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        return type(self.error) if self.error else None


def burn():
    while True:
        pass


def test_what_runs_is_ended_and_told():
    seats = RunningThreads(SEATS)
    runner = Runner(seats, burn)
    where, aside = wait_until(lambda: seats.end_exchange(1, RequestTimeout))
    assert not aside
    assert where.splitlines()[-1].strip() == "pass" or "while True" in where
    assert "in burn" in where
    assert runner.end() is RequestTimeout
    assert str(runner.error) == "no response within --timeout-request"
    assert seats.end_exchange(1, RequestTimeout) == NOTHING


def test_another_exchange_is_left_alone():
    seats = RunningThreads(SEATS)
    gate = threading.Event()
    runner = Runner(seats, lambda: gate.wait(PATIENCE), number=2)
    assert seats.end_exchange(1, RequestTimeout) == NOTHING
    gate.set()
    assert runner.end() is None


def test_code_of_ours_that_the_app_called_is_left_alone():
    """Whatever it does, it may be at a channel; and what it waits for is told by that."""
    seats = RunningThreads(SEATS)
    at_it, gate = threading.Event(), threading.Event()

    def ours():
        at_it.set()
        gate.wait(PATIENCE)

    ours.__code__ = ours.__code__.replace(co_filename=threads.__file__)
    runner = Runner(seats, ours)
    assert at_it.wait(PATIENCE)
    assert seats.end_exchange(1, RequestTimeout) is None
    seats.end_all(WorkerStopping, True)
    gate.set()
    assert runner.end() is None


def test_raised_once_unless_it_has_to_be():
    seats = RunningThreads(SEATS)
    caught = []

    def stubborn():
        while len(caught) < 2:
            try:
                burn()
            except Interrupted as error:
                caught.append(type(error))

    runner = Runner(seats, stubborn)
    wait_until(lambda: seats.end_exchange(1, RequestTimeout))
    wait_until(lambda: caught)
    assert seats.end_exchange(1, RequestTimeout) == NOTHING
    seats.end_all(WorkerStopping, False)
    assert caught == [RequestTimeout]

    def again():
        seats.end_all(WorkerStopping, True)
        return len(caught) == 2

    wait_until(again)
    assert runner.end() in (None, WorkerStopping)
    assert caught == [RequestTimeout, WorkerStopping]


def test_what_comes_when_the_app_is_through_is_never_raised():
    """Many short calls, and a thread that raises all the time: only the targeted calls are ever ended."""
    seats = RunningThreads(SEATS)
    over, ended, wrong = threading.Event(), [], []
    numbers = iter(range(1, 1 << 30))
    current = [0]

    def short():
        for _ in range(300):
            pass

    def serve():
        try:
            while not over.is_set():
                number = current[0] = next(numbers)
                try:
                    try:
                        seats.enter(number)
                        call_app(short)
                    finally:
                        seats.leave(number)
                except Interrupted:
                    seats.leave(number)
                    ended.append(number)
                sum(range(100))  # where nothing must come
        except BaseException as error:
            wrong.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    tried = set()
    end = time.monotonic() + PATIENCE
    while len(ended) < 50 and thread.is_alive() and time.monotonic() < end:
        number = current[0]
        tried.add(number)
        seats.end_exchange(number, RequestTimeout)
    over.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert wrong == []
    assert len(ended) >= 50
    assert set(ended) <= tried
    assert seats._running == {}
    assert seats._raised == set()


# -- threads -----------------------------------------------------------------------------------------------------------


def test_frames_are_those_of_this_interpreters_threads():
    gate = threading.Event()
    waiting = [threading.Thread(target=gate.wait, args=(PATIENCE,)) for _ in range(3)]
    for thread in waiting:
        thread.start()
    try:
        wait_until(lambda: {thread.ident for thread in waiting} <= {ident for ident, _ in thread_frames.frames()})
        for ident, frame in thread_frames.frames():
            if ident == waiting[0].ident:
                assert "wait" in [summary.name for summary in thread_frames.stack(frame)]
    finally:
        gate.set()
        for thread in waiting:
            thread.join()
    assert thread_frames.frame_of(waiting[0].ident) is None


def test_a_function_that_returns_while_it_is_looked_at_is_of_no_thread():
    class Returning:
        f_code = burn.__code__
        callers = iter([types.SimpleNamespace(f_code=burn.__code__, f_back=None), None])

        @property
        def f_back(self):
            return next(self.callers)

    assert thread_frames._ident(Returning()) is None


def test_a_thread_that_is_not_there_gets_nothing():
    """All that is to be seen is that it does not raise: the thread may have ended just now."""
    threads.raise_in(2**31 - 1, RequestTimeout)
    threads.clear(2**31 - 1)


def test_what_is_taken_back_is_not_raised():
    ready, seen = threading.Event(), []

    def target():
        ready.set()
        lock.acquire()  # in C code: the exception waits, and is taken back meanwhile
        seen.append("went on")

    lock = threading.Lock()
    lock.acquire()
    thread = threading.Thread(target=target)
    thread.start()
    assert ready.wait(PATIENCE)
    threads.raise_in(thread.ident, RequestTimeout)
    threads.clear(thread.ident)
    lock.release()
    thread.join(PATIENCE)
    assert seen == ["went on"]


@pytest.mark.parametrize("error", [RequestTimeout, WorkerStopping])
def test_an_app_that_catches_exceptions_does_not_catch_this(error):
    assert not issubclass(error, Exception)
    assert str(error())

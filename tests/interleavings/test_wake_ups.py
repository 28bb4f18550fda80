"""No wake-up between the main interpreter and a worker is lost, and no envelope, in any order of threads.

Each scenario is run with every possible single interruption, and random ones with many.
"""

import itertools
import os
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from machine import At, Machine, Noting, Often, never
from model import WATCHED, Model, QueueChannel, Request, SocketChannel

from snakepit.server.dispatch.wake_ups import ASK_AGAIN
from snakepit.wire import envelopes
from snakepit.wire.ends import BlockingEnd
from snakepit.wire.envelopes import REQUEST, position
from snakepit.wire.loop_ends import LoopEnd
from snakepit.wire.queues import QueueCarrier
from snakepit.worker.asgi.loop import AsgiWorker

CHANNELS = {"queues": QueueChannel, "socket": SocketChannel}

EVERY = int(os.environ.get("SNAKEPIT_TEST_INTERRUPTIONS", "7"))
"""Of so many points one is tried; `make liveness` tries all of them."""

SCENARIOS = {
    # the loop is stuck after 4 ms, and asked to speak 20 ms after that: just when it sends its answers
    "spoken for as the turn ends": [Request(0, "compute/12"), Request(0, "compute/12"), Request(30, "compute/0")],
    "long, and others wait": [Request(0, "compute/30"), Request(1, "compute/0"), Request(1, "compute/0")],
    "long after a sleep": [Request(0, "later/25"), Request(0, "compute/0"), Request(2, "compute/0")],
    "at work behind their responses": [Request(0, "behind/25"), Request(0, "compute/3"), Request(2, "behind/3")],
    "streams": [Request(0, "stream/8"), Request(0, "compute/3"), Request(4, "compute/0")],
    "bodies": [Request(0, "compute/25"), Request(0, "read"), Request(3, "read")],
    "clients that leave": [
        Request(0, "compute/25", leaves=5),
        Request(0, "compute/5", leaves=10),
        Request(1, "read", leaves=2),
    ],
}

OF_THREADS = {
    "reads and writes at once": [Request(0, "both"), Request(3, "compute/1")],
    "reads on": [Request(0, "on"), Request(1, "compute/1"), Request(4, "compute/1")],
    # the thread is late after 4 ms, just when it comes to keep its answer; and nobody else is
    "keeps its own answer": [Request(0, "closes/4")],
    "keep their own answers": [Request(0, "closes/4"), Request(0, "compute/0"), Request(5, "closes/0")],
    "keeps the answer of another": [Request(0, "compute/0"), Request(0, "waits/0"), Request(0, "closes/4")],
    "keeps and streams": [Request(0, "compute/0"), Request(0, "stream/4"), Request(1, "waits/0")],
}

REQUESTS = st.builds(
    Request,
    st.integers(0, 40),
    st.one_of(
        st.just("read"),
        st.builds(
            "{}/{}".format, st.sampled_from(["behind", "compute", "later", "sleep", "stream"]), st.integers(0, 30)
        ),
    ),
    st.one_of(st.none(), st.integers(0, 50)),
)


def play(policy, requests, channel="queues", logged=(), **options):
    """Run the model, with exactly these lines in the log."""
    machine = Machine(policy, {*WATCHED, __file__})
    with pytest.MonkeyPatch.context() as monkeypatch:
        model = Model(machine, monkeypatch, CHANNELS[channel], **options)
        try:
            model.start(requests)
            machine.run()
            model.check(requests, logged)
        finally:
            machine.close()
            model.close()
    return model


def play_with_every_interruption(requests, channel, every=EVERY, **options):
    noting = Noting()
    play(noting, requests, channel, **options)
    for point, others in list(noting.others.items())[::every]:
        for which in range(1, others + 1):
            try:
                play(At({point: which}), requests, channel, **options)
            except Exception as error:
                error.add_note(f"with interruption {which} of {others} at point {point} of {len(noting.others)}")
                raise


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_of_a_loop_with_every_interruption(name, channel):
    play_with_every_interruption(SCENARIOS[name], channel)


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("name", ["long, and others wait", "streams", "bodies", "clients that leave", *OF_THREADS])
def test_of_threads_with_every_interruption(name, channel):
    play_with_every_interruption(SCENARIOS.get(name) or OF_THREADS[name], channel, seats=2)


@pytest.mark.parametrize("seats", [0, 2], ids=["loop", "threads"])
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    requests=st.lists(REQUESTS, min_size=1, max_size=8),
    channel=st.sampled_from(sorted(CHANNELS)),
    workers=st.integers(1, 2),
    seed=st.integers(0),
    rarely=st.sampled_from([3, 10, 30, 100]),
)
def test_with_many_interruptions(seats, requests, channel, workers, seed, rarely):
    play(Often(seed, rarely), requests, channel, seats=seats, workers=workers)


# -- the checks and the second line of defence are tested with faults
# ------------------------------------------------------


def decide_too_early(self):
    """A turn that decides whether to ring before it sends."""
    self._on_envelopes(self.take())
    sent = bool(self._outbox)
    self.flush()
    self._turned(sent)


def take_in_two_steps(self):
    """The watchdog's look at what the loop has taken, with hands on what it does not want."""
    said, rest = self.end.take_answers(), []
    while self._taken:
        try:
            envelope = self._taken.popleft()
        except IndexError:
            break
        if envelope[0] == REQUEST and not envelope[position(REQUEST, "more")]:
            said.append(envelopes.declined(envelope[1], envelope))
        else:
            rest.append(envelope)
    if rest:
        self.loop.call_soon_threadsafe(self._take, rest)
    return said


def keep_by_an_earlier_look(self, envelope):
    """A thread that looks whether it may keep something, and keeps it when it may not any more."""
    if envelope[1] <= self.released:
        return False
    with self._sending:
        self._outbox.append(envelope)
    return True


def release_what_there_is(self, upto):
    """A release that says nothing of what is kept later."""
    with self._sending:
        self.flush_all()


@pytest.mark.parametrize(
    ("where", "name", "faulty"),
    [(BlockingEnd, "keep", keep_by_an_earlier_look), (BlockingEnd, "release", release_what_there_is)],
)
def test_faults_of_those_who_keep_answers_are_found(monkeypatch, where, name, faulty):
    monkeypatch.setattr(where, name, faulty)
    with pytest.raises(AssertionError, match="is not over"):
        play_with_every_interruption(OF_THREADS["keeps its own answer"], "queues", every=1, seats=2)


@pytest.mark.parametrize(
    ("where", "name", "faulty", "scenario"),
    [
        (LoopEnd, "woken", decide_too_early, "spoken for as the turn ends"),
        (AsgiWorker, "held_up", take_in_two_steps, "bodies"),
    ],
)
def test_faults_are_found(monkeypatch, where, name, faulty, scenario):
    monkeypatch.setattr(where, name, faulty)
    with pytest.raises(AssertionError, match=r"is not over|status=503|stuck"):
        play_with_every_interruption(SCENARIOS[scenario], "queues", every=1)


def test_a_wake_up_that_is_lost_costs_milliseconds_and_is_told(monkeypatch):
    ring, rings = QueueCarrier.ring, itertools.count(1)

    def lose_some(self):
        if not threading.current_thread().name.startswith("worker") or next(rings) % 5:
            ring(self)

    monkeypatch.setattr(QueueCarrier, "ring", lose_some)
    requests = [Request(at, "compute/30") for at in range(0, 300, 7)]
    told = "has rung [0-9]+ ms ago and was not heard"
    model = play(never, requests, logged=[told], asks_again=True)
    assert model.pool.queue.wake_ups.lost
    computing = sum(30 for _ in requests) / 1000
    took = max(client.answered_at for _, _, client in model.came) - 1000
    assert took < computing + model.pool.queue.wake_ups.lost * 2 * ASK_AGAIN

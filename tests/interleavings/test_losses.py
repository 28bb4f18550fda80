"""Workers that are lost at any step of an exchange, and rings that are lost: everything is answered, and counters
balance."""

import os
import threading

import pytest
from machine import Machine, never
from model import WATCHED, Model, QueueChannel, Request, SocketChannel

from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.workers.loop_line import LoopLine
from snakepit.server.workers.worker import WorkerHandle
from snakepit.wire.loop_ends import MainEnd
from snakepit.wire.queues import QueueCarrier

CHANNELS = {"queues": QueueChannel, "socket": SocketChannel}

EVERY = int(os.environ.get("SNAKEPIT_TEST_INTERRUPTIONS", "23"))
"""Of so many steps one is tried; `make liveness` tries all of them."""

LATEST = 4000.0
"""Seconds after which a run has come to rest: the limit of the waiting line is an hour."""

LOST = r"Worker 1 ended unexpectedly|Worker 1 .*it died"

SCENARIOS = {
    "short ones": [Request(0, "compute/0"), Request(0, "compute/3"), Request(1, "compute/0"), Request(4, "compute/0")],
    "streams": [Request(0, "stream/4"), Request(0, "stream/4"), Request(2, "compute/0")],
    "bodies": [Request(0, "read"), Request(0, "read"), Request(1, "compute/5"), Request(2, "read")],
    "long, and others wait": [
        Request(0, "compute/30"),
        Request(0, "compute/20"),
        Request(1, "compute/0"),
        Request(2, "compute/0"),
    ],
    "clients that leave": [
        Request(0, "compute/10", leaves=5),
        Request(0, "read", leaves=1),
        Request(1, "stream/3", leaves=4),
    ],
}


def play(channel, requests, seats, at_step=lambda model, step: None, loses=0, logged=None):
    """Run the model without interruptions, where something befalls it at one of its steps, or a ring is lost.

    Args:
        loses: the number of the ring that is; 0: none. Then the health check asks, too.

    Returns the model, and the names of the threads that rang.
    """
    machine = Machine(never, {*WATCHED, __file__})
    machine.latest = machine.now + LATEST
    rung = []

    def ring(self):
        if machine.begun:
            rung.append(threading.current_thread().name)
        if not loses or len(rung) != loses:
            RING(self)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(QueueCarrier, "ring", ring)
        model = Model(machine, monkeypatch, CHANNELS[channel], workers=2, seats=seats, asks_again=bool(loses))
        model.asks_heartbeats = bool(loses)
        machine.at_step = lambda step: at_step(model, step)
        try:
            model.start(requests)
            machine.run()
            model.check(requests, [LOST] * len(model.lost) if logged is None else logged(model))
        finally:
            machine.close()
            model.close()
    return model, rung


def lose_at_each_step(channel, requests, seats, every=EVERY):
    """Lose a worker at each step, in one run each; returns how many requests each has cost."""
    steps = play(channel, requests, seats)[0].machine.steps
    failed = []
    for dies_at in range(1, steps, every):

        def at_step(model, step, dies_at=dies_at):
            if step == dies_at:
                model.lose(model.workers[0])

        try:
            model, _ = play(channel, requests, seats, at_step)
        except Exception as error:
            error.add_note(f"lost at step {dies_at} of {steps}")
            raise
        failed.append(sum(client.status == 500 for _, _, client in model.came))
    return failed


def lose_each_ring(requests, seats, seconds):
    """Lose each ring, in one run each, in which all must be answered within so many seconds."""
    _, rung = play("queues", requests, seats, loses=len(requests) * 1000)  # which never comes
    for loses, whose in enumerate(rung, start=1):
        try:
            model, _ = play("queues", requests, seats, loses=loses, logged=told)
            took = max(client.answered_at for _, _, client in model.came) - 1000
            assert took < seconds, f"it took {took} s"
        except Exception as error:
            error.add_note(f"ring {loses}, which {whose} rang")
            raise


@pytest.mark.parametrize("seats", [0, 2], ids=["loop", "threads"])
@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_worker_that_is_lost_at_any_step(name, channel, seats):
    requests = SCENARIOS[name]
    failed = lose_at_each_step(channel, requests, seats)
    assert 0 < max(failed) < len(requests)  # others get what it had not begun


RING = QueueCarrier.ring
TOLD = "has rung [0-9]+ ms ago and was not heard"
SOON, LATER = 0.5, 2.0
"""Seconds in which all is answered, in spite of a lost ring: of a loop, which is asked when it is silent; of a thread,
for which only the health check looks, which the model does once a second."""


def told(model):
    """The log's lines: that a ring was lost, where it can be proven."""
    return [TOLD] if model.pool.queue.wake_ups.lost else []


@pytest.mark.parametrize("seats", [0, 2], ids=["loop", "threads"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_any_ring_that_is_lost(name, seats):
    lose_each_ring(SCENARIOS[name], seats, LATER)


def test_a_ring_before_whole_answers_is_missed_at_once():
    lose_each_ring(SCENARIOS["short ones"], 0, SOON)


# -- the checks are tested with faults ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "name", "faulty", "found"),
    [
        (WorkerHandle, "never_begun", lambda self: {}, "status=500"),
        (WorkerHandle, "give_up_exchanges", lambda self: {}, "is not over"),
        (Exchange, "lost", lambda self, status: None, "is not over"),
    ],
)
def test_faults_with_lost_workers_are_found(monkeypatch, where, name, faulty, found):
    monkeypatch.setattr(where, name, faulty)
    with pytest.raises(AssertionError, match=found):
        lose_at_each_step("queues", SCENARIOS["long, and others wait"], 0, every=10)


@pytest.mark.parametrize(
    ("where", "name", "seats", "seconds"), [(LoopLine, "_look_for_unread", 0, SOON), (MainEnd, "look_again", 2, LATER)]
)
def test_faults_with_lost_rings_are_found(monkeypatch, where, name, seats, seconds):
    monkeypatch.setattr(where, name, lambda self: None)
    with pytest.raises(AssertionError, match=r"is not over|go on for ever|it took"):
        lose_each_ring(SCENARIOS["short ones"], seats, seconds)

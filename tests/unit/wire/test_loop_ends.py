"""snakepit.wire.loop_ends: what an end believes of the other after a turn. With real interpreters:
tests/interpreters/test_channel.py; with every interruption: tests/interleavings."""

import logging

import pytest
from fakes import fake_of
from playing import TimerLoop

from snakepit.errors import RequestTimeout
from snakepit.http.fields import NONE
from snakepit.wire import envelopes
from snakepit.wire.codec import decode, encode
from snakepit.wire.loop_ends import MainEnd, WorkerLoopEnd
from snakepit.wire.loop_queues import LoopQueueCarrier

PING = envelopes.ask_heartbeat()
ANSWER = envelopes.answer(1, 200, NONE, b"")


@fake_of(LoopQueueCarrier)
class Carrier:
    """Counts, and does what the test says when something is taken."""

    def __init__(self, came=()):
        self.came = list(came)
        self.sent = []
        self.waits = 0  # items that the other end has not taken
        self.rings = 0
        self.silent = []
        self.on_take = lambda: None

    def waiting(self):
        return self.waits

    def arrived(self):
        return len(self.came)

    def take(self):
        self.on_take()
        return encode([self.came.pop(0)])

    def send(self, item):
        self.sent.append(item)
        self.waits += 1

    def ring(self):
        self.rings += 1

    def turned(self, silent):
        self.silent.append(silent)


def test_an_item_is_not_waited_for_whose_answer_came_in_the_same_turn():
    carrier = Carrier([ANSWER])
    end = MainEnd(carrier, TimerLoop(), lambda came: None)
    end.post(PING)
    end.flush()
    assert end.unheard

    def take():
        carrier.waits = 0  # the worker took it after this end was rung, and its answer is what is taken here

    carrier.on_take = take
    end.woken()
    assert not end.unheard


def test_an_item_is_waited_for_that_still_waits():
    carrier = Carrier([ANSWER])
    end = MainEnd(carrier, TimerLoop(), lambda came: None)
    end.post(PING)
    end.flush()
    end.woken()
    assert end.unheard


def test_a_turn_rings_where_its_answers_were_taken_by_another_thread():
    carrier, loop = Carrier([PING]), TimerLoop()
    taken = []

    def answer(came):
        end.post(ANSWER)
        taken.extend(end.take_answers())

    end = WorkerLoopEnd(carrier, loop, answer)
    end.woken()
    assert (taken, carrier.sent, carrier.silent) == ([ANSWER], [], [True])


def test_a_turn_rings_where_nothing_could_be_sent():
    carrier = Carrier([PING])
    carrier.waits = 1000
    end = WorkerLoopEnd(carrier, TimerLoop(), lambda came: end.post(ANSWER))
    end.woken()
    assert (carrier.sent, carrier.silent) == ([], [True])


def test_a_turn_does_not_ring_twice():
    carrier = Carrier([PING])
    end = WorkerLoopEnd(carrier, TimerLoop(), lambda came: end.post(ANSWER))
    end.woken()
    assert (len(carrier.sent), carrier.silent) == (1, [False])


@pytest.mark.parametrize("error", [RequestTimeout, ZeroDivisionError])
def test_a_turn_ends_with_what_was_to_be_said_whatever_is_raised_in_it(error, caplog):
    def answer(came):
        end.post(ANSWER)
        raise error

    carrier = Carrier([PING])
    end = WorkerLoopEnd(carrier, TimerLoop(), answer)
    with caplog.at_level(logging.ERROR):
        end.woken()
    assert (len(carrier.sent), carrier.silent) == (1, [False])
    assert ("ZeroDivisionError" in caplog.text) == (error is ZeroDivisionError)


def test_a_turn_leaves_nothing_to_do_for_another():
    carrier, loop = Carrier([PING]), TimerLoop()
    end = WorkerLoopEnd(carrier, loop, lambda came: end.post(ANSWER))
    end.woken()
    assert loop.soon == []
    end.post(ANSWER)
    assert loop.soon == [end.flush]


@pytest.mark.parametrize("when", ["waiting", "turned"])
def test_an_end_of_a_turn_that_was_interrupted_is_made_up_for(when, monkeypatch):
    """By what was meant for the app's code; nothing is held back, and the ring comes."""
    carrier, loop = Carrier([PING]), TimerLoop()
    end = WorkerLoopEnd(carrier, loop, lambda came: end.post(ANSWER))

    def interrupt(*_):
        monkeypatch.undo()
        raise RequestTimeout

    monkeypatch.setattr(carrier, when, interrupt)
    end.woken()
    while loop.soon:
        loop.soon.pop(0)()
    assert len(carrier.sent) == 1
    assert len(carrier.silent) == 1
    end.post(ANSWER)
    assert loop.soon == [end.flush]


def turns(loop):
    """Run what is scheduled, turn after turn; returns how many calls there were in each."""
    counts = []
    while loop.soon:
        calls = loop.soon[:]
        loop.soon.clear()
        for call in calls:
            call()
        counts.append(len(calls))
    return counts


def test_what_is_called_at_the_end_of_a_turn_is_sent_with_it():
    """And all of it by one call of the loop's."""
    carrier, loop = Carrier(), TimerLoop()
    end = WorkerLoopEnd(carrier, loop, lambda came: None)
    first, second, third = (envelopes.answer(number, 200, NONE, b"") for number in (1, 2, 3))
    end.call_at_end_of_turn(lambda: end.post(first))
    end.call_at_end_of_turn(lambda: end.post(second))
    end.post(third)
    assert turns(loop) == [1]
    assert [decode(item) for item in carrier.sent] == [[third, first, second]]
    end.post(first)
    assert turns(loop) == [1]


def test_what_was_posted_first_leaves_before_what_is_called_at_the_end_of_the_turn():
    carrier, loop = Carrier(), TimerLoop()
    end = WorkerLoopEnd(carrier, loop, lambda came: None)
    end.post(ANSWER)
    end.call_at_end_of_turn(lambda: end.post(PING))
    turns(loop)
    assert [envelope for item in carrier.sent for envelope in decode(item)] == [ANSWER, PING]


def test_what_is_called_at_the_end_of_a_turn_may_wait_for_another():
    carrier, loop = Carrier(), TimerLoop()
    end = WorkerLoopEnd(carrier, loop, lambda came: None)
    left = [1, 2, 3]

    def look():
        end.post(envelopes.credit(left.pop(0), 1))
        if left:
            end.call_at_end_of_turn(look)

    end.call_at_end_of_turn(look)
    assert turns(loop) == [1, 1, 1]
    assert [decode(item) for item in carrier.sent] == [[envelopes.credit(number, 1)] for number in (1, 2, 3)]


def test_a_turn_in_which_the_end_was_rung_has_an_end_of_its_own():
    """What it has to say leaves with it; what was to be called at the end of the loop's turn is called there."""
    carrier, loop = Carrier([PING]), TimerLoop()

    def answer(came):
        end.post(ANSWER)
        end.call_at_end_of_turn(lambda: end.post(PING))

    end = WorkerLoopEnd(carrier, loop, answer)
    end.woken()
    assert [decode(item) for item in carrier.sent] == [[ANSWER]]
    assert turns(loop) == [1]
    assert [decode(item) for item in carrier.sent[1:]] == [[PING]]


def test_an_interruption_at_the_end_of_a_turn_takes_nothing_else_along():
    carrier, loop = Carrier(), TimerLoop()
    end = WorkerLoopEnd(carrier, loop, lambda came: None)

    def interrupt():
        raise RequestTimeout

    end.call_at_end_of_turn(interrupt)
    end.call_at_end_of_turn(lambda: end.post(PING))
    end.post(ANSWER)
    with pytest.raises(RequestTimeout):
        loop.soon.pop(0)()
    assert turns(loop) == [1]
    assert [decode(item) for item in carrier.sent] == [[ANSWER], [PING]]


def test_an_end_of_a_turn_that_never_began_is_made_up_for():
    """An interruption may come before its first line; then the next ring but one finds that it is still due."""
    carrier, loop = Carrier([PING]), TimerLoop()
    end = WorkerLoopEnd(carrier, loop, lambda came: None)
    end.call_at_end_of_turn(lambda: end.post(ANSWER))
    loop.soon.clear()
    end.woken()
    assert loop.soon == [], "it may have come to be due just now"
    end.woken()
    assert turns(loop) == [1]
    assert [decode(item) for item in carrier.sent] == [[ANSWER]]
    end.woken()
    assert loop.soon == []


def test_answers_leave_with_all_that_was_said_of_their_exchanges():
    end = WorkerLoopEnd(Carrier(), TimerLoop(), lambda came: None)
    of_one = [envelopes.continue_(1), envelopes.credit(1, 100), ANSWER]
    others = [envelopes.cpu_per_request(0.1), envelopes.credit(2, 100), envelopes.response(3, 200, NONE, b"", True)]
    for pair in zip(others, of_one, strict=True):
        for envelope in pair:
            end.post(envelope)
    assert end.take_answers() == of_one
    end.flush_all()
    assert [decode(item) for item in end.carrier.sent] == [others]


@pytest.mark.parametrize(("waits", "rings", "sends"), [(0, 0, 1), (1, 1, 0)])
def test_asking_sends_only_where_nothing_waits(waits, rings, sends):
    carrier, loop = Carrier(), TimerLoop()
    carrier.waits = waits
    end = MainEnd(carrier, loop, lambda came: None)
    end.ask(PING)
    for call in loop.soon:
        call()
    assert (carrier.rings, len(carrier.sent)) == (rings, sends)


class Bursts(Carrier):
    """Each item holds as many envelopes as a turn of a loop that streams to a thousand clients has to say."""

    def take(self):
        return encode([self.came.pop(0)] * 1000)


def test_a_turn_leaves_sockets_their_time_though_more_has_come():
    carrier, loop, came = Bursts([ANSWER] * 3), TimerLoop(), []
    end = MainEnd(carrier, loop, came.append)
    end.woken()
    assert [len(envelopes) for envelopes in came] == [1000]
    for _ in range(5):  # as long as it has something to do in the next iteration
        for call in loop.soon[:]:
            loop.soon.remove(call)
            call()
    assert [len(envelopes) for envelopes in came] == [1000] * 3
    assert not carrier.came
    assert loop.soon == []

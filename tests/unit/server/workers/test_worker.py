"""snakepit.server.workers.worker: real channels, and at their other end a test that plays the worker, instead of an
interpreter. What an interpreter adds is in tests/interpreters/test_pool.py."""

import asyncio
import marshal
import os
import threading
from time import monotonic

import pytest
from clients import FakeClient
from fakes import fake_of
from sinks import FakeEnd
from waiting import PATIENCE, until, wait_until

from snakepit.errors import InternalError
from snakepit.http.events import RequestHead
from snakepit.http.fields import NONE
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.lifecycle import ExchangeState, WorkerState
from snakepit.server.workers import loop_line, runtimes
from snakepit.server.workers.runtime_thread import RuntimeThread
from snakepit.server.workers.seats import FOLLOWERS
from snakepit.server.workers.worker import ChannelLoad, Exchanges, Owner, WorkerHandle
from snakepit.wire import envelopes, interpreters
from snakepit.wire import loop_ends as async_channel
from snakepit.wire.codec import encode
from snakepit.wire.ends import attach_blocking
from snakepit.wire.envelopes import ALL, BODY, REQUEST, RETIRE, STOP
from snakepit.wire.interpreters import Interpreter


@fake_of(Exchanges)
class FakeQueue:
    """Keeps what a worker tells of its exchanges; that it was heard, which it is all the time, as a number."""

    def __init__(self):
        self.limited = self  # all are: it wants to hear of each
        self.times_heard = 0
        self.came_back = []
        self.paces = []
        self.rooms = []
        self.seconds_missed = []

    def __contains__(self, worker):
        return True

    def declined(self, worker, exchange):
        self.came_back.append(exchange)

    def heard(self, worker):
        assert not worker.line.stuck
        self.times_heard += 1

    def missed(self, worker, seconds):
        self.seconds_missed.append(seconds)

    def resize(self, worker):
        self.rooms.append(worker.room)

    def set_pace(self, seconds):
        self.paces.append(seconds)


@fake_of(Owner)
class FakeOwner:
    """Keeps what a worker tells its pool."""

    def __init__(self):
        self.told = []
        self.queue = FakeQueue()

    def worker_loaded(self, worker):
        self.told.append(("loaded", worker.state))

    def worker_ready(self, worker):
        self.told.append(("ready", worker.state))

    def worker_failed(self, worker):
        self.told.append(("failed", worker.state))

    def worker_free(self, worker, count):
        self.told += [("free", worker.state)] * count

    def worker_ended(self, worker):
        self.told.append(("ended", worker.state))

    @property
    def words(self):
        return [word for word, _ in self.told]


@fake_of(Interpreter)
class FakeInterpreter:
    """Runs a function of the test where the real one runs a worker."""

    id = 7

    def __init__(self, play):
        self.play = play
        self.settings = None
        self.daemons = threading.Event()  # set: they have ended
        self.closed = threading.Event()

    def prepare_main(self, namespace):
        self.settings = marshal.loads(namespace["settings"])

    def exec(self, code):
        assert not self.closed.is_set()
        if "wait_closable()" in code:
            assert self.daemons.wait(PATIENCE)
        else:
            self.play(self.settings)

    def close(self):
        assert not self.closed.is_set()
        self.closed.set()


def exchange_of(number, body=b"", more=False, expects_continue=False):
    head = RequestHead("GET", b"/", "1.1", [], expects_continue, body=body, more=more)
    return Exchange(number, FakeClient(), None, head)


def held_of(exchange):
    """What a worker gets that gets an exchange, as it is."""
    end = FakeEnd()
    exchange.assigned_to(end, "another")
    return end.posted


def sent(exchange):
    return exchange._client.sent


class Played:
    """A worker without a thread; the test plays its other side."""

    def __init__(self, seats):
        self.owner = FakeOwner()
        self.worker = WorkerHandle(
            3, {"module": "m"}, runtimes.InterpreterRuntime(seats), self.owner, asyncio.get_running_loop()
        )
        self.addresses = [channel.address for channel in self.worker.thread._runtime.channels]
        self.theirs = [attach_blocking(address) for address in self.addresses]

    async def open(self):
        for end in self.worker._listening:
            await end.open()

    async def says(self, *said, seat=0):
        """Have the worker's side send, and wait until it was heard."""
        self.theirs[seat].post(*said)
        await until(lambda: self.theirs[seat].backlog == 0)
        await asyncio.sleep(0)

    async def got(self, count, seat=0):
        """What the worker's side gets, `count` envelopes of it; it rings back, as a loop does when it turns."""
        end = self.theirs[seat]
        came = []
        while len(came) < count:
            await until(lambda: end.carrier.arrived())
            came += end.wait()
            await self.turns(seat)
        return came

    async def turns(self, seat=0):
        """The worker's loop turns: it rings, even if it has nothing to say."""
        heard = self.owner.queue.times_heard
        self.theirs[seat].carrier.ring()
        await until(lambda: self.owner.queue.times_heard > heard)

    def waits(self, seat=0):
        """Items in the worker's queue."""
        return self.theirs[seat].carrier.arrived()

    async def be_ready(self, interface="asgi"):
        await self.says(envelopes.loaded(interface, 0.5, [], [], []), envelopes.ready(0.25))

    async def close(self):
        for end in self.worker._listening:
            end.close()
        for end in self.theirs:
            end.close()
        await asyncio.sleep(0)


def play(scenario, seats=1):
    async def main():
        played = Played(seats)
        await played.open()
        try:
            await scenario(played, played.worker)
        finally:
            await played.close()

    asyncio.run(main())


# -- its life --------------------------------------------------------------------------------------------------------


def test_from_start_to_end():
    async def scenario(played, worker):
        assert (worker.state, str(worker), worker.report.interface) == (WorkerState.STARTING, "worker 3", "")
        await played.says(envelopes.loaded("asgi", 0.5, [], [], []))
        assert (worker.report.interface, worker.report.import_seconds) == ("asgi", 0.5)
        await played.says(envelopes.ready(0.25))
        assert (worker.state, worker.report.startup_seconds) == (WorkerState.READY, 0.25)
        worker.retire()
        assert worker.state is WorkerState.RETIRING
        assert await played.got(1) == [envelopes.retire()]
        assert not worker.report.said_goodbye
        await played.says(envelopes.goodbye([], []))
        assert worker.report.said_goodbye
        assert worker.state is WorkerState.RETIRING, "its interpreter is still to be closed"
        assert played.owner.told == [("loaded", WorkerState.STARTING), ("ready", WorkerState.READY)]

    play(scenario)


@pytest.mark.parametrize("kind", ["import", "lifespan"])
def test_can_not_start(kind):
    async def scenario(played, worker):
        await played.says(envelopes.failed(kind, "Traceback"))
        assert (worker.state, worker.failure) == (WorkerState.FAILED, (kind, "Traceback"))
        assert played.owner.words == ["failed"]
        await played.says(envelopes.goodbye([], []))
        assert worker.state is WorkerState.FAILED

    play(scenario)


def test_lost_is_for_the_end_of_the_thread_to_tell():
    async def scenario(played, worker):
        await played.be_ready()
        await played.says(envelopes.failed("lost", "Traceback"), envelopes.goodbye([], []))
        assert (worker.state, worker.failure) == (WorkerState.READY, ("lost", "Traceback"))
        assert "failed" not in played.owner.words

    play(scenario)


def test_retired_before_it_was_ready():
    async def scenario(played, worker):
        worker.retire()
        await played.be_ready()
        assert worker.state is WorkerState.RETIRING
        assert "ready" not in played.owner.words
        await played.says(envelopes.goodbye([], []))
        assert worker.report.said_goodbye

    play(scenario)


def test_shut_down_that_failed_is_no_good_end():
    async def scenario(played, worker):
        await played.be_ready()
        worker.retire()
        await played.says(envelopes.failed("lifespan", "Traceback"), envelopes.goodbye([], []))
        assert worker.state is WorkerState.RETIRING
        assert worker.failure == ("lifespan", "Traceback")

    play(scenario)


def test_a_lifespan_that_fails_while_it_serves_is_logged_at_once(caplog):
    async def scenario(played, worker):
        await played.be_ready()
        await played.says(envelopes.lifespan_failed("the app's lifespan failed\nTraceback"))
        assert (worker.state, worker.failure) == (WorkerState.READY, ("", ""))
        (record,) = caplog.records
        assert record.levelname == "ERROR"
        assert record.getMessage().endswith(" serves on, though the app's lifespan failed\nTraceback")

    play(scenario)


def test_retire_twice_is_told_once():
    async def scenario(played, worker):
        await played.be_ready()
        worker.retire()
        worker.retire()
        worker.stop()
        assert await played.got(2) == [envelopes.retire(), envelopes.stop()]

    play(scenario)


@pytest.mark.parametrize("state", [WorkerState.FAILED, WorkerState.CLOSED])
def test_retire_of_one_that_ends_already(state):
    async def scenario(played, worker):
        if state is WorkerState.FAILED:
            await played.says(envelopes.failed("import", "Traceback"))
        else:
            worker.retire()
            assert await played.got(1) == [envelopes.retire()]
            await played.says(envelopes.goodbye([], []))
            worker.to(WorkerState.CLOSED)  # as the pool does when the thread has ended
        worker.retire()
        assert worker.state is state
        worker.stop()
        assert await played.got(1) == [envelopes.stop()], "and nothing else"

    play(scenario)


def test_every_seat_is_told():
    async def scenario(played, worker):
        await played.be_ready("wsgi")
        worker.retire()
        worker.stop()
        for seat in range(3):
            assert [kind for kind, _ in await played.got(2, seat)] == [RETIRE, STOP]

    play(scenario, seats=3)


@pytest.mark.parametrize("before", ["starting", "retiring", "failed", "goodbye"])
def test_abandon(before):
    """Whatever it was doing when the last deadline was over."""

    async def scenario(played, worker):
        if before == "failed":
            await played.says(envelopes.failed("import", "Traceback"))
        elif before != "starting":
            worker.retire()
        if before == "goodbye":  # closing the interpreter waits for the app's threads
            await played.says(envelopes.goodbye([], []))
        worker.abandon()
        assert worker.state is WorkerState.ABANDONED
        worker.let_go()

    play(scenario)


def test_of_an_abandoned_one_only_the_last_words_are_heard():
    async def scenario(played, worker):
        await played.be_ready()
        exchange = exchange_of(1)
        worker.assign(exchange)
        worker.retire()
        worker.exchanges.clear()  # answered in its stead
        worker.abandon()
        await played.says(
            envelopes.done(1, None), envelopes.failed("lost", "later"), envelopes.goodbye(["endless"], [])
        )
        assert worker.report.daemon_threads == ["endless"]
        assert worker.failure == ("", "")
        worker.let_go()

    play(scenario)


def test_pace():
    async def scenario(played, worker):
        await played.be_ready()
        await played.says(envelopes.cpu_per_request(0.5))
        await played.says(envelopes.cpu_per_request(0.25))
        assert played.owner.queue.paces == [0.5, 0.25]

    play(scenario)


def test_daemon_threads():
    async def scenario(played, worker):
        await played.be_ready()
        worker.retire()
        await played.says(envelopes.goodbye(["endless"], []))
        assert worker.report.daemon_threads == ["endless"]
        assert worker.report.said_goodbye

    play(scenario)


# -- exchanges -------------------------------------------------------------------------------------------------------


def test_exchange():
    async def scenario(played, worker):
        await played.be_ready()
        exchange = exchange_of(1, b"a", True)
        worker.assign(exchange)
        assert worker.exchanges == {1: exchange}
        assert exchange.served_by == "worker 3"
        exchange.add_body(b"b", False)
        assert [envelope[0] for envelope in await played.got(2)] == [REQUEST, BODY]
        await played.says(envelopes.response(1, 200, NONE, b"c", True), envelopes.body(1, b"d", False))
        assert sent(exchange) == [(200, b"c", True), (b"d", False)]
        assert "free" not in played.owner.words, "the app may still be at work"
        await played.says(envelopes.done(1, None))
        assert played.owner.words[-1] == "free"
        assert worker.exchanges == {}
        assert exchange.state is ExchangeState.CLOSED

    play(scenario)


def test_answer_ends_an_exchange():
    async def scenario(played, worker):
        await played.be_ready()
        exchange = exchange_of(1)
        worker.assign(exchange)
        await played.says(envelopes.answer(1, 201, NONE, b"a"))
        assert sent(exchange) == [(201, b"a", False)]
        assert exchange.state is ExchangeState.CLOSED
        assert worker.exchanges == {}
        assert played.owner.words[-1] == "free"

    play(scenario)


def test_credit_and_continue_reach_their_exchange():
    async def scenario(played, worker):
        await played.be_ready()
        waiting, full = exchange_of(1, b"", True, expects_continue=True), exchange_of(2, b"x" * 300_000, True)
        worker.assign(waiting)
        worker.assign(full)
        await played.says(envelopes.continue_(1), envelopes.credit(2, 200_000))
        assert waiting._client.continues == 1
        assert full._client.wanted == 1

    play(scenario)


def test_fault():
    async def scenario(played, worker):
        await played.be_ready()
        exchange = exchange_of(1)
        worker.assign(exchange)
        await played.says(envelopes.done(1, "Traceback"))
        assert sent(exchange) == ["Traceback", 500]

    play(scenario)


def test_seats_of_an_asgi_app_are_given_up():
    async def scenario(played, worker):
        assert worker.capacity == 4
        await played.be_ready("asgi")
        assert worker.capacity == 1
        for number in range(5):
            worker.assign(exchange_of(number + 1))
        assert len(await played.got(5)) == 5

    play(scenario, seats=4)


def test_each_exchange_of_a_wsgi_app_that_is_not_whole_has_a_seat():
    """More of its request comes, and nothing may wait among that."""

    async def scenario(played, worker):
        await played.be_ready("wsgi")
        assert worker.capacity == 2
        worker.assign(exchange_of(1, more=True))
        worker.assign(exchange_of(2, more=True))
        assert [envelope[1] for envelope in await played.got(1, 0)] == [1]
        assert [envelope[1] for envelope in await played.got(1, 1)] == [2]
        await played.says(envelopes.done(2, None), seat=1)
        assert await played.got(1, 1) == [envelopes.disconnect(2)], "a thread may still read the rest of its request"
        worker.assign(exchange_of(3))
        assert [envelope[1] for envelope in await played.got(1, 1)] == [3], "the seat that is free"

    play(scenario, seats=2)


def test_whole_exchange_of_a_wsgi_app_follows_another():
    async def scenario(played, worker):
        await played.be_ready("wsgi")
        for number in (1, 2, 3):
            worker.assign(exchange_of(number))
        await until(lambda: played.waits(0) == 3)
        for number in (1, 2, 3):  # an item of its own for each, and they are taken one by one
            assert [envelope[1] for envelope in played.theirs[0].wait()] == [number]
        for number in (1, 2, 3):
            await played.says(envelopes.answer(number, 200, NONE, b"a"))
        assert worker.exchanges == {}
        assert played.owner.words.count("free") == 3

    play(scenario, seats=2)


def test_the_seat_that_was_used_last_comes_first():
    """Its thread's caches are warm, and the others are left asleep."""

    async def scenario(played, worker):
        await played.be_ready("wsgi")
        for number in range(1, 4):
            worker.assign(exchange_of(number))
            assert [envelope[1] for envelope in await played.got(1, 0)] == [number]
            await played.says(envelopes.done(number, None))

    play(scenario, seats=3)


# -- what comes back -------------------------------------------------------------------------------------------------


# -- what hangs -------------------------------------------------------------------------------------------------------

WATCHDOG = -1


def test_a_worker_is_silent_until_its_watchdog_and_its_loop_have_answered():
    async def scenario(played, worker):
        await played.be_ready()
        assert worker.silent_for(100.0) == 0.0
        worker.ask_heartbeat(100.0)
        worker.ask_heartbeat(101.0)
        await until(lambda: played.waits(WATCHDOG) and played.waits())
        assert worker.silent_for(103.0) == 3.0
        assert played.theirs[WATCHDOG].wait() == [envelopes.ask_heartbeat()], "asked once"
        await played.says(envelopes.heartbeat(0.0, 0.0), seat=WATCHDOG)
        assert worker.silent_for(103.0) == 3.0
        assert await played.got(1) == [envelopes.ask_heartbeat()]
        assert worker.silent_for(103.0) == 0.0
        worker.ask_heartbeat(110.0)
        await played.got(1)
        assert worker.silent_for(111.0) == 1.0

    play(scenario)


def test_a_worker_has_reacted_when_its_watchdog_and_its_loop_were_heard():
    async def scenario(played, worker):
        await played.be_ready()
        began = monotonic()
        assert not worker.has_reacted(began)
        await played.says(envelopes.heartbeat(0.0, 0.0), seat=WATCHDOG)
        assert not worker.has_reacted(began), "its loop may hang"
        await played.says(envelopes.heartbeat(0.0, 0.0))
        await until(lambda: worker.has_reacted(began))
        assert not worker.has_reacted(monotonic() + 1.0)

    play(scenario)


def test_a_watchdogs_ring_does_not_mean_that_the_loop_turns():
    async def scenario(played, worker):
        await played.be_ready()
        worker.line.stuck = worker.line.counted_on = True
        await played.says(envelopes.heartbeat(0.0, 0.0), seat=WATCHDOG)
        await until(lambda: not played.theirs[WATCHDOG].backlog)
        assert worker.line.stuck

    play(scenario)


@pytest.mark.parametrize(
    ("rang", "missed"),
    [((0.0, 0.0), 0), ((19.0, 30.0), 0), ((30.0, 31.0), 1), ((30.0, 51.0), 0), ((51.0, 52.0), 0)],
    ids=["the watchdog's", "may have been heard", "was not heard", "may be heard yet", "came when it was asked"],
)
def test_a_ring_that_was_not_heard_is_told(rang, missed):
    async def scenario(played, worker):
        await played.be_ready()
        worker.line.stuck = worker.line.counted_on = True
        worker._ends[0].heard_at = 20.0
        worker.line.ask(50.0)
        await until(played.waits)
        assert played.theirs[0].wait() == [envelopes.ask_heartbeat()]
        await played.says(envelopes.heartbeat(*rang))
        assert len(played.owner.queue.seconds_missed) == missed
        assert not worker.line.stuck
        await played.says(envelopes.heartbeat(*rang))
        assert len(played.owner.queue.seconds_missed) == missed, "no heartbeat was asked for"

    play(scenario)


def test_what_a_loop_has_said_without_a_ring_is_read():
    async def scenario(played, worker):
        await played.be_ready()
        worker.line.stuck = worker.line.counted_on = True
        played.theirs[0].carrier._outgoing.put_nowait(encode([envelopes.cpu_per_request(1.0)]))
        worker.line.ask(monotonic())
        await until(lambda: played.owner.queue.paces)
        assert not worker.line.stuck
        await until(played.waits)
        assert played.theirs[0].wait() == [envelopes.ask_heartbeat()], "to be told whether it had rung"

    play(scenario)


def test_a_loop_is_not_asked_that_is_heard_meanwhile():
    async def scenario(played, worker):
        await played.be_ready()
        worker.line.ask(monotonic())
        played.theirs[0].carrier.ring()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not played.waits()

    play(scenario)


def test_a_loop_that_is_asked_again_is_rung_where_it_has_not_taken_the_question():
    async def scenario(played, worker):
        await played.be_ready()
        first, second = monotonic(), monotonic() + 1.0
        worker.line.ask(first)
        await until(played.waits)
        assert played.theirs[0].carrier._doorbell.recv(100)
        worker.line.ask(second)
        assert await asyncio.to_thread(played.theirs[0].carrier._doorbell.recv, 100) == b"\0"
        assert played.waits() == 1
        assert worker.silent_for(first + 11.0) == 11.0, "since it was asked first"

    play(scenario)


def test_only_the_watchdog_of_a_wsgi_app_is_asked():
    async def scenario(played, worker):
        await played.be_ready("wsgi")
        worker.ask_heartbeat(100.0)
        await until(lambda: played.waits(WATCHDOG))
        assert played.waits(0) == played.waits(1) == 0
        await played.says(envelopes.heartbeat(0.0, 0.0), seat=WATCHDOG)
        assert worker.silent_for(103.0) == 0.0

    play(scenario, seats=2)


def test_how_late_a_loop_is_is_asked_once_until_it_says_so():
    async def scenario(played, worker):
        await played.be_ready()
        worker.ask_metrics()
        worker.ask_metrics()
        await until(lambda: played.waits())
        assert worker.report.loop_lag is None
        assert await played.got(1) == [envelopes.ask_lag()]
        counts = [1] * 16
        await played.says(envelopes.lag(counts, 2.5))
        assert worker.report.loop_lag == (counts, 2.5)
        worker.ask_metrics()
        assert await played.got(1) == [envelopes.ask_lag()]

    play(scenario)


def test_threads_have_no_loop_that_is_late():
    async def scenario(played, worker):
        await played.be_ready("wsgi")
        worker.ask_metrics()
        await until(lambda: played.waits(WATCHDOG))
        assert played.waits(0) == played.waits(1) == 0

    play(scenario, seats=2)


def test_what_channels_hold():
    async def scenario(played, worker):
        await played.be_ready()
        assert worker.channel_load() == ChannelLoad(0, 0, 0, 0)
        worker.line.ask_lag()
        await until(lambda: played.waits())
        for data in (b"x" * 100, memoryview(b"y" * 50)):
            worker.line.end.post(envelopes.body(1, data, True))
        worker.line.end.post(envelopes.ask_heartbeat())
        assert worker.channel_load() == ChannelLoad(1, 0, 3, 150)
        worker.thread.closing.set()
        assert worker.channel_load() == ChannelLoad(0, 0, 0, 0)

    play(scenario)


def test_the_watchdog_hears_what_timed_out_and_says_what_it_did():
    async def scenario(played, worker):
        await played.be_ready()
        exchange = exchange_of(1)
        worker.assign(exchange)
        exchange.time_out("too late")
        worker.watchdog.end_exchange(exchange)
        await until(lambda: played.waits(WATCHDOG))
        assert played.theirs[WATCHDOG].wait() == [envelopes.timed_out(1)]
        await played.says(envelopes.done(1, None))
        await played.says(envelopes.interrupted(1, "a stack", True), seat=WATCHDOG)
        assert exchange.where == "a stack"
        assert sent(exchange) == [
            "too late; ending it",
            504,
            "Ending what runs for it in another thread, here:\na stack",
        ]

    play(scenario)


def test_the_watchdog_speaks_for_a_loop_that_is_stuck(clock):
    async def scenario(played, worker):
        await played.be_ready()
        answered, unbegun, at_work = exchange_of(1), exchange_of(2), exchange_of(3)
        for exchange in (answered, unbegun, at_work):
            worker.assign(exchange)
        worker.have_watchdog_release()
        await until(lambda: played.waits())
        assert not played.waits(WATCHDOG), "it is not stuck"
        end = played.theirs[0]
        requests = end.wait()
        clock.now += 1.1
        worker.take_back_late()
        assert worker.line.stuck
        worker.have_watchdog_release()
        await until(lambda: played.waits(WATCHDOG))
        assert played.theirs[WATCHDOG].wait() == [envelopes.release()]
        await played.says(
            envelopes.blocked_by(3),
            envelopes.answer(1, 200, (b"", 0, None), b"body"),
            envelopes.declined(requests[1][1], requests[1]),
            seat=WATCHDOG,
        )
        assert worker.line.blocked_by == 3
        assert sent(answered) == [(200, b"body", False)]
        assert played.owner.queue.came_back == [unbegun]
        assert list(worker.exchanges) == [3]
        await played.turns()
        assert worker.line.blocked_by == 0
        await played.says(envelopes.blocked_by(3), seat=WATCHDOG)
        assert worker.line.blocked_by == 0, "it has turned since"

    play(scenario)


def test_nobody_waits_for_the_watchdog_of_one_that_has_ended():
    async def scenario(played, worker):
        await played.be_ready()
        line = worker.watchdog
        asked = [asyncio.ensure_future(wait) for wait in (line.wait_stack(), line.wait_stacks(), line.wait_profile(9))]
        await until(lambda: played.waits(WATCHDOG) == 3)
        line.hung_up()
        assert await asyncio.gather(*asked) == ["", None, None]
        assert await line.wait_profile(9) is None
        line.end_profile()
        await played.turns()
        assert played.waits(WATCHDOG) == 3, "it is asked nothing more"

    play(scenario)


def test_the_watchdog_of_one_that_must_end_is_told():
    async def scenario(played, worker):
        await played.be_ready()
        worker.retire()
        worker.stop()
        worker.abandon()
        await until(lambda: played.waits(WATCHDOG) == 2)
        end = played.theirs[WATCHDOG]
        assert end.wait() + end.wait() == [envelopes.stop(), envelopes.abandoned()]

    play(scenario)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set; what waits is too late after more than 1 second of it."""

    class Clock:
        now = 1000.0

    for module in (loop_line, async_channel):
        monkeypatch.setattr(module, "monotonic", lambda: Clock.now)
    monkeypatch.setattr(loop_line, "LOOP_SILENCE", 1.0)
    return Clock


def test_what_a_silent_loop_has_not_taken_comes_back(clock):
    async def scenario(played, worker):
        await played.be_ready()
        assert not worker.watched
        first, second = exchange_of(1, b"a"), exchange_of(2, b"b", True)
        worker.assign(first)
        worker.assign(second)
        second.add_body(b"c", False)
        await until(lambda: played.waits())
        clock.now += 1.0
        assert worker.watched
        assert worker.take_back_late() == []
        assert not worker.line.stuck
        clock.now += 0.1
        assert worker.take_back_late() == [first, second]
        assert worker.line.stuck
        assert not worker.watched
        assert worker.exchanges == {}
        assert played.waits() == 0
        assert [first.state, second.state] == [ExchangeState.NEW] * 2
        assert first._held == held_of(exchange_of(1, b"a"))
        assert second._held == [*held_of(exchange_of(2, b"b", True)), envelopes.body(2, b"c", False)]
        assert worker.take_back_late() == [], "nothing is given to it while it is stuck"

    play(scenario)


def test_what_was_posted_and_not_sent_comes_back_too(clock):
    """One item at a time: the second waits on our side until the first was taken."""

    async def scenario(played, worker):
        await played.be_ready()
        exchanges = []
        for number in (1, 2, 3):
            exchanges.append(exchange_of(number))
            worker.assign(exchanges[-1])
            await until(lambda: played.waits())
            await asyncio.sleep(0)
        assert played.waits() == 1
        clock.now += 1.1
        assert worker.take_back_late() == exchanges
        assert played.waits() == 0

    play(scenario)


def test_what_is_for_those_it_has_begun_stays_in_its_order(clock):
    async def scenario(played, worker):
        await played.be_ready()
        begun, abandoned = exchange_of(1, b"a", True), exchange_of(2)
        worker.assign(begun)
        worker.assign(abandoned)
        await played.got(2)
        late = exchange_of(3)
        begun.add_body(b"b", True)
        worker.assign(late)
        abandoned.client_gone()
        begun.add_body(b"c", False)
        await until(lambda: played.waits())
        clock.now += 1.1
        assert worker.take_back_late() == [late]
        assert worker.exchanges == {1: begun, 2: abandoned}
        assert await played.got(3) == [
            envelopes.body(1, b"b", True),
            envelopes.disconnect(2),
            envelopes.body(1, b"c", False),
        ]

    play(scenario)


def test_what_comes_back_and_whose_client_has_gone_is_closed(clock):
    async def scenario(played, worker):
        await played.be_ready()
        exchange = exchange_of(1)
        worker.assign(exchange)
        await until(lambda: played.waits())
        exchange.client_gone()
        clock.now += 1.1
        assert worker.take_back_late() == [exchange]
        assert exchange.state is ExchangeState.CLOSED
        assert worker.exchanges == {}

    play(scenario)


def test_another_gets_what_came_back(clock):
    async def scenario(played, worker):
        await played.be_ready()
        exchange = exchange_of(1, b"a", True)
        worker.assign(exchange)
        await until(lambda: played.waits())
        clock.now += 1.1
        worker.take_back_late()
        exchange.add_body(b"b", False)
        other = Played(1)
        await other.open()
        try:
            await other.be_ready()
            other.worker.assign(exchange)
            assert await other.got(2) == [*held_of(exchange_of(1, b"a", True)), envelopes.body(1, b"b", False)]
            await other.says(envelopes.answer(1, 200, NONE, b"c"))
            assert sent(exchange) == [(200, b"c", False)]
        finally:
            await other.close()

    play(scenario)


def test_a_loop_that_turns_is_not_stuck_any_more(clock):
    async def scenario(played, worker):
        await played.be_ready()
        worker.assign(exchange_of(1))
        await until(lambda: played.waits())
        clock.now += 1.1
        worker.take_back_late()
        assert worker.line.stuck
        await played.turns()  # it finds nothing, but it turned
        assert not worker.line.stuck
        worker.assign(exchange_of(2))
        assert [envelope[1] for envelope in await played.got(1)] == [2]

    play(scenario)


def test_a_loop_that_has_taken_everything_is_not_silent_however_long_it_takes(clock):
    async def scenario(played, worker):
        await played.be_ready()
        worker.assign(exchange_of(1))
        await played.got(1)
        clock.now += 1000.0
        assert not worker.watched
        assert worker.take_back_late() == []
        assert not worker.line.stuck

    play(scenario)


def test_silence_is_counted_from_what_it_was_sent(clock):
    async def scenario(played, worker):
        await played.be_ready()
        clock.now += 1000.0
        worker.assign(exchange_of(1))
        await until(lambda: played.waits())
        assert worker.take_back_late() == []
        clock.now += 0.9
        worker.assign(exchange_of(2))
        await asyncio.sleep(0)
        assert worker.take_back_late() == []
        clock.now += 0.2
        assert len(worker.take_back_late()) == 2

    play(scenario)


def test_a_loop_that_has_said_something_is_not_silent_though_nobody_has_looked(clock):
    async def scenario(played, worker):
        await played.be_ready()
        worker.assign(exchange_of(1))
        worker.assign(exchange_of(2))
        await until(lambda: played.waits())
        clock.now += 1.1
        played.theirs[0].post(envelopes.continue_(1))  # what it says has come, and our own loop was too busy to read it
        assert worker.take_back_late() == []
        assert not worker.line.stuck

    play(scenario)


def test_whoever_was_given_something_is_watched_at_once(clock):
    """The pool looks once in a while for as long as someone is watched: an exchange that was assigned in the very
    turn in which it looks must not be overlooked."""

    async def scenario(played, worker):
        await played.be_ready()
        worker.assign(exchange_of(1))
        assert worker.watched
        await until(lambda: played.waits())
        assert worker.watched

    play(scenario)


def test_watched_though_what_it_said_has_not_been_read(clock):
    """What waits may be there for long after that was read."""

    async def scenario(played, worker):
        await played.be_ready()
        worker.assign(exchange_of(1))
        await until(lambda: played.waits())
        played.theirs[0].post(envelopes.continue_(1))
        clock.now += 0.1
        assert worker.watched

    play(scenario)


def test_what_follows_on_a_slow_seat_comes_back(clock):
    async def scenario(played, worker):
        await played.be_ready("wsgi")
        seats_clock = [monotonic()]
        worker._seats._clock = lambda: seats_clock[0]
        exchanges = [exchange_of(number, b"a") for number in (1, 2, 3)]
        for exchange in exchanges:
            worker.assign(exchange)
        await until(lambda: played.waits(0) == 3)
        assert worker.watched
        played.theirs[0].wait()
        assert worker.take_back_late() == []
        seats_clock[0] += 1000.0
        assert worker.take_back_late() == exchanges[1:]
        assert worker.exchanges == {1: exchanges[0]}
        assert not worker.line.stuck, "its other threads have time"
        assert not worker.watched
        assert [exchange.state for exchange in exchanges[1:]] == [ExchangeState.NEW] * 2
        for exchange in exchanges[1:]:
            worker.assign(exchange)
        assert [envelope[1] for envelope in await played.got(2, 1)] == [2, 3]

    play(scenario, seats=3)


def test_what_the_thread_of_a_silent_seat_keeps_is_released(clock):
    """Its watchdog sends it: an answer that is complete must not wait until a close() that takes long is over."""

    async def scenario(played, worker):
        await played.be_ready("wsgi")
        exchange = exchange_of(1)
        worker.assign(exchange)
        await until(lambda: played.waits(0))
        assert worker.watched
        later = monotonic() + 1000.0
        worker._seats._clock = lambda: later
        assert worker.take_back_late() == []
        await until(lambda: played.waits(WATCHDOG))
        assert played.theirs[WATCHDOG].wait() == [envelopes.release(ALL)]
        assert not worker.watched
        await played.says(envelopes.response(1, 200, NONE, b"kept", False))
        assert sent(exchange) == [(200, b"kept", False)]
        assert worker.exchanges == {1: exchange}
        await played.says(envelopes.done(1, None))
        assert worker.exchanges == {}

    play(scenario, seats=2)


def test_the_pool_hears_how_much_room_there_is():
    async def scenario(played, worker):
        assert worker.room == 0
        await played.be_ready("wsgi")
        assert (worker.capacity, worker.room) == (1, FOLLOWERS)
        worker.assign(exchange_of(1, more=True))
        assert played.owner.queue.rooms == [1]
        await played.says(envelopes.done(1, None))
        assert played.owner.queue.rooms == [1, FOLLOWERS]

    play(scenario, seats=1)


def test_there_is_no_room_beside_the_loop_of_an_asgi_app():
    async def scenario(played, worker):
        await played.be_ready()
        assert worker.room == 0

    play(scenario)


def test_declined_exchange_goes_back_to_the_pool():
    async def scenario(played, worker):
        await played.be_ready("wsgi")
        first, second = exchange_of(1, b"a"), exchange_of(2, b"b")
        worker.assign(first)
        worker.assign(second)
        await until(lambda: played.waits(0) == 2)
        played.theirs[0].wait()
        (request,) = played.theirs[0].wait()
        await played.says(envelopes.declined(request[1], request))
        assert played.owner.queue.came_back == [second]
        assert second.state is ExchangeState.NEW
        assert worker.exchanges == {1: first}
        assert second._held == held_of(exchange_of(2, b"b"))
        assert second.whole
        assert "free" not in played.owner.words
        await played.says(envelopes.answer(1, 200, NONE, b"c"))
        assert sent(first) == [(200, b"c", False)]

    play(scenario, seats=2)


def test_declined_exchange_whose_client_has_gone_is_closed():
    async def scenario(played, worker):
        await played.be_ready("wsgi")
        first, second = exchange_of(1), exchange_of(2)
        worker.assign(first)
        worker.assign(second)
        await until(lambda: played.waits(0) == 2)
        played.theirs[0].wait()
        (request,) = played.theirs[0].wait()
        second.client_gone()
        await played.says(envelopes.declined(request[1], request))
        assert played.owner.queue.came_back == [second], "the pool has to count it"
        assert second.state is ExchangeState.CLOSED
        assert worker.exchanges == {1: first}

    play(scenario, seats=2)


# -- what makes no sense ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nonsense",
    [
        envelopes.done(9, None),
        envelopes.answer(9, 200, NONE, b""),
        envelopes.declined(9, (REQUEST, 9)),
        envelopes.body(9, b"", False),
        envelopes.credit(9, 1),
        (99, 0),
        (99, 9, "x"),
    ],
)
def test_one_envelope_that_makes_no_sense_does_not_take_the_others_with_it(nonsense, caplog):
    async def scenario(played, worker):
        await played.be_ready()
        exchange = exchange_of(1)
        worker.assign(exchange)
        await played.says(nonsense, envelopes.response(1, 200, NONE, b"a", False), envelopes.done(1, None))
        assert sent(exchange) == [(200, b"a", False)]
        assert exchange.state is ExchangeState.CLOSED

    play(scenario)
    (record,) = caplog.records
    assert record.exc_info[0] is InternalError
    assert "please report" in str(record.exc_info[1])


@pytest.mark.parametrize("kind", ["answer", "response"])
def test_trouble_of_ours_with_a_response_does_not_keep_the_worker_from_being_free(kind, caplog):
    """Whatever a bug of ours breaks, the exchange is over: the server would wait for it at its end."""

    async def scenario(played, worker):
        await played.be_ready()
        exchange = exchange_of(1)
        exchange._client.send_response = None  # calling it is a TypeError
        worker.assign(exchange)
        if kind == "answer":
            await played.says(envelopes.answer(1, 200, NONE, b"a"))
        else:
            await played.says(envelopes.response(1, 200, NONE, b"a", False), envelopes.done(1, None))
        assert worker.exchanges == {}
        assert played.owner.words[-1] == "free"

    play(scenario)
    assert "Error while handling" in caplog.text


# -- what a dead worker leaves behind --------------------------------------------------------------------------------


def test_what_it_never_took():
    async def scenario(played, worker):
        await played.be_ready()
        taken = exchange_of(1, b"a", True)
        worker.assign(taken)
        await played.got(1)
        untouched, gone = exchange_of(2, b"b", True), exchange_of(3)
        worker.assign(untouched)
        await asyncio.sleep(0)
        worker.assign(gone)
        taken.add_body(b"later", False)
        untouched.add_body(b"later", False)
        gone.client_gone()
        expected = [*held_of(exchange_of(2, b"b", True)), envelopes.body(2, b"later", False)]
        assert worker.never_begun() == {2: expected, 3: held_of(exchange_of(3))}
        assert worker.never_begun() == {}

    play(scenario)


def test_what_it_never_took_from_any_seat():
    async def scenario(played, worker):
        await played.be_ready("wsgi")
        for number in (1, 2, 3):
            worker.assign(exchange_of(number, more=True))
        worker.assign(exchange_of(4))
        await played.got(1, 1)
        assert sorted(worker.never_begun()) == [1, 3, 4]

    play(scenario, seats=4)


def test_what_it_never_took_of_what_follows_on_a_seat():
    async def scenario(played, worker):
        await played.be_ready("wsgi")
        for number in (1, 2, 3):
            worker.assign(exchange_of(number))
        await played.got(1)
        assert worker.never_begun() == {2: held_of(exchange_of(2)), 3: held_of(exchange_of(3))}

    play(scenario, seats=3)


# -- the thread that owns the interpreter ----------------------------------------------------------------------------


def leave_words(settings, words):
    """Say something by the channel of the watchdog, as a worker does at its end."""
    end = attach_blocking(settings["watch"])
    end.post(*words)
    end.flush_all()
    end.carrier._doorbell.detach()  # the test closes it


@pytest.fixture
def owned(monkeypatch):
    """Run a worker whose interpreter runs a function of the test; returns the worker, its owner, the interpreter."""

    def run(interpreter, attached=True, create=None):
        monkeypatch.setattr(runtimes, "create_interpreter", create or (lambda: interpreter))

        async def main():
            owner = FakeOwner()
            worker = WorkerHandle(3, {"module": "m"}, runtimes.InterpreterRuntime(1), owner, asyncio.get_running_loop())
            descriptors = [channel.address[2] for channel in worker.thread._runtime.channels]
            await worker.start()
            async with asyncio.timeout(PATIENCE):
                await worker.thread.ended.wait()
            if os.name != "nt":
                for descriptor in descriptors:
                    if attached:
                        os.close(descriptor)
                    else:
                        with pytest.raises(OSError, match="Bad file descriptor"):
                            os.fstat(descriptor)
            await asyncio.sleep(0)
            return worker, owner

        return asyncio.run(main())

    return run


def test_last_words_are_heard_before_the_interpreter_is_closed(owned):
    """Items in a queue do not outlive the interpreter that put them there."""

    def serve(settings):
        assert settings["number"] == 3
        assert settings["module"] == "m"
        for number in range(100):  # more than one look into the queue
            leave_words(settings, [envelopes.failed("lost", f"word {number}")])
        leave_words(settings, [envelopes.goodbye([], [])])

    interpreter = FakeInterpreter(serve)
    close = interpreter.close

    def heard_first():
        assert heard == [("lost", "word 99")]
        close()

    heard = []
    interpreter.close = heard_first
    original = RuntimeThread._hear_last_words

    def hear(self):
        original(self)
        heard.append(self._on_ended.__self__.failure)  # the worker's

    RuntimeThread._hear_last_words = hear
    try:
        worker, owner = owned(interpreter)
    finally:
        RuntimeThread._hear_last_words = original
    assert worker.failure == ("lost", "word 99")
    assert interpreter.closed.is_set()
    assert asyncio.run(worker.watchdog.wait_stacks()) is None
    assert owner.words == ["ended"]


def test_interpreter_is_closed_when_the_last_daemon_thread_has_ended(owned):
    def serve(settings):
        leave_words(settings, [envelopes.goodbye(["sluggish"], [])])

    interpreter = FakeInterpreter(serve)
    worker, _ = owned(interpreter)
    assert worker.report.daemon_threads == ["sluggish"]
    assert worker.thread.is_left_open
    assert not interpreter.closed.is_set()
    assert runtimes.keep_process()
    [kept] = [each for each in runtimes._open if each._interpreter is interpreter]
    interpreter.daemons.set()
    wait_until(lambda: not worker.thread.is_left_open, "it is closed after all")
    assert interpreter.closed.is_set()
    assert kept not in runtimes._open


def test_trouble_in_the_interpreter(owned):
    def serve(settings):
        raise ValueError("broken bootstrap")

    interpreter = FakeInterpreter(serve)
    worker, owner = owned(interpreter)
    kind, fault = worker.failure
    assert kind == "lost"
    assert "ValueError: broken bootstrap" in fault
    assert interpreter.closed.is_set()
    assert owner.words == ["ended"]


def test_trouble_does_not_hide_what_the_worker_said_itself(owned):
    def serve(settings):
        leave_words(settings, [envelopes.failed("import", "the reason")])
        raise ValueError("a consequence")

    worker, owner = owned(FakeInterpreter(serve))
    assert worker.failure == ("import", "the reason")
    assert owner.told == [("failed", WorkerState.FAILED), ("ended", WorkerState.FAILED)]


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ((threading.Thread, "start"), RuntimeError("can't start new thread")),
        ((async_channel.MainEnd, "open"), OSError(24, "Too many open files")),
    ],
)
def test_start_that_can_not_be(monkeypatch, what, error):
    """Or the worker would be starting for ever, and hold its files."""

    def refuse(*args):
        raise error

    async def main():
        owner = FakeOwner()
        worker = WorkerHandle(3, {}, runtimes.InterpreterRuntime(2), owner, asyncio.get_running_loop())
        descriptors = [channel.address[2] for channel in worker.thread._runtime.channels]
        descriptors += [channel.doorbell.fileno() for channel in worker.thread._runtime.channels]
        with monkeypatch.context() as refusing:
            refusing.setattr(*what, refuse)
            await worker.start()
        assert worker.thread.ended.is_set()
        assert owner.told == [("ended", WorkerState.STARTING)]
        kind, fault = worker.failure
        assert (kind, fault.splitlines()[-1]) == ("lost", f"{type(error).__name__}: {error}")
        await asyncio.sleep(0)
        for descriptor in descriptors if os.name != "nt" else ():
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(descriptor)

    asyncio.run(main())


def test_interpreter_that_can_not_be_made(owned):
    def refuse():
        raise RuntimeError("interpreter creation failed")

    class NeverMade:
        pass

    worker, owner = owned(NeverMade(), attached=False, create=refuse)
    assert "interpreter creation failed" in worker.failure[1]
    assert owner.words == ["ended"]


def test_one_interpreter_is_made_at_a_time(monkeypatch):
    making, most, guard = [], [], threading.Lock()
    turn = threading.Event()

    def create():
        with guard:
            making.append(1)
            most.append(len(making))
        turn.wait(0.001)  # leaves the others the time to come in, if they could
        with guard:
            making.pop()
        return FakeInterpreter(lambda settings: None)

    monkeypatch.setattr(interpreters, "_create", create)

    async def main():
        workers = [
            WorkerHandle(n, {}, runtimes.InterpreterRuntime(1), FakeOwner(), asyncio.get_running_loop())
            for n in range(8)
        ]
        for worker in workers:
            await worker.start()
        for worker in workers:
            async with asyncio.timeout(PATIENCE):
                await worker.thread.ended.wait()
            if os.name != "nt":
                for channel in worker.thread._runtime.channels:
                    os.close(channel.address[2])
        await asyncio.sleep(0)

    asyncio.run(main())
    assert most == [1] * 8


def test_the_loop_is_closed_when_the_thread_ends(monkeypatch):
    """An abandoned worker that ends after the server: there is no owner to tell."""
    go_on, closed = threading.Event(), threading.Event()
    interpreter = FakeInterpreter(lambda settings: go_on.wait(PATIENCE))
    close = interpreter.close

    def close_and_tell():
        close()
        closed.set()

    interpreter.close = close_and_tell
    monkeypatch.setattr(runtimes, "create_interpreter", lambda: interpreter)
    owner = FakeOwner()

    async def main():
        worker = WorkerHandle(3, {}, runtimes.InterpreterRuntime(1), owner, asyncio.get_running_loop())
        await worker.start()
        worker.retire()
        worker.abandon()
        worker.let_go()
        await asyncio.sleep(0)
        return worker

    worker = asyncio.run(main())
    go_on.set()
    assert closed.wait(PATIENCE)
    for thread in threading.enumerate():
        if thread.name == "snakepit-worker-3":
            thread.join(PATIENCE)
            assert not thread.is_alive()
    assert owner.words == []
    if os.name != "nt":
        for channel in worker.thread._runtime.channels:
            os.close(channel.address[2])

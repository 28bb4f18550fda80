"""snakepit.worker.hangs.watchdog: what it answers, when it looks, and how it ends."""

import asyncio
import threading

import pytest
from fakes import fake_of
from waiting import PATIENCE

from snakepit.errors import RequestTimeout, WorkerStopping
from snakepit.wire import envelopes
from snakepit.wire.loop_ends import MainEnd
from snakepit.wire.loop_queues import QueueChannel
from snakepit.worker.hangs import watchdog as watchdog_module
from snakepit.worker.hangs.contract import NOTHING, Interruptible
from snakepit.worker.hangs.watchdog import Watchdog

WORDS = [envelopes.failed("lost", "why"), envelopes.goodbye([], [])]


@fake_of(Interruptible)
class FakeHung:
    """Keeps what it is asked; answers from a script, and with the last of it from then on."""

    def __init__(self, *script):
        self.script = list(script)
        self.asked = []

    def end_exchange(self, number, error):
        self.asked.append((number, error))
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    def end_all(self, error, again):
        self.asked.append((error, again))

    def release(self, upto):
        return [envelopes.blocked_by(upto)]

    def start_stack(self):
        return "where it is"


class Played:
    """A watchdog, and the main interpreter's side of its channel."""

    def __init__(self, hung=None):
        self.came = []
        self._channel = QueueChannel()
        self.end = MainEnd(self._channel.main_carrier(), asyncio.get_running_loop(), self.came.extend)
        self.end.one_by_one()
        self.watchdog = Watchdog(self._channel.address)
        self.watchdog.start()
        if hung is not None:
            self.watchdog.watch(hung)

    async def said(self, count):
        async with asyncio.timeout(PATIENCE):
            while len(self.came) < count:
                await asyncio.sleep(0.001)
        return self.came

    @property
    def thread(self):
        return self.watchdog._thread


def play(scenario, hung=None):
    async def main():
        played = Played(hung)
        await played.end.open()
        try:
            await scenario(played)
        finally:
            await asyncio.to_thread(played.watchdog.leave, [])
            played.end.close()
            assert not played.thread.is_alive()
        await asyncio.sleep(0)

    asyncio.run(main())


def test_log_files_are_opened_anew(monkeypatch):
    """And one that can't be does not end the watchdog."""
    asked = []
    monkeypatch.setattr(watchdog_module, "reopen_log_files", lambda: asked.append(1) or ([], ["no space left"]))

    async def scenario(played):
        for _ in range(2):
            played.end.post(envelopes.reopen_logs())
        played.end.post(envelopes.ask_heartbeat())
        assert await played.said(1) == [envelopes.heartbeat(0.0, 0.0)]
        assert len(asked) == 2

    play(scenario)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(watchdog_module, "FIRST_LOOK", 0.001)


def test_a_ping_is_answered():
    async def scenario(played):
        for count in (1, 2, 3):
            played.end.post(envelopes.ask_heartbeat())
            assert await played.said(count) == [envelopes.heartbeat(0.0, 0.0)] * count

    play(scenario)


def test_where_the_start_is_can_be_asked():
    async def scenario(played):
        played.end.post(envelopes.ask_stack())
        assert await played.said(1) == [envelopes.stack("where it is")]

    play(scenario, FakeHung((None, False)))


def test_nothing_is_known_of_where_a_start_is_that_has_not_begun():
    async def scenario(played):
        played.end.post(envelopes.ask_stack())
        assert await played.said(1) == [envelopes.stack("")]

    play(scenario)


def test_one_that_has_no_thread_says_its_last_words_all_the_same(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    async def main():
        channel, came = QueueChannel(), []
        end = MainEnd(channel.main_carrier(), asyncio.get_running_loop(), came.extend)
        watchdog = Watchdog(channel.address)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start new thread"):
                watchdog.start()
        watchdog.leave(WORDS)
        await end.open()
        await end.wait_ended()
        assert came == WORDS
        end.close()
        await asyncio.sleep(0)

    asyncio.run(main())


def test_what_is_held_up_is_sent():
    async def scenario(played):
        played.end.post(envelopes.release(3))
        assert await played.said(1) == [envelopes.blocked_by(3)]

    play(scenario, FakeHung(None))


@pytest.mark.parametrize(
    ("script", "looks", "told"),
    [
        ([NOTHING], 1, NOTHING),
        ([("a stack", False), NOTHING], 2, ("a stack", False)),
        ([("a stack", True), NOTHING], 2, ("a stack", True)),
        ([None, None, ("a stack", False), ("another", False), NOTHING], 5, ("a stack", False)),
    ],
)
def test_what_timed_out_is_looked_at_until_nothing_is_left_and_told_once(script, looks, told):
    hung = FakeHung(*script)

    async def scenario(played):
        played.end.post(envelopes.timed_out(5))
        assert await played.said(1) == [envelopes.interrupted(5, *told)]
        async with asyncio.timeout(PATIENCE):
            while len(hung.asked) < looks:
                await asyncio.sleep(0.001)
        played.end.post(envelopes.ask_heartbeat())
        assert (await played.said(2))[1] == envelopes.heartbeat(0.0, 0.0)
        assert hung.asked == [(5, RequestTimeout)] * looks

    play(scenario, hung)


def test_what_can_never_be_ended_is_given_up(monkeypatch):
    monkeypatch.setattr(watchdog_module, "LAST_LOOK", 0.01)
    hung = FakeHung(None)

    async def scenario(played):
        played.end.post(envelopes.timed_out(5))
        assert await played.said(1) == [envelopes.interrupted(5, *NOTHING)]
        assert len(hung.asked) == 4  # after 1, 2, 4 and 8 ms

    play(scenario, hung)


@pytest.mark.parametrize(("envelope", "again"), [(envelopes.stop(), False), (envelopes.abandoned(), True)])
def test_a_worker_that_must_end_has_all_ended(envelope, again):
    hung = FakeHung(NOTHING)

    async def scenario(played):
        played.end.post(envelope)
        async with asyncio.timeout(PATIENCE):
            while len(hung.asked) < 3:
                await asyncio.sleep(0.001)
        assert set(hung.asked) == {(WorkerStopping, again)}

    play(scenario, hung)


def test_last_words_come_last_and_what_was_to_be_looked_at_is_ended_first(monkeypatch):
    monkeypatch.setattr(watchdog_module, "FIRST_LOOK", 1000.0)
    monkeypatch.setattr(watchdog_module, "LAST_LOOK", 1.0)
    hung = FakeHung(("a stack", True))

    async def main():
        played = Played(hung)
        await played.end.open()
        played.end.post(envelopes.timed_out(5))
        played.end.post(envelopes.ask_heartbeat())
        assert await played.said(1) == [envelopes.heartbeat(0.0, 0.0)]
        await asyncio.to_thread(played.watchdog.leave, WORDS)
        assert not played.thread.is_alive()
        await played.end.wait_ended()
        played.end.close()
        assert played.came[1:] == [envelopes.interrupted(5, "a stack", True), *WORDS]
        assert hung.asked == [(5, RequestTimeout)]

    asyncio.run(main())


def test_a_main_interpreter_that_has_gone_ends_it():
    async def main():
        played = Played()
        await played.end.open()
        played.end.close()
        await asyncio.sleep(0)
        await asyncio.to_thread(played.thread.join, PATIENCE)
        assert not played.thread.is_alive()
        await asyncio.to_thread(played.watchdog.leave, WORDS)

    asyncio.run(main())


def test_its_own_trouble_is_logged_and_keeps_nothing_from_ending(caplog):
    class Broken(FakeHung):
        def end_exchange(self, number, error):
            raise ValueError("broken")

    async def main():
        played = Played(Broken())
        await played.end.open()
        played.end.post(envelopes.timed_out(5))
        await asyncio.to_thread(played.thread.join, PATIENCE)
        assert "ValueError: broken" in caplog.text
        await asyncio.to_thread(played.watchdog.leave, WORDS)
        await played.end.wait_ended()
        played.end.close()
        assert played.came == WORDS

    asyncio.run(main())


def test_it_is_no_daemon_in_an_interpreter():
    """Closing an interpreter aborts the process if one runs there."""

    async def scenario(played):
        assert not played.thread.daemon
        assert played.thread.name in [thread.name for thread in threading.enumerate()]

    play(scenario)


def test_collectors_of_the_app_that_hang_hold_up_nothing_but_themselves(monkeypatch):
    begun, released, times = threading.Semaphore(0), threading.Event(), []

    def wait_told():
        times.append(1)
        begun.release()
        released.wait(PATIENCE)
        return [envelopes.metrics([])]

    monkeypatch.setattr(watchdog_module.app_metrics, "wait_told", wait_told)

    async def scenario(played):
        played.end.post(envelopes.ask_metrics())
        await asyncio.to_thread(begun.acquire, timeout=PATIENCE)
        played.end.post(envelopes.ask_metrics())  # those that were asked have not answered
        played.end.post(envelopes.ask_heartbeat())
        assert await played.said(1) == [envelopes.heartbeat(0.0, 0.0)]
        assert len(times) == 1
        released.set()
        assert (await played.said(2))[1] == envelopes.metrics([])

    play(scenario)


def test_metrics_that_come_behind_the_last_words_are_not_told(monkeypatch):
    begun, released = threading.Semaphore(0), threading.Event()

    def wait_told():
        begun.release()
        released.wait(PATIENCE)
        return [envelopes.metrics([])]

    monkeypatch.setattr(watchdog_module.app_metrics, "wait_told", wait_told)

    async def main():
        played = Played()
        await played.end.open()
        played.end.post(envelopes.ask_metrics())
        await asyncio.to_thread(begun.acquire, timeout=PATIENCE)
        await asyncio.to_thread(played.watchdog.leave, WORDS)
        released.set()
        await asyncio.to_thread(played.watchdog._collecting.join, PATIENCE)
        await played.end.wait_ended()
        played.end.close()
        assert played.came == WORDS

    asyncio.run(main())


def test_a_profile_is_made_until_its_time_is_over_or_another_is_asked_for():
    async def scenario(played):
        played.end.post(envelopes.ask_profile(1, 0.02))
        [profile] = await played.said(1)
        assert profile[:3] == (envelopes.PROFILE, 0, 1)
        played.end.post(envelopes.ask_profile(2, 1000.0))
        played.end.post(envelopes.ask_profile(3, 1000.0))
        played.end.post(envelopes.ask_profile(0, 0.0))
        assert [envelope[2] for envelope in await played.said(3)] == [1, 2, 3]
        assert played.watchdog._pause() is None

    play(scenario)


def test_what_was_sampled_is_said_at_the_end():
    async def scenario(played):
        played.end.post(envelopes.ask_profile(1, 1000.0))
        played.end.post(envelopes.ask_heartbeat())
        await played.said(1)
        await asyncio.to_thread(played.watchdog.leave, WORDS)
        assert [envelope[0] for envelope in await played.said(4)][1:] == [
            envelopes.PROFILE,
            envelopes.FAILED,
            envelopes.GOODBYE,
        ]

    play(scenario)

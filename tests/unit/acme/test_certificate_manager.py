"""snakepit.acme.manager: certificates are obtained in time, failures wait longer each time and get louder."""

import asyncio
import logging
import threading
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest
from certificates import certificate
from fakes import fake_of
from playing import HandLoop
from waiting import until

from snakepit.acme.chains import described
from snakepit.acme.keeper import Keeper, Visit
from snakepit.acme.manager import BACKOFF, LONGEST_SLEEP, MOST_THREADS, CertificateManager, CertificateSink
from snakepit.acme.problems import AcmeError, AcmeStopped
from snakepit.acme.stopping import Stop
from snakepit.acme.store import Details, Stored

DAY = 86400.0
START = 1_700_000_000


@cache
def stored(name, serial=1, days=90.0):
    chain = described(certificate([name], serial=serial, start=START, days=days))
    return Stored(name, Path(f"/store/{name}.pem"), chain, Details(chain.fingerprint, "https://ca.test/dir"))


@fake_of(Keeper)
class Playing:
    """A keeper whose visits end when the test says."""

    def __init__(self, clock):
        self.clock = clock
        self.loaded = {}
        self.visits = []
        self.outcomes = {}
        self.most_at_once = 0
        self._inside = 0
        self._lock = threading.Lock()
        self.gate = threading.Event()
        self.gate.set()

    def load(self, name):
        return self.loaded.get(name)

    def wait_visit(self, name, attempt, *, renew=False):
        with self._lock:
            self.visits.append((name, attempt, renew))
            self._inside += 1
            self.most_at_once = max(self.most_at_once, self._inside)
        assert self.gate.wait(60)
        with self._lock:
            self._inside -= 1
        outcome = self.outcomes.get(name)
        if callable(outcome):
            outcome = outcome()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome or Visit(stored(name), self.clock.wall() + DAY, issued=True)


class Clock:
    """Wall time that passes as the loop's does."""

    def __init__(self, loop):
        self.loop = loop

    def wall(self):
        return START + self.loop.time()


@fake_of(CertificateSink)
class Sink:
    def __init__(self):
        self.names = []
        self.fails = ()
        self.told = []

    def prepare(self, name, path):
        assert threading.current_thread() is not threading.main_thread()
        if name in self.fails:
            raise ValueError(f"OpenSSL does not like {path}")
        return path

    def installed(self, name, prepared):
        assert prepared == stored(name).path
        self.names.append(name)

    def obtained(self, name, renewed, text):
        assert f"Certificate for {name} was {'renewed' if renewed else 'obtained'}: by " in text
        self.told.append((name, renewed))

    def failed(self, name, text):
        assert text.startswith(f"No certificate for {name}: ")
        self.told.append((name, "failed"))


def run(test):
    with asyncio.Runner(loop_factory=HandLoop) as runner:
        return runner.run(test())


@asynccontextmanager
async def managing(names, prepare=lambda keeper: None):
    loop = asyncio.get_running_loop()
    clock = Clock(loop)
    keeper, sink = Playing(clock), Sink()
    prepare(keeper)
    manager = CertificateManager(loop, names, keeper, sink, Stop(), now=clock.wall)
    manager.play = keeper
    manager.sink = sink
    try:
        yield manager
    finally:
        keeper.gate.set()
        manager.close()


async def settled(manager, visits):
    """Until so many visits are over."""
    await until(
        lambda: len(manager.play.visits) == visits and not busy(manager),
        pause=0,
    )


def busy(manager):
    return [one for one in manager.status() if one["state"] in ("obtaining", "renewing")]


async def passing(seconds):
    """Let time pass, timer by timer."""
    loop = asyncio.get_running_loop()
    end = loop.now + seconds
    while loop.now < end:
        loop.now = min(loop.now + 1.0, end)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def test_what_the_store_has_is_served_before_any_ca_is_asked():
    async def test():
        def prepare(keeper):
            keeper.loaded = {"a.example": stored("a.example")}
            keeper.gate.clear()

        async with managing(["a.example", "b.example"], prepare) as manager:
            await manager.wait_loaded()
            assert manager.sink.names == ["a.example"]
            assert await manager.wait_certificate("a.example")
            waiting = asyncio.ensure_future(manager.wait_certificate("b.example"))
            await asyncio.sleep(0)
            assert not waiting.done()
            manager.play.gate.set()
            assert await waiting
            assert manager.sink.names == ["a.example", "b.example"]
            assert not await manager.wait_certificate("c.example")

    run(test)


def test_it_comes_again_when_that_is_planned():
    async def test():
        async with managing(["a.example"]) as manager:
            await manager.wait_loaded()
            await settled(manager, 1)
            asyncio.get_running_loop().now += DAY - 1
            await passing(LONGEST_SLEEP + 10)
            await settled(manager, 2)
            assert manager.sink.names == ["a.example"]  # it is the same

    run(test)


def test_a_new_certificate_is_installed():
    async def test():
        async with managing(["a.example"]) as manager:
            await manager.wait_loaded()
            await settled(manager, 1)
            manager.play.outcomes["a.example"] = Visit(stored("a.example", serial=2), 1e10, issued=True)
            assert (await manager.wait_renewed("a.example"))["fault"] is None
            with pytest.raises(KeyError):
                await manager.wait_renewed("b.example")
            assert manager.play.visits[-1] == ("a.example", 0, True)
            assert manager.sink.names == ["a.example"] * 2
            assert manager.sink.told == [("a.example", False), ("a.example", True)]

    run(test)


def test_failures_wait_twice_as_long_each_time():
    async def test():
        async with managing(["a.example"]) as manager:
            manager.play.outcomes["a.example"] = Visit(None, fault=AcmeError("no"))
            await manager.wait_loaded()
            await settled(manager, 1)
            waits = []
            for count in range(2, 10):
                began = asyncio.get_running_loop().now
                while len(manager.play.visits) < count:
                    await passing(1)
                waits.append(round(asyncio.get_running_loop().now - began))
                await settled(manager, count)
            assert waits == pytest.approx([60, 120, 240, 480, 960, 1920, 3600, 3600], abs=3)
            assert [attempt for _, attempt, _ in manager.play.visits] == list(range(9))
            assert not await manager.wait_certificate("a.example")  # it is not tried now

    run(test)


def test_a_ca_may_ask_for_more_time():
    async def test():
        async with managing(["a.example"]) as manager:
            manager.play.outcomes["a.example"] = Visit(None, fault=AcmeError("no", 500.0))
            await manager.wait_loaded()
            await settled(manager, 1)
            await passing(495)
            assert len(manager.play.visits) == 1
            await passing(10)
            await settled(manager, 2)

    run(test)


@pytest.mark.parametrize(
    ("gone", "level", "text"),
    [
        (61, logging.INFO, "It has its old certificate, until 2024-02-12"),
        (70, logging.WARNING, "It has its old certificate"),
        (85, logging.ERROR, "It has its old certificate"),
        (91, logging.ERROR, "It has a certificate that ended 2024-02-12"),
        (None, logging.ERROR, "It is not served"),
    ],
)
def test_failures_get_louder(caplog, gone, level, text):
    async def test():
        def prepare(keeper):
            if gone is not None:
                asyncio.get_running_loop().now = gone * DAY
                keeper.loaded = {"a.example": stored("a.example")}
            before = keeper.loaded.get("a.example")
            keeper.outcomes["a.example"] = Visit(before, fault=AcmeError("the CA is closed"))

        async with managing(["a.example"], prepare) as manager:
            await manager.wait_loaded()
            await settled(manager, 1)
            return manager.status()[0]

    caplog.set_level(logging.INFO, logger="snakepit.server")
    status = run(test)
    found = [record for record in caplog.records if "the CA is closed" in record.message]
    assert [record.levelno for record in found] == [level]
    assert text in found[0].message
    assert "next attempt in 60 seconds" in found[0].message
    assert (status["state"], status["fault"], status["failed_attempts"]) == ("failed", "the CA is closed", 1)


def test_success_after_failures():
    async def test():
        async with managing(["a.example"]) as manager:
            manager.play.outcomes["a.example"] = Visit(None, fault=AcmeError("no"))
            await manager.wait_loaded()
            await settled(manager, 1)
            del manager.play.outcomes["a.example"]
            await passing(BACKOFF[0] + 1)
            await settled(manager, 2)
            status = manager.status()[0]
            assert (status["state"], status["fault"], status["failed_attempts"]) == ("served", None, 0)
            assert status["not_after"] == "2024-02-12T22:13:20Z"

    run(test)


def test_few_at_once_and_none_twice():
    names = [f"{number}.example" for number in range(20)]

    async def test():
        async with managing(names) as manager:
            await manager.wait_loaded()
            await settled(manager, 20)
            assert manager.play.most_at_once <= MOST_THREADS
            assert sorted(name for name, _, _ in manager.play.visits) == sorted(names)
            return manager.play.most_at_once

    assert run(test) > 0


def test_an_error_of_our_own_does_not_end_it(caplog):
    async def test():
        async with managing(["a.example", "b.example"]) as manager:
            manager.play.outcomes["a.example"] = KeyError("x")
            manager.sink.fails = ("b.example",)
            await manager.wait_loaded()
            await settled(manager, 2)
            assert [one["state"] for one in manager.status()] == ["failed", "failed"]
            assert manager.sink.names == []

    run(test)
    assert "Error while looking after the certificate for a.example" in caplog.text
    assert "No certificate for b.example: what the store has can't be served: OpenSSL does not like" in caplog.text


def test_names_are_added():
    async def test():
        async with managing([]) as manager:
            await manager.wait_loaded()
            manager.add("a.example")
            manager.add("a.example")
            assert await manager.wait_certificate("a.example")
            assert manager.names() == ["a.example"]

    run(test)


def test_nothing_follows_its_end(caplog):
    async def test():
        async with managing(["a.example"]) as manager:
            manager.play.gate.clear()
            manager.play.outcomes["a.example"] = AcmeStopped()
            await manager.wait_loaded()
            waiting = asyncio.ensure_future(manager.wait_certificate("a.example"))
            await until(lambda: manager.play.visits, pause=0)
            manager.close()
            assert not await waiting
            manager.play.gate.set()
            manager.add("b.example")
            assert (await manager.wait_renewed("a.example"))["state"] == "obtaining"
            await until(lambda: threading.active_count() == 1 or not alive(), pause=0)
            await asyncio.sleep(0)
            assert not await manager.wait_certificate("a.example")
            assert len(manager.play.visits) == 1
            assert manager.sink.names == []

    run(test)
    assert caplog.text == ""


def alive():
    return [one for one in threading.enumerate() if one.name == "snakepit-acme"]

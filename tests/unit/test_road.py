"""How long the road of a request is: the calls of Snakepit's own functions from the bytes of a request to its worker's
queue, in a worker from the ring of the doorbell, or a thread's look into its queue, to the answer's crossing, and from
the ring that comes back to the bytes of the answer. All is real but for the transport, and what is at the other end of
the channel, which this test plays."""

import asyncio
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from wsgiref.util import FileWrapper

import pytest
from clients import FakeTransport, answers, request
from playing import HandLoop
from waiting import turn, until

import snakepit
from snakepit.config.options import Config
from snakepit.http.fields import render
from snakepit.server.net.http1 import HttpConnections
from snakepit.server.pool.observer import Observer
from snakepit.server.pool.options import PoolOptions
from snakepit.server.pool.pool import Pool
from snakepit.server.routing.router import Router
from snakepit.server.workers.runtimes import InterpreterRuntime
from snakepit.server.workers.worker import WorkerHandle
from snakepit.wire import envelopes
from snakepit.wire.codec import decode, encode
from snakepit.wire.ends import attach_blocking
from snakepit.wire.envelopes import NUMBER
from snakepit.wire.loop_queues import QueueChannel
from snakepit.worker.asgi.loop import AsgiWorker
from snakepit.worker.hangs.wsgi_threads import RunningThreads
from snakepit.worker.wsgi import seats
from snakepit.worker.wsgi.environ import EnvironFactory
from snakepit.worker.wsgi.seats import WsgiSeat

PACKAGE = str(Path(snakepit.__file__).parent)

THERE = {"asgi": 19, "wsgi": 21}
"""Calls from a request's bytes to the end of the turn in which they came, by the app's interface."""

NEW_LINE = {"client": 3, "trusted proxy": 4}
"""Calls on top of these for a header block that is not known, since one line of it is new; by peer."""

BACK = {"asgi": 21, "wsgi": 24}
"""Calls from the ring until the connection waits for the next request."""

IN_WORKER = 18
"""Calls in a worker from the ring until the answer to the only request that has come is on its way."""

EACH_FURTHER = 7
"""Calls for each further request that came with it."""

IN_THREAD = 24
"""Calls in a thread of a WSGI worker for each request that is there, from the look into its queue."""

FURTHER = 8
"""Requests behind the first of a batch."""

TOO_LONG = """{count} calls {where}, where {most} are allowed.
Each costs every request nearly a tenth of a microsecond (docs/explanation/performance.md). Do without the new ones, or
without others: look for calls that only pass on what they got. Where that can't be, raise the number in this test, and
say in the commit what it buys. When the road gets shorter, lower it.
{calls}"""


class Calls:
    """Counts the calls of Snakepit's functions, by name."""

    def __init__(self):
        self.counts = Counter()

    @contextmanager
    def counted(self):
        sys.setprofile(self._look)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _look(self, frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            path = Path(frame.f_code.co_filename).relative_to(PACKAGE)
            self.counts[f"{path}:{frame.f_code.co_firstlineno} {frame.f_code.co_qualname}"] += 1

    def check(self, most, where):
        count = self.counts.total()
        calls = "\n".join(f"{count:3} {name}" for name, count in self.counts.items() if count)
        assert count <= most, TOO_LONG.format(count=count, most=most, where=where, calls=calls)


class World:
    """A connection, and a worker that is ready."""

    def __init__(self, peer, interface):
        self.loop = asyncio.get_running_loop()
        self.interface = interface
        options = PoolOptions(1, 1, 100, None, 100, 30.0, interface, "interpreter", {})
        self.pool = Pool(options, Observer(), self.loop)
        self.http = HttpConnections(Config("app:app"), Router(self.pool.queue), self.loop)
        self.worker = WorkerHandle(1, {}, InterpreterRuntime(1), self.pool, self.loop)
        self.theirs = [attach_blocking(channel.address) for channel in self.worker.thread._runtime.channels]
        self.transport = FakeTransport(self.loop, self.http.new_connection(), peername=(peer, 5000))

    async def open(self):
        for end in self.worker._listening:
            await end.open()
        self.theirs[0].post(envelopes.loaded(self.interface, 0.0, [], [], []), envelopes.ready(0.0))
        await self.until(lambda: self.pool.first_ready.is_set())

    async def until(self, condition):
        """For what comes through a socket; no time passes in this loop, so nothing that is timed gets in between."""
        await until(condition, pause=0)
        await turn()

    async def close(self):
        for end in (*self.worker._listening, *self.theirs):
            end.close()
        self.pool.queue.close()
        self.http.close()
        await turn()

    async def get(self, there, back, *fields):
        """One request and its answer."""
        with there.counted():
            self.transport.send(request("/", headers=["User-Agent: test", "Accept: */*", *fields]))
            await turn()
        [envelope] = self.theirs[0].wait()
        self.theirs[0].post(envelopes.answer(envelope[1], 200, render([(b"content-length", b"5")]), b"hello"))
        self.transport.received = b""
        self.theirs[0].flush_all()
        with back.counted():
            await self.until(lambda: self.transport.received)
        [(status, _, body)] = answers(self.transport.received)
        assert (status, body) == (200, b"hello")


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


class AsgiSide:
    """An ASGI worker in this thread's loop, and the main interpreter's side of its channel."""

    def __init__(self, timeout):
        channel = QueueChannel()
        settings = {
            "lifespan": "off",
            "root_path": "",
            "mount": "",
            "ws_max_queue": 32,
            "reset_contextvars": False,
            "timeout_request": timeout,
            "debug": False,
            "channels": [channel.address],
        }
        self.worker = AsgiWorker(hello, settings, asyncio.get_running_loop())
        self.carrier = channel.main_carrier()
        self.number = 0

    async def open(self):
        await self.worker.end.open()
        await turn()

    async def close(self):
        self.worker.close()
        self.carrier.close()
        await turn()

    async def get(self, count):
        """Have so many requests answered that come together; returns what was called for it."""
        ends = ("10.0.0.1", 5000), ("127.0.0.1", 8000)
        requests = [
            envelopes.request(
                self.number + more, "GET", b"/", "1.1", [(b"host", b"t")], *ends, "http", b"", False, False
            )
            for more in range(1, count + 1)
        ]
        self.number += count
        calls = Calls()
        self.carrier.send(encode(requests))
        with calls.counted():
            await until(self.carrier.arrived, pause=0)
            await turn()
        answered = decode(self.carrier.take())
        assert answered == [
            envelopes.answer(request[NUMBER], 200, render([(b"content-length", b"5")]), b"hello")
            for request in requests
        ]
        assert not self.carrier.arrived(), "what came together is answered together"
        return calls


@pytest.mark.parametrize("timeout", [None, 30.0], ids=["no time limit", "a time limit"])
def test_the_road_within_an_asgi_worker_does_not_grow(timeout):
    async def main():
        side = AsgiSide(timeout)
        await side.open()
        try:
            for count in (1, 1, 1 + FURTHER):
                await side.get(count)  # the first makes things that the others find
            return await side.get(1), await side.get(1 + FURTHER)
        finally:
            await side.close()

    one, batch = asyncio.run(main(), loop_factory=HandLoop)
    one.check(IN_WORKER, "in a worker that gets one request")
    batch.counts.subtract(one.counts)
    batch.check(EACH_FURTHER * FURTHER, f"in a worker for {FURTHER} further requests")


class Thread:
    """A thread's place in a WSGI worker, and the main interpreter's side of its channel."""

    def __init__(self):
        self.channel = QueueChannel()
        self.end = attach_blocking(self.channel.address)
        environs = EnvironFactory(
            root_path="", mount="", multithread=True, multiprocess=True, file_wrapper=FileWrapper, errors=sys.stderr
        )
        self.seat = WsgiSeat(self.end, self.hello, environs, RunningThreads([], [self.end]))

    def hello(self, environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        return Closing()

    def serve(self, count):
        """Serve so many requests that are there; returns what was called for it."""
        ends = ("10.0.0.1", 5000), ("127.0.0.1", 8000)
        for number in range(1, count + 1):
            request = envelopes.request(number, "GET", b"/", "1.1", [(b"host", b"t")], *ends, "http", b"", False, False)
            self.channel.to_worker.put_nowait(encode([request]))
        self.channel.to_worker.put_nowait(encode([envelopes.retire()]))
        self.end.released = 0
        calls = Calls()
        with calls.counted():
            self.seat.run()
        answers = decode(self.channel.from_worker.get_nowait())
        assert answers == [
            envelopes.answer(number, 200, render([(b"content-length", b"5")]), b"hello")
            for number in range(1, count + 1)
        ]
        return calls

    def close(self):
        self.end.close()
        self.channel.doorbell.close()


class Closing:
    """A body as frameworks give it."""

    def __iter__(self):
        return iter((b"hello",))

    def close(self):
        pass


def test_the_road_within_a_thread_of_a_wsgi_worker_does_not_grow(monkeypatch):
    monkeypatch.setattr(seats, "KEPT", 1000.0)  # or a slow machine would send some of it sooner
    thread = Thread()
    try:
        thread.serve(1)  # which makes things that the others find
        one, batch = thread.serve(1), thread.serve(1 + FURTHER)
    finally:
        thread.close()
    batch.counts.subtract(one.counts)
    batch.check(IN_THREAD * FURTHER, f"in a thread for {FURTHER} requests")


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
@pytest.mark.parametrize("peer", ["client", "trusted proxy"])
def test_the_road_of_a_request_does_not_grow(peer, interface):
    there, new_line, back = Calls(), Calls(), Calls()

    async def main():
        world = World({"client": "10.0.0.1", "trusted proxy": "127.0.0.1"}[peer], interface)
        await world.open()
        try:
            for _ in range(3):
                await world.get(Calls(), Calls())  # the first makes things that the others find
            await world.get(there, back)
            await world.get(new_line, Calls(), "Cookie: new")
        finally:
            await world.close()

    asyncio.run(main(), loop_factory=HandLoop)
    there.check(THERE[interface], "to the worker")
    new_line.check(THERE[interface] + NEW_LINE[peer], "to the worker with a header line that is new")
    back.check(BACK[interface], "back from it")

"""A server's pool with its workers, each of them the real code, in the threads of a machine (see `machine`).

What is not real: queues and sockets are those of the machine, a worker is a thread of this interpreter, and an exchange
has a client that takes note. The app does what the target of a request says: `compute`, `sleep`, `stream`, `behind` (it
computes behind its response) and a number of milliseconds, or `read`, which reads a body. A WSGI app also `waits` until
the request with a number has its answer, and `closes`: it computes, and then, when all is said, waits for its own.
"""

import asyncio
import logging
import re
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from machine import Condition, Lock, Loop, Machine, Pipe

from snakepit.http.events import RequestHead
from snakepit.http.types import Endpoints
from snakepit.server.dispatch import wake_ups
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.lifecycle import ExchangeState
from snakepit.server.pool.observer import Observer
from snakepit.server.pool.options import PoolOptions
from snakepit.server.pool.pool import Pool
from snakepit.server.workers import loop_line, seats
from snakepit.server.workers import worker as server_worker
from snakepit.wire import ends as channel
from snakepit.wire import envelopes, interpreters, loop_queues, loop_sockets, queues, sockets
from snakepit.wire import loop_ends as async_channel
from snakepit.wire.codec import decode
from snakepit.wire.ends import BlockingEnd
from snakepit.wire.envelopes import WINDOW
from snakepit.wire.loop_carrier import LoopCarrier
from snakepit.wire.loop_ends import WorkerLoopEnd
from snakepit.wire.loop_queues import LoopQueueCarrier
from snakepit.wire.loop_sockets import LoopSocketCarrier, MainSocketCarrier
from snakepit.wire.queues import BlockingQueueCarrier
from snakepit.wire.sockets import BlockingSocketCarrier
from snakepit.worker.asgi import exchange as asgi_exchange
from snakepit.worker.asgi import loop as asgi
from snakepit.worker.hangs import watchdog, wsgi_threads
from snakepit.worker.wsgi import exchange as wsgi_exchange
from snakepit.worker.wsgi import input as wsgi_input
from snakepit.worker.wsgi import seats as wsgi
from snakepit.worker.wsgi.environ import EnvironFactory

WATCHED = frozenset(
    module.__file__
    for module in (
        channel,
        async_channel,
        queues,
        sockets,
        loop_queues,
        loop_sockets,
        asgi,
        asgi_exchange,
        wsgi,
        wsgi_exchange,
        wsgi_input,
        wsgi_threads,
        watchdog,
    )
)
"""The files with data that two threads of a worker, or both ends of a channel, share."""

CHUNK = b"x" * 100


@dataclass(frozen=True)
class Request:
    """When it comes, in milliseconds, and what the app does; `leaves`: when the client goes, after that."""

    at: float
    does: str
    leaves: float | None = None

    @property
    def what(self) -> str:
        return self.does.split("/")[0]


class Queue:
    """A queue between interpreters."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._items: deque[object] = deque()

    def put_nowait(self, item: Any) -> None:
        self._machine.point()
        self._items.append(item)

    def get_nowait(self) -> object:
        self._machine.point()
        if not self._items:
            raise interpreters.QueueEmpty
        return self._items.popleft()

    def qsize(self) -> int:
        self._machine.point()
        return len(self._items)


class QueueChannel:
    """A channel within a process."""

    def __init__(self, machine: Machine) -> None:
        self._to_worker, self._from_worker = Queue(machine), Queue(machine)
        self._ours, self._theirs = Pipe.pair(machine)
        self.address = self

    def not_taken(self) -> list[Any]:
        """What the main interpreter has sent, and the worker has not taken."""
        return list(self._to_worker._items)

    def main_carrier(self) -> LoopCarrier:
        return LoopQueueCarrier(self._from_worker, self._to_worker, self._ours)

    def worker_end(self, loop: Loop, on_envelopes: Any, on_gone: Any) -> WorkerLoopEnd:
        return WorkerLoopEnd(LoopQueueCarrier(self._to_worker, self._from_worker, self._theirs), loop, on_envelopes)

    def blocking_end(self) -> BlockingEnd:
        return BlockingEnd(BlockingQueueCarrier(self._to_worker, self._from_worker, self._theirs))


class SocketChannel:
    """A channel to a process."""

    def __init__(self, machine: Machine) -> None:
        self._ours, self._theirs = Pipe.pair(machine)
        self.address = self

    def not_taken(self) -> list[Any]:
        """What the main interpreter has not sent yet: what it has sent may have been taken."""
        return list(self._main._pending)

    def main_carrier(self) -> LoopCarrier:
        self._main = MainSocketCarrier(self._ours, self._theirs)
        return self._main

    def worker_end(self, loop: Loop, on_envelopes: Any, on_gone: Any) -> WorkerLoopEnd:
        return WorkerLoopEnd(LoopSocketCarrier(self._theirs, on_gone), loop, on_envelopes)

    def blocking_end(self) -> BlockingEnd:
        return BlockingEnd(BlockingSocketCarrier(self._theirs))


class Runtime:
    """A runtime that is never started."""

    daemon, process = True, None

    def __init__(self, machine: Machine, make: Callable[[Machine], Any], seats: int) -> None:
        self.seats = seats
        self.channels = [make(machine) for _ in range(seats + 1)]


@dataclass
class Client:
    """A client that records what it gets."""

    loop: Loop
    writable: bool = True
    status: int = 0
    body: bytes = b""
    complete: bool = False
    answered_at: float = 0.0
    faults: list[str] = field(default_factory=list)

    def endpoints(self, head: RequestHead) -> Endpoints:
        return None, None, "http", None, None

    def send_continue(self) -> None:
        pass

    def send_response(self, status: int, fields: Any, body: bytes, more: bool) -> None:
        assert not self.status
        self.status = status
        self.send_body(body, more)

    def send_body(self, data: bytes, more: bool) -> None:
        assert not self.complete
        self.body += data
        self.complete = not more
        self.answered_at = self.loop.time()

    def send_error(self, status: int, reason: str, headers: Any) -> None:
        self.status, self.complete = status, True

    def body_wanted(self) -> None:
        pass

    def report_fault(self, exchange: Exchange, fault: str, cut_off: bool = False) -> None:
        self.faults.append(fault)


class Closing:
    """A body, and something to be done at its end."""

    def __init__(self, close: Callable[[], None]) -> None:
        self.close = close

    def __iter__(self) -> Iterator[bytes]:
        return iter((b"end",))


class Errors(logging.Handler):
    """The log's errors."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(logging.Formatter().format(record))


class Model:
    """See the module.

    Args:
        seats: threads of a WSGI app in each worker; 0: the app is ASGI.
        asks_again: whether the second line of defence is there, which mends what should not be broken.
    """

    def __init__(
        self,
        machine: Machine,
        monkeypatch: pytest.MonkeyPatch,
        make_channel: Callable[[Machine], Any] = QueueChannel,
        workers: int = 1,
        seats: int = 0,
        asks_again: bool = False,
    ) -> None:
        self.machine = machine
        self._seats = seats
        self._patch(monkeypatch, asks_again)
        self.errors = Errors()
        self.loop = Loop(machine)
        interface = "wsgi" if seats else "asgi"
        options = PoolOptions(workers, seats, 1000, None, 1000, 3600.0, interface, "interpreter", {})
        self.pool = Pool(options, Observer(), self.loop)
        self.workers = []
        for number in range(1, workers + 1):
            runtime = Runtime(machine, make_channel, max(1, seats))
            worker = server_worker.WorkerHandle(number, {}, runtime, self.pool, self.loop)  # type: ignore[arg-type]
            self.pool._roster._places[number] = worker
            self.workers.append(worker)
        self.asks_heartbeats = False
        self.lost: list[server_worker.WorkerHandle] = []
        self.never_begun: set[int] = set()  # numbers of exchanges of which a lost worker has taken nothing
        self._hearing: list[asyncio.Task[None]] = []
        self.read_on = 0  # threads that got an error over that
        self.came: list[tuple[Request, Exchange, Client]] = []

    def _patch(self, monkeypatch: pytest.MonkeyPatch, asks_again: bool) -> None:
        machine = self.machine

        class Threading:
            Thread = machine.thread
            Lock = staticmethod(lambda: Lock(machine))
            Condition = staticmethod(lambda lock: Condition(machine))
            get_ident = staticmethod(lambda: 0)

        class Time:
            monotonic = staticmethod(machine.monotonic)
            thread_time = perf_counter = monotonic

        def readable(pipe: Pipe, seconds: float) -> bool:
            return machine.wait(lambda: pipe.readable, machine.now + seconds)

        for module in (channel, async_channel, loop_line, wake_ups):
            monkeypatch.setattr(module, "monotonic", machine.monotonic)
        monkeypatch.setattr(server_worker, "Seats", partial(seats.Seats, clock=machine.monotonic))
        for module in (channel, async_channel, sockets, watchdog, wsgi):
            monkeypatch.setattr(module, "threading", Threading, raising=False)
        for module in (asgi, watchdog, wsgi_exchange):
            monkeypatch.setattr(module, "time", Time)
        for module in (queues, sockets):
            monkeypatch.setattr(module, "wait_readable", readable)
        monkeypatch.setattr(
            asgi, "attach_worker_loop", lambda channel, loop, take, gone: channel.worker_end(loop, take, gone)
        )
        monkeypatch.setattr(watchdog, "attach_blocking", lambda channel: channel.blocking_end())
        if not asks_again:
            monkeypatch.setattr(wake_ups.WakeUps, "ask_later", lambda self: None)

    # -- what runs -----------------------------------------------------------------------------------------------------

    def start(self, requests: Collection[Request]) -> None:
        """Start everything."""
        logger = logging.getLogger("snakepit")
        logger.addHandler(self.errors)
        self.machine.thread(lambda: self._main(requests), "main", lines=False).start()
        for worker in self.workers:
            self.machine.thread(lambda worker=worker: self._work(worker), str(worker)).start()

    def close(self) -> None:
        logging.getLogger("snakepit").removeHandler(self.errors)
        self.loop.close()

    def _main(self, requests: Collection[Request]) -> None:
        async def main() -> None:
            for worker in self.workers:
                for end in worker._listening:
                    await end.open()
            await self.pool.all_ready.wait()
            self.machine.begun = True
            begin = self.loop.time()
            if self.asks_heartbeats:
                self.ask_heartbeats()
            for request in requests:
                self.loop.call_at(begin + request.at / 1000, self._submit, request)
            await asyncio.Event().wait()

        self.loop.set_exception_handler(self._loop_failed)
        self._run(self.loop, main())

    def _submit(self, request: Request) -> None:
        client = Client(self.loop)
        sends = request.what in ("read", "both", "on")
        body = CHUNK if sends else b""
        number = len(self.came)
        headers = [(b"number", b"%d" % number)]
        exchange = Exchange(
            number + 1,
            client,
            self.pool.queue,
            RequestHead("POST", b"/" + request.does.encode(), "1.1", headers, False, body=body, more=sends),
        )
        self.came.append((request, exchange, client))
        self.pool.queue.submit(exchange)
        if sends:
            for part in range(3):
                self.loop.call_later(0.001 * part, self._add_body, exchange, part)
        if request.leaves is not None:
            self.loop.call_later(request.leaves / 1000, self._leave, exchange)

    def _add_body(self, exchange: Exchange, part: int) -> None:
        if not exchange.answered:
            exchange.add_body(b"%d" % part * 100, part < 2)

    def _leave(self, exchange: Exchange) -> None:
        exchange.client_gone()

    def _loop_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.machine.errors.append(context.get("exception") or AssertionError(context["message"]))

    def _work(self, worker: server_worker.WorkerHandle) -> None:
        *seats, watch = (channel.address for channel in worker.thread._runtime.channels)
        if self._seats:
            self._work_in_threads(worker, seats, watch)
        else:
            self._work_in_loop(seats[0], watch)

    def _work_in_threads(self, worker: server_worker.WorkerHandle, seats: list[Any], watch: Any) -> None:
        ends = [seat.blocking_end() for seat in seats]
        for end in ends:
            end.released = 0
        running = wsgi_threads.RunningThreads([wsgi_exchange.WsgiExchange.call_app.__code__], ends)
        watching = watchdog.Watchdog(watch)
        watching.start()
        watching.watch(running)
        environs = EnvironFactory(
            root_path="", mount="", multithread=True, multiprocess=True, file_wrapper=list, errors=sys.stderr
        )
        first, *others = [wsgi.WsgiSeat(end, self._wsgi_app, environs, running) for end in ends]
        for number, seat in enumerate(others, start=2):
            self.machine.thread(seat.run, f"{worker}, seat {number}").start()
        first.end.post(envelopes.loaded("wsgi", 0.0, [], [], []), envelopes.ready(0.0))
        first.run()

    def _work_in_loop(self, seat: Any, watch: Any) -> None:
        loop = Loop(self.machine)
        loop.set_exception_handler(self._loop_failed)
        settings: Any = {
            "channels": [seat],
            "lifespan": "off",
            "reset_contextvars": False,
            "root_path": "",
            "mount": "",
            "ws_max_queue": 32,
            "timeout_request": None,
            "debug": False,
        }
        watching = watchdog.Watchdog(watch)
        watching.start()
        serving = asgi.AsgiWorker(self._app, settings, loop)
        watching.watch(serving.tasks)
        self._run(loop, serving.serve(envelopes.loaded("asgi", 0.0, [], [], [])))
        watching.leave([envelopes.goodbye([], [])])

    def _run(self, loop: Loop, coroutine: Any) -> None:
        task = loop.create_task(coroutine)
        task.add_done_callback(lambda _: loop.stop())
        loop.run_forever()
        if task.done():
            task.result()

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        what, _, number = scope["path"][1:].partition("/")
        seconds = float(number or 0) / 1000
        if what == "compute":
            self.machine.compute(seconds)
        elif what == "sleep":
            await asyncio.sleep(seconds)
        elif what == "later":  # is awake, and computes then
            await asyncio.sleep(0.001)
            self.machine.compute(seconds)
        elif what == "read":
            data = b""
            while True:
                message = await receive()
                data += message.get("body", b"")
                if not message.get("more_body"):
                    break
            if message["type"] == "http.request":
                assert data == CHUNK + b"0" * 100 + b"1" * 100 + b"2" * 100, data
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if what == "stream":
            for part in range(3):
                await send({"type": "http.response.body", "body": b"%d" % part, "more_body": True})
                self.machine.compute(seconds)
        await send({"type": "http.response.body", "body": b"end"})
        if what == "behind":
            await asyncio.sleep(0.001)
            self.machine.compute(seconds)

    def _wsgi_app(self, environ: Any, start_response: Any) -> Any:
        what, _, number = environ["PATH_INFO"][1:].partition("/")
        seconds = float(number or 0) / 1000
        if what == "read":
            data = environ["wsgi.input"].read()
            assert data == CHUNK + b"0" * 100 + b"1" * 100 + b"2" * 100, data
        elif what == "both":
            start_response("200 OK", [])
            return self._both(environ["wsgi.input"], seconds)
        elif what == "waits":
            self._wait_answered(int(number))
        elif what == "on":  # and on it reads, when the response is long complete
            self.machine.thread(lambda: self._read_on(environ["wsgi.input"]), "reader").start()
        elif what != "stream":
            self.machine.compute(seconds)
        start_response("200 OK", [("Content-Length", "3")] if what == "closes" else [])
        if what == "closes":
            return Closing(lambda: self._wait_answered(int(environ["HTTP_NUMBER"])))
        return self._stream(seconds) if what == "stream" else [b"end"]

    def _wait_answered(self, number: int) -> None:
        """Wait until a request has its answer, which nobody else waits for."""
        _, _, client = self.came[number]
        self.machine.wait(lambda: client.complete)

    def _both(self, stream: Any, seconds: float) -> Any:
        """Read in one thread, write in another, more than there is credit for."""
        read: list[bytes] = []
        reader = self.machine.thread(lambda: read.append(stream.read()), "reader")
        reader.start()
        for _ in range(6):
            yield bytes(WINDOW // 4)
        reader.join()
        assert read == [CHUNK + b"0" * 100 + b"1" * 100 + b"2" * 100]
        yield b"end"

    def _read_on(self, stream: Any) -> None:
        try:
            stream.read()
        except ValueError:
            self.read_on += 1

    def _stream(self, seconds: float) -> Any:
        for part in range(3):
            yield b"%d" % part
            self.machine.compute(seconds)
        yield b"end"

    # -- what befalls it -----------------------------------------------------------------------------------------------

    def ask_heartbeats(self) -> None:
        """Do once a second, and five times, what the health check does."""
        for second in range(1, 6):
            for worker in self.workers:
                self.loop.call_later(second, lambda worker=worker: worker.ask_heartbeat(self.machine.now))

    def lose(self, worker: server_worker.WorkerHandle) -> None:
        """Have a worker die where it is, as its process may. None comes in its place."""

        async def hear() -> None:
            for end in worker._listening:
                await end.wait_ended()
            worker.thread._begin_closing()
            worker.thread._end("lost", "it died")

        self.pool._restarts.start = lambda *restart: None  # type: ignore[method-assign]
        self.lost.append(worker)
        for each in worker.thread._runtime.channels[:-1]:
            for item in each.not_taken():
                self.never_begun |= {sent[1] for sent in decode(item) if sent[0] == envelopes.REQUEST}
        self.loop.call_soon_threadsafe(lambda: self._hearing.append(self.loop.create_task(hear())))
        self.machine.kill(str(worker))

    # -- what has to hold ----------------------------------------------------------------------------------------------

    def check(self, requests: Collection[Request], logged: Collection[str] = ()) -> None:
        """Check that everything is answered, that every worker would take more, and that the log has these patterns."""
        assert len(self.errors.records) == len(logged), self.errors.records
        for line, pattern in zip(self.errors.records, logged, strict=True):
            assert re.search(pattern, line), line
        assert len(self.came) == len(requests), "not all requests came"
        for request, exchange, client in self.came:
            lost = exchange.served_by in map(str, self.lost) and exchange.number not in self.never_begun
            if lost and client.status == 500 and client.complete:
                assert exchange.state is ExchangeState.CLOSED, f"{exchange} is not over: {self.pool}"
                continue
            assert not client.faults, client.faults
            assert exchange.state is ExchangeState.CLOSED, f"{exchange} is not over: {self.pool}"
            if request.leaves is None:
                assert (client.status, client.complete) == (200, True), f"{exchange}: {client}"
                body = client.body.lstrip(b"\0") if request.what == "both" else client.body
                assert body == (b"012end" if request.what == "stream" else b"end"), f"{exchange}: {client}"
        assert not [thread for thread in self.machine.threads if thread.alive and thread.name == "reader"]
        assert all(hearing.done() for hearing in self._hearing)
        assert self.pool.queue.in_progress == 0
        dispatcher = self.pool.queue._dispatcher
        for worker in self.lost:
            assert worker not in dispatcher._slots
            assert not worker.exchanges
        for worker in self.workers:
            if worker in self.lost:
                continue
            assert not worker.line.stuck, f"{worker} is taken for stuck, and has nothing to do"
            slot = dispatcher._slots[worker]
            assert slot.load == 0
            assert worker in dispatcher._buckets[0], f"{worker} gets nothing more: window {slot.window}"

"""The cost of each inner part, in microseconds of CPU time, to find parts that became slower.

Everything runs in one thread, without sockets and without workers: the figures are those of the Python code alone.
"""

import asyncio
import io
import itertools
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, cast
from wsgiref.util import FileWrapper

from snakepit.config.options import Config
from snakepit.http.events import Limits
from snakepit.http.fields import render
from snakepit.http.h1.choice import parser_factory
from snakepit.http.h1.protocol import Http1Protocol
from snakepit.logs import AccessHandler
from snakepit.server.dispatch.dispatcher import Dispatcher
from snakepit.server.monitor.counters import Counters
from snakepit.server.net.annotated import connections_for
from snakepit.server.net.common_fields import CommonFields
from snakepit.server.net.request_log import RequestLog
from snakepit.server.pool.observer import Observer
from snakepit.server.pool.options import PoolOptions
from snakepit.server.pool.pool import Pool
from snakepit.server.routing.router import Router
from snakepit.server.workers.runtimes import InterpreterRuntime
from snakepit.server.workers.worker import WorkerHandle
from snakepit.wire import codec, envelopes
from snakepit.wire.ends import BlockingEnd
from snakepit.wire.interpreters import create_queue
from snakepit.wire.loop_ends import MainEnd
from snakepit.wire.loop_queues import QueueChannel
from snakepit.wire.queues import RINGS_READ, BlockingQueueCarrier, attach_queues
from snakepit.worker.asgi import loop as asgi
from snakepit.worker.hangs.wsgi_threads import RunningThreads
from snakepit.worker.wsgi.environ import EnvironFactory
from snakepit.worker.wsgi.exchange import WsgiExchange
from snakepit.worker.wsgi.seats import WsgiSeat

ROUNDS = 15
BATCH = 16
"""Requests that cross together: as many as one turn of an event loop collects under load."""

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"
BROWSER = (
    b"GET /articles/42?page=2 HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en,de;q=0.5\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\nCookie: sessionid=0123456789abcdef0123456789abcdef\r\n"
    b"Upgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\n"
    b"Cache-Control: max-age=0\r\n\r\n"
)
RESPONSE = [(b"content-type", b"text/plain"), (b"content-length", b"13")]
FIELDS = render(RESPONSE)
HELLO = b"Hello, world!"

JSON_LOG = {"access_log": True, "log_format": "json"}
SEEING_INSIDE: dict[str, dict[str, Any]] = {
    "metrics": {"metrics": True},
    "request IDs": {"request_id": True},
    "JSON log": JSON_LOG,
    "all of them": {"metrics": True, "request_id": True, **JSON_LOG},
}
"""Options of the server with which more is known of requests. The log's lines go nowhere."""


def microseconds(part: Callable[[], object], times: int, each: int = 1) -> float:
    """Return the least cost of a call in ROUNDS, divided by its `each` items: any higher cost is noise."""
    figures = []
    for _ in range(ROUNDS):
        before = time.thread_time()
        for _ in range(times):
            part()
        figures.append((time.thread_time() - before) / times / each * 1e6)
    return min(figures)


def envelope(number: int, request: bytes = REQUEST) -> envelopes.Envelope:
    """A REQUEST as the main interpreter makes it."""
    parser = parser_factory("auto", Limits())()
    head: Any = parser.feed(request)
    ends = ("127.0.0.1", 50000), ("127.0.0.1", 8000)
    return envelopes.request(
        number, head.method, head.target, head.http_version, head.headers, *ends, "http", b"", False, False
    )


def protocol(http: str, requests: Iterator[bytes]) -> Callable[[], object]:
    """Read a request and write its response."""
    http1 = Http1Protocol(parser_factory(cast("Any", http), Limits())(), CommonFields(date=True, server=True))

    def part() -> None:
        assert http1.receive_data(next(requests))
        http1.send_response(200, FIELDS, HELLO, False, False)
        assert http1.next_cycle()

    return part


def never_the_same(request: bytes) -> Iterator[bytes]:
    """The same request, with header fields that were never seen before."""
    start, _, _ = request.rpartition(b"\r\n")
    return (b"%bX-Number: %d\r\n\r\n" % (start, number) for number in itertools.count())


def crossing(request: bytes) -> Callable[[], object]:
    """Encode a batch, put it into a queue, take it out, decode it."""
    batch = [envelope(number, request) for number in range(BATCH)]
    queue = create_queue()

    def part() -> None:
        queue.put_nowait(codec.encode(batch))
        codec.decode(cast("bytes", queue.get_nowait()))

    return part


def dispatch(workers: int) -> Callable[[], object]:
    """Find a worker, and finish the exchange, with as many exchanges in progress as there are workers."""
    dispatcher: Dispatcher[int, int] = Dispatcher(100)
    for number in range(workers):
        dispatcher.add(number, 1000)
    under_way = [cast("int", dispatcher.submit(number)) for number in range(workers)]

    def part() -> None:
        worker = dispatcher.submit(0)
        assert worker is not None
        under_way.append(worker)
        dispatcher.finished(under_way.pop(0))

    return part


class Transport(asyncio.Transport):
    """A transport whose client reads everything at once."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 8000)}.get(name, default)

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        self.written = bytes(data)

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        """Do nothing: there is no socket to close."""


class Main:
    """All of the main interpreter's work for a batch of requests, from the bytes read to the bytes written.

    Args:
        threads: of a WSGI app, in each worker; None: the app is ASGI.
        metrics: count the requests.
        more: options of the server.
    """

    def __init__(
        self,
        workers: int,
        loop: asyncio.AbstractEventLoop,
        http: str,
        request: bytes,
        threads: int | None = None,
        metrics: bool = False,
        **more: Any,
    ) -> None:
        self.request = request
        interface: Any = "asgi" if threads is None else "wsgi"
        options = PoolOptions(workers, threads or 1, 1000, None, 1000, 30.0, interface, "interpreter", {})
        self.pool = Pool(options, Observer(), loop)
        self.runtimes = [InterpreterRuntime(threads or 1) for _ in range(workers)]
        self.workers = [
            WorkerHandle(number, {}, runtime, self.pool, loop) for number, runtime in enumerate(self.runtimes, 1)
        ]
        for worker in self.workers:
            worker._take([envelopes.loaded(interface, 0.0, [], [], []), envelopes.ready(0.0)])
            if worker._seats is None:
                worker._take([envelopes.cpu_per_request(10e-6)])
            else:
                worker._seats._clock = lambda: 0.0  # no thread is slow
        config = Config(app="unused", http=cast("Any", http), **({"access_log": False} | more))
        self.http = connections_for(config)(config, Router(self.pool.queue), loop)
        if metrics:
            app = SimpleNamespace(name="", has_led_to=lambda destination: destination is self.pool.queue)
            counters = Counters([cast("Any", app)])
            self.http.watch_exchanges(counters, busyness=counters)
        self.connections = [self.http.new_connection() for _ in range(BATCH)]
        self.transports = [Transport() for _ in self.connections]
        for connection, transport in zip(self.connections, self.transports, strict=True):
            connection.connection_made(transport)

    def __call__(self) -> None:
        for connection in self.connections:
            connection.data_received(self.request)
        self.pool.queue._end_batches()  # as the loop does at the end of an iteration
        for worker in self.workers:
            if not worker.exchanges:
                continue
            answers: list[envelopes.Envelope] = []
            for number in worker.exchanges:
                answers.append(envelopes.answer(number, 200, FIELDS, HELLO))
            for end in worker._ends:
                end.flush()
                end.take_back()
            worker._take(answers)
        for watcher in self.http._watchers:
            if isinstance(watcher, RequestLog):
                watcher.flush()  # likewise
        for transport in self.transports:
            assert transport.written.endswith(HELLO)
            transport.written = b""

    def close(self) -> None:
        """Close the channels, and cancel all timers."""
        for runtime in self.runtimes:
            for channel in runtime.channels:
                channel.discard()
        self.pool.queue.close()
        self.http.close()


class Worker:
    """All of a worker's work for a batch of requests, from the doorbell to the answers' crossing, around `app`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, request: bytes) -> None:
        self._channel = channel = QueueChannel()
        settings = {
            "channels": [channel.address],
            "root_path": "",
            "mount": "",
            "lifespan": "off",
            "ws_max_queue": 32,
            "timeout_request": None,
            "debug": False,
            "reset_contextvars": False,
        }
        self._worker = asgi.AsgiWorker(self.app, cast("Any", settings), loop)
        self._main = MainEnd(channel.main_carrier(), loop, lambda envelopes: None)
        self._batch = [envelope(number, request) for number in range(BATCH)]
        self._loop = loop

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        """The smallest possible app."""
        await send({"type": "http.response.start", "status": 200, "headers": RESPONSE})
        await send({"type": "http.response.body", "body": HELLO})

    def __call__(self) -> None:
        self._loop.run_until_complete(self._turn())

    async def _turn(self) -> None:
        for envelope_ in self._batch:
            self._main.post(envelope_)
        self._main.flush()
        self._worker.end.woken()
        self._worker.end.flush()
        answers = self._main.take()
        assert sum(answer[0] == envelopes.ANSWER for answer in answers) == BATCH

    def close(self) -> None:
        """Close the channel."""
        self._worker.close()
        self._main.close()


class Closing:
    """A body as frameworks give it: one piece, and something to be done at its end."""

    def __iter__(self) -> Iterator[bytes]:
        return iter((HELLO,))

    def close(self) -> None:
        """There is nothing to do."""


class Thread:
    """All of a WSGI worker's thread's work for a batch of requests, from its queue to the answers' crossing."""

    def __init__(self, loop: asyncio.AbstractEventLoop, request: bytes) -> None:
        channel = QueueChannel()
        self._doorbell = channel.doorbell
        self._main = MainEnd(channel.main_carrier(), loop, lambda envelopes: None)
        self._main.one_by_one()
        self._end = BlockingEnd(BlockingQueueCarrier(*attach_queues(channel.address)))
        environs = EnvironFactory(
            root_path="", mount="", multithread=True, multiprocess=True, file_wrapper=FileWrapper, errors=sys.stderr
        )
        self._seat = WsgiSeat(self._end, self.app, environs, RunningThreads([WsgiExchange.call_app.__code__]))
        self._come = [*(envelope(number, request) for number in range(BATCH)), envelopes.retire()]

    def app(self, environ: Any, start_response: Any) -> Closing:
        """The least that an app can be."""
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
        return Closing()

    def __call__(self) -> None:
        for envelope_ in self._come:
            self._main.post(envelope_)
        self._end.released = -1
        self._seat.run()
        self._doorbell.recv(RINGS_READ)  # or it is full some day
        answers = self._main.take()
        assert sum(answer[0] in (envelopes.ANSWER, envelopes.DONE) for answer in answers) == BATCH

    def close(self) -> None:
        """Let go of the channel."""
        self._end.close()
        self._main.close()


def environ(request: bytes) -> Callable[[], object]:
    """Make a WSGI environ of a request."""
    factory = EnvironFactory(
        root_path="", mount="", multithread=True, multiprocess=True, file_wrapper=FileWrapper, errors=sys.stderr
    )
    made = envelope(1, request)
    return lambda: factory.make(made, io.BytesIO())


def parts() -> None:
    """The cost of each inner part for a request, in microseconds of CPU time of one thread."""
    loop = asyncio.new_event_loop()
    logger = logging.getLogger("snakepit.access")
    logger.handlers[:], logger.propagate = [AccessHandler(open(os.devnull, "w"))], False  # noqa: SIM115
    logger.setLevel(logging.INFO)
    requests = {"plain": REQUEST, "browser": BROWSER}
    print(f"{'part':<44}" + "".join(f"{name:>10}" for name in requests))
    for http in ("h11", *(["httptools"] if find_spec("httptools") else [])):
        costs = [microseconds(protocol(http, itertools.repeat(text)), 3000) for text in requests.values()]
        report(f"parse and write, {http}", costs)
        costs = [microseconds(protocol(http, never_the_same(text)), 1000) for text in requests.values()]
        report(f"parse and write, {http}, unknown fields", costs)
    report("encode, queue, decode", [microseconds(crossing(text), 300, BATCH) for text in requests.values()])
    report("WSGI environ", [microseconds(environ(text), 3000) for text in requests.values()])
    for workers in (2, 16, 64):
        report(f"dispatch, {workers} workers", [microseconds(dispatch(workers), 5000)])
    for workers in (2, 16, 64):
        costs = []
        for text in requests.values():
            with closing(Main(workers, loop, "auto", text)) as main:
                costs.append(microseconds(main, 300, BATCH))
        report(f"main interpreter, {workers} workers", costs)
    for name, options in SEEING_INSIDE.items():
        costs = []
        for text in requests.values():
            with closing(Main(2, loop, "auto", text, **options)) as main:
                costs.append(microseconds(main, 300, BATCH))
        report(f"main interpreter, 2 workers, {name}", costs)
    with closing(Main(2, loop, "h11", REQUEST)) as main:
        report("main interpreter, 2 workers, h11", [microseconds(main, 100, BATCH)])
    costs = []
    for text in requests.values():
        with closing(Worker(loop, text)) as worker:
            costs.append(microseconds(worker, 200, BATCH))
    report("ASGI worker", costs)
    for threads in (8, 1):
        costs = []
        for text in requests.values():
            with closing(Main(2, loop, "auto", text, threads)) as main:
                costs.append(microseconds(main, 300, BATCH))
        report(f"main interpreter, 2 workers of {threads} WSGI threads", costs)
    costs = []
    for text in requests.values():
        with closing(Thread(loop, text)) as thread:
            costs.append(microseconds(thread, 200, BATCH))
    report("WSGI thread", costs)
    loop.close()


def report(name: str, figures: list[float]) -> None:
    """One line of the table."""
    print(f"{name:<44}" + "".join(f"{figure:>10.2f}" for figure in figures), flush=True)

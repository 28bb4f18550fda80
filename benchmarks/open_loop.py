"""A load generator in a process of its own: sends requests at a fixed rate, some of them slow if asked to, and prints
results as JSON.

Requests are due at fixed times, independent of the answers, and latency counts from the time when a request was due. So
a pause of the server counts for all requests that were due during the pause.

A request takes the connection that has been free the longest; the generator opens another one if none is free, or if
there are fewer than configured. A connection is closed after so many requests, the first ones after fewer, at random.
So connections are opened all the time, while the server is at work: in a server with a process for each core, the
number of connections of a process depends on which process could accept one at that time, and not on the order of the
first few.

If it may (as root), the client takes precedence over the server for the cores, as if it ran on another machine;
`client_late_p99_ms` says by how much it missed the times at which requests were due.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import selectors
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httptools

from benchmarks.privileges import take_precedence

UNANSWERED = 20.0  # seconds after the last request until what has no answer counts as an error


@dataclass(slots=True)
class Request:
    """A request, and when it was due."""

    due: float
    slow: bool
    counts: bool


class Connection(asyncio.Protocol):
    """A keep-alive connection that carries one request at a time."""

    def __init__(self, load: "Load", life: int) -> None:
        self._load = load
        self.left = life
        self.request: Request | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._load.free(self)

    def send(self, request: Request) -> None:
        self.request = request
        self.left -= 1
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self._transport.write(self._load.slow() if request.slow else self._load.fast())

    def data_received(self, data: bytes) -> None:
        self._received = asyncio.get_running_loop().time()
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        request, self.request = self.request, None
        assert request is not None
        right = self._parser.get_status_code() == 200 and self._body == self._load.expected
        self._load.answered(request, self._received, right)
        if self._parser.should_keep_alive():
            self._load.free(self)
        else:
            self.close()

    def close(self) -> None:
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self)


class Load:
    """The connections, the requests that wait for one, and the times of those that were answered, in seconds."""

    def __init__(self, given: argparse.Namespace) -> None:
        exchange = json.loads(given.exchange.read_text())
        self.fast = writer(exchange, given.port)
        self.slow = writer(exchange | {"path": given.slow}, given.port)
        self.expected = exchange["expected"].encode()
        self.times: dict[bool, list[float]] = {False: [], True: []}
        self.late: list[float] = []
        self.errors = 0
        self.left = 0
        self.open = 0
        self.most_open = 0
        self._given = given
        self._lives = random.Random(given.seed)
        self._opened = 0
        self._free: deque[Connection] = deque()
        self._waiting: deque[Request] = deque()
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Send all requests when they are due, then wait for the missing answers."""
        given = self._given
        chance = random.Random(given.seed)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for number in range(round((given.warm_up + given.seconds) * given.rate)):
            due = began + number / given.rate
            if (delay := due - loop.time()) > 0:
                await asyncio.sleep(delay)
            self.late.append(loop.time() - due)
            self._submit(Request(due, chance.random() < given.share, number >= given.warm_up * given.rate))
        end = loop.time() + UNANSWERED
        while self.left and loop.time() < end:
            await asyncio.sleep(0.01)
        self.errors += self.left

    def _submit(self, request: Request) -> None:
        self.left += request.counts
        if self._free and self.open >= self._given.connections:
            self._free.popleft().send(request)
            return
        self._waiting.append(request)
        if self.open < self._given.most:
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            task = asyncio.create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _connect(self) -> None:
        try:
            loop = asyncio.get_running_loop()
            life = self._given.life
            if self._opened < self._given.connections:
                life = self._lives.randint(1, life)
            self._opened += 1
            await loop.create_connection(lambda: Connection(self, life), "127.0.0.1", self._given.port)
        except OSError:  # the request waits for another connection
            self.open -= 1

    def free(self, connection: Connection) -> None:
        if self._waiting:
            connection.send(self._waiting.popleft())
        elif connection.left <= 0:
            connection.close()
        else:
            self._free.append(connection)

    def lost(self, connection: Connection) -> None:
        self.open -= 1
        if connection in self._free:
            self._free.remove(connection)
        request, connection.request = connection.request, None
        if request is not None and request.counts:
            self.left -= 1
            self.errors += 1

    def answered(self, request: Request, when: float, right: bool) -> None:
        if request.counts:
            self.left -= 1
            self.errors += not right
            self.times[request.slow].append(when - request.due)

    def summary(self) -> dict[str, float]:
        counts = {"requests": sum(map(len, self.times.values())), "errors": self.errors, "connections": self.most_open}
        late = {"client_late_p99_ms": sorted(self.late)[len(self.late) * 99 // 100] * 1000}
        return {**counts, **percentiles("fast", self.times[False]), **percentiles("slow", self.times[True]), **late}


def percentiles(kind: str, seconds: list[float]) -> dict[str, float]:
    """Return latencies in milliseconds, an empty dict if no request was answered."""
    if not seconds:
        return {}
    times = sorted(seconds)
    return {
        f"{kind}_p50_ms": median(times) * 1000,
        f"{kind}_p90_ms": times[len(times) * 9 // 10] * 1000,
        f"{kind}_p99_ms": times[len(times) * 99 // 100] * 1000,
        f"{kind}_max_ms": times[-1] * 1000,
    }


def writer(exchange: dict[str, Any], port: int) -> Callable[[], bytes]:
    """Return a function that renders a request, the next one with each call.

    `exchange` has a path, a body (with which it is a POST), header fields, and what stands in their values for 32
    digits that are another with each request.
    """
    body = exchange["body"].encode()
    fields = {
        "Host": f"127.0.0.1:{port}",
        **({"Content-Length": str(len(body))} if body else {}),
        **exchange["headers"],
    }
    lines = [f"{'POST' if body else 'GET'} {exchange['path']} HTTP/1.1", *map(": ".join, fields.items())]
    head = "\r\n".join([*lines, "", ""])
    before, unique, after = head.partition(exchange["unique"])
    if not unique:
        whole = head.encode() + body
        return lambda: whole
    first, rest = f"{before}{os.urandom(8).hex()}".encode(), after.encode() + body
    numbers = itertools.count()
    return lambda: b"%b%016x%b" % (first, next(numbers), rest)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--exchange", type=Path, required=True, help="JSON: path, expected, body, headers, unique")
    parser.add_argument("--slow", default="", help="path of the slow requests, which are answered with the same body")
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--share", type=float, default=0.0, help="of the slow requests")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--warm-up", type=float, default=3.0, help="seconds of the same load that do not count")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--life", type=int, default=30, help="requests that a connection carries before it is closed")
    parser.add_argument("--most", type=int, default=256, help="connections where none is free")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of the slow requests")
    load = Load(parser.parse_args())
    take_precedence()
    # select() takes its timeout in microseconds, where asyncio's epoll rounds up to milliseconds
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(load.run())
    print(json.dumps(load.summary()))


if __name__ == "__main__":
    main()

"""A load generator in a process of its own: sends a number of requests over several connections, and checks every
answer.

Either one request (a path, and what it answers), or a mix of them (`--mix`, a JSON file: a list of objects with
"method", "path", "headers", "body", "status" and "expected"), taken in turn.
"""

import argparse
import asyncio
import itertools
import json
import time
from pathlib import Path
from typing import NamedTuple


class Connection(asyncio.Protocol):
    """A connection that sends one request after the other until the shared stock of requests is used up."""

    def __init__(self, load: "Load") -> None:
        self._load = load
        self._buffer = bytearray()
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) >= end + 4 + length:
            body = bytes(self._buffer[end + 4 : end + 4 + length])
            del self._buffer[: end + 4 + length]
            expected = self._exchange.expected
            right = head[9:12] == self._exchange.status and (expected is None or body == expected)
            self._load.answered(time.perf_counter() - self._began, right)
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self)

    def _next(self) -> None:
        if self._load.take():
            self._began = time.perf_counter()
            self._exchange = next(self._load.exchanges)
            self._transport.write(self._exchange.request)  # type: ignore[attr-defined]
        else:
            self._transport.close()


class Exchange(NamedTuple):
    """A request, and the expected answer. `expected` None: any body will do."""

    request: bytes
    status: bytes
    expected: bytes | None


def exchange(
    path: str,
    expected: str | None = None,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: str = "",
    status: int = 200,
) -> Exchange:
    """Render a request."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    if body:
        lines.append(f"Content-Length: {len(body.encode())}")
    head = "\r\n".join([*lines, "", ""])
    return Exchange((head + body).encode(), str(status).encode(), None if expected is None else expected.encode())


class Load:
    """The stock of requests, and their results."""

    def __init__(self, total: int, exchanges: "list[Exchange]") -> None:
        self.exchanges = itertools.cycle(exchanges)
        self.left = total
        self.done = 0
        self.errors = 0
        self.times: list[float] = []
        self.open = 0
        self.finished = asyncio.Event()

    def take(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def answered(self, seconds: float, right: bool) -> None:
        self.done += 1
        self.errors += not right
        self.times.append(seconds)

    def lost(self, connection: Connection) -> None:
        self.open -= 1
        if not self.open:
            self.finished.set()


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("path", nargs="?")
    parser.add_argument("expected", nargs="?")
    parser.add_argument("--mix", type=Path)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--body", type=int, default=0)
    given = parser.parse_args()
    if given.mix is not None:
        exchanges = [exchange(**item) for item in json.loads(given.mix.read_text(encoding="utf-8"))]
    else:
        exchanges = [exchange(given.path, given.expected, "POST" if given.body else "GET", body="x" * given.body)]
    load = Load(given.requests, exchanges)
    load.open = given.connections
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    for _ in range(given.connections):
        await loop.create_connection(lambda: Connection(load), "127.0.0.1", given.port)
    await load.finished.wait()
    seconds = time.perf_counter() - began
    times = sorted(load.times)
    print(
        json.dumps(
            {
                "requests": load.done,
                "errors": load.errors + given.requests - load.done,
                "per_second": load.done / seconds,
                "p50_ms": times[len(times) // 2] * 1000,
                "p99_ms": times[len(times) * 99 // 100] * 1000,
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(main())

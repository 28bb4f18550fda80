"""A load of exactly so many requests over so many connections, every answer checked: run in a process of its own."""

import argparse
import asyncio
import json
import time


class Connection(asyncio.Protocol):
    """Sends one request after the other until the shared stock of them is used up."""

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
            self._load.answered(time.perf_counter() - self._began, head[9:12] == b"200" and body == self._load.expected)
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self)

    def _next(self) -> None:
        if self._load.take():
            self._began = time.perf_counter()
            self._transport.write(self._load.request)  # type: ignore[attr-defined]
        else:
            self._transport.close()


class Load:
    """The stock of requests, and what became of them."""

    def __init__(self, total: int, request: bytes, expected: bytes) -> None:
        self.request = request
        self.expected = expected
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
    parser.add_argument("path")
    parser.add_argument("expected")
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--body", type=int, default=0)
    given = parser.parse_args()
    method = "POST" if given.body else "GET"
    length = f"Content-Length: {given.body}\r\n" if given.body else ""
    head = f"{method} {given.path} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n".encode()
    load = Load(given.requests, head + b"x" * given.body, given.expected.encode())
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

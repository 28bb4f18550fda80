"""What an app costs by itself: called in a loop, without a server.

`python -m benchmarks.peers.bare CASE` prints the CPU time of a call in µs, the median of several runs in one process.

What a server takes beyond that is its own: reading and writing, parsing, finding a worker, and, for ASGI, the task in
which it calls the app, which the bare loop does not make. Lifespan is not run.
"""

import asyncio
import importlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.peers.case import Case
from benchmarks.peers.cases import CASES
from benchmarks.peers.contenders import ROOT
from benchmarks.peers.pythons import Python
from benchmarks.peers.running import Exchange

RUNS = 5
RUN_SECONDS = 0.3  # CPU time that a run takes at least


def bare_us(name: str, python: Python) -> float | None:
    """Run this module in a process of its own; returns its figure, or None if the app fails there."""
    command = [str(python.executable), "-m", "benchmarks.peers.bare", name]
    environ = {**os.environ, **python.environ}
    result = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120)
    if result.returncode:
        print(f"{name} by itself: {result.stderr.strip().rpartition(chr(10))[2]}", file=sys.stderr, flush=True)
        return None
    return float(result.stdout)


def measure(case: Case) -> float:
    """CPU time of a call in µs, of all threads."""
    module, _, attribute = case.app.partition(":")
    app = getattr(importlib.import_module(module), attribute)
    call = _asgi(app, case.exchange) if case.interface == "asgi" else _wsgi(app, case.exchange)
    count, spent = 10, call(10)
    while spent < RUN_SECONDS:
        count = int(count * min(10.0, 1.2 * RUN_SECONDS / max(spent, 1e-6))) + 1
        spent = call(count)
    return median(call(count) for _ in range(RUNS)) / count * 1e6


def _asgi(app: Any, exchange: Exchange) -> Callable[[int], float]:
    """Calls the app so many times; returns the CPU time in seconds."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST" if exchange.body else "GET",
        "scheme": "http",
        "path": exchange.path,
        "raw_path": exchange.path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in _headers(exchange).items()],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }

    async def once() -> int:
        """The length of the answer's body."""
        request = [{"type": "http.request", "body": exchange.body, "more_body": False}]
        length = 0

        async def receive() -> dict[str, Any]:
            if request:
                return request.pop()
            await asyncio.get_running_loop().create_future()  # the client stays
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            nonlocal length
            length += len(message.get("body", b""))

        await app({**scope, "state": {}}, receive, send)
        return length

    async def often(count: int) -> float:
        began = time.process_time()
        for _ in range(count):
            if await once() != len(exchange.expected):
                raise RuntimeError("wrong answer")
        return time.process_time() - began

    loop = asyncio.new_event_loop()
    return lambda count: loop.run_until_complete(often(count))


def _wsgi(app: Any, exchange: Exchange) -> Callable[[int], float]:
    """Calls the app so many times; returns the CPU time in seconds."""
    environ = {
        "REQUEST_METHOD": "POST" if exchange.body else "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": exchange.path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in _headers(exchange).items():
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        return lambda data: None

    def once() -> int:
        """The length of the answer's body."""
        pieces = app({**environ, "wsgi.input": io.BytesIO(exchange.body)}, start_response)
        try:
            return sum(map(len, pieces))
        finally:
            if hasattr(pieces, "close"):
                pieces.close()

    def often(count: int) -> float:
        began = time.process_time()
        for _ in range(count):
            if once() != len(exchange.expected):
                raise RuntimeError("wrong answer")
        return time.process_time() - began

    return often


def _headers(exchange: Exchange) -> dict[str, str]:
    length = {"Content-Length": str(len(exchange.body))} if exchange.body else {}
    return {"Host": "127.0.0.1:8000", **length, **exchange.fields()}


if __name__ == "__main__":
    print(measure(CASES[sys.argv[1]]))

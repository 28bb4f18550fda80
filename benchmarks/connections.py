"""The cost of idle keep-alive connections."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from statistics import median

from benchmarks.privileges import raise_file_limit
from benchmarks.server import Server, load, serving

COUNT = 10_000
RESTING = 5.0  # seconds in which the CPU time of a server at rest is measured
TURNS = 3
REQUESTS = 3000  # in each turn
APP = "benchmarks.apps.raw:app"


def connections() -> None:
    """10,000 idle connections, two workers: what each takes; without and with them, the latency of one more."""
    raise_file_limit()
    heading = f"{'RSS B each':>11}{'PSS B each':>11}{'CPU ms/s at rest':>20}{'p50 us':>16}{'p99 us':>16}"
    print(f"{'loop, parser':<18}{heading}")
    for loop, http in (("uvloop", "httptools"), ("asyncio", "h11")):
        if any(find_spec(name) is None for name in (loop, http)):
            print(f"{loop + ', ' + http:<18}(not installed)")
            continue
        options = ("-n", "2", "--loop", loop, "--http", http, "--timeout-keep-alive", "600")
        with serving(APP, *options) as server:
            print(f"{loop + ', ' + http:<18}{_measure(server)}", flush=True)


def _measure(server: Server) -> str:
    load(server, "/", "Hello, world!", requests=10_000)
    p50, p99 = _latency(server)
    resting = _cpu_at_rest(server)
    rss, pss = server.rss(), server.pss()
    with _holding(server, COUNT):
        time.sleep(1)
        rss, pss = (server.rss() - rss) // COUNT, (server.pss() - pss) // COUNT
        busy_p50, busy_p99 = _latency(server)
        resting_with = _cpu_at_rest(server)
    return (
        f"{rss:>11}{pss:>11}{f'{resting:.1f} -> {resting_with:.1f}':>20}"
        f"{f'{p50:.0f} -> {busy_p50:.0f}':>16}{f'{p99:.0f} -> {busy_p99:.0f}':>16}"
    )


def _latency(server: Server) -> tuple[float, float]:
    """Return median and 99th percentile, in µs, on one connection that sends requests one by one: medians of turns."""
    turns = [load(server, "/", "Hello, world!", requests=REQUESTS, connections=1) for _ in range(TURNS)]
    return median(turn["p50_ms"] for turn in turns) * 1000, median(turn["p99_ms"] for turn in turns) * 1000


def _cpu_at_rest(server: Server) -> float:
    """Return the CPU time at rest, in ms per second."""
    before = server.cpu_seconds()
    time.sleep(RESTING)
    return (server.cpu_seconds() - before) / RESTING * 1000


@contextmanager
def _holding(server: Server, count: int) -> Iterator[None]:
    """Hold so many idle connections, none of which may be lost at the end."""
    command = [sys.executable, "-m", "benchmarks.idle_connections", str(server.port), str(count)]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert client.stdin is not None
    assert client.stdout is not None
    try:
        _expect(client.stdout.readline(), {"open": count, "errors": 0})
        yield
        client.stdin.close()
        _expect(client.stdout.readline(), {"lost": 0})
        client.wait(30)
    finally:
        client.kill()
        client.wait()
        client.stdin.close()
        client.stdout.close()


def _expect(line: bytes, expected: dict[str, int]) -> None:
    if not line or json.loads(line) != expected:
        raise RuntimeError(f"the idle connections: {line.decode().strip() or 'the client ended'}, not {expected}")

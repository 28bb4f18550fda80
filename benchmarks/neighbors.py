"""What a flood of requests for one app does to another app."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from benchmarks.server import Server, at_rate, serving

APP = "benchmarks.apps.raw:app"
WORKERS = "2"  # of each app
HOST = "quiet.example"
FLOODED = ("/burn-2ms", "Hello, world!")
RATE = 20  # requests a second of the quiet app
SECONDS = 12.0  # of them, in each round
ROUNDS = 3
ENDLESS = 10_000_000  # requests of a flood, which is ended before


def neighbors() -> None:
    """20 requests/s for one app of two, two workers each: while the other has none, and 64 connections that flood it
    with requests of 2 ms of computing. Beside it, the same flood for another server, and for the same app."""
    measured: dict[str, list[dict[str, float]]] = {}
    for _ in range(ROUNDS):
        with serving(APP, "-n", WORKERS, "--mount", f"{HOST}={APP}") as server:
            _measure(measured, "no flood", server)
            with _flood(server):
                _measure(measured, "another app is flooded", server)
        with serving(APP, "-n", WORKERS) as server, serving(APP, "-n", WORKERS) as other:
            with _flood(other):
                _measure(measured, "another server is flooded", server, other)
            with _flood(server):
                _measure(measured, "the same app is flooded", server)
    print(f"{'':<28}{'p50 ms':>8}{'p90 ms':>8}{'p99 ms':>8}{'max ms':>8}{'errors':>8}{'CPUs':>6}   p99 of each round")
    for name, rounds in measured.items():
        p50, p90, p99 = (median(each[f"fast_{key}_ms"] for each in rounds) for key in ("p50", "p90", "p99"))
        most, errors = max(each["fast_max_ms"] for each in rounds), sum(each["errors"] for each in rounds)
        each_p99 = ", ".join(f"{each['fast_p99_ms']:.1f}" for each in rounds)
        cores = median(each["cores"] for each in rounds)
        print(f"{name:<28}{p50:>8.1f}{p90:>8.1f}{p99:>8.1f}{most:>8.1f}{errors:>8.0f}{cores:>6.2f}   {each_p99}")


def _measure(measured: dict[str, list[dict[str, float]]], name: str, server: Server, *others: Server) -> None:
    """Run one round of the quiet app's requests, and add what was found; `cores`: what all servers took of the CPUs."""
    servers = (server, *others)
    began, before = time.monotonic(), sum(each.cpu_seconds() for each in servers)
    found = at_rate(server, RATE, SECONDS, HOST)
    found["cores"] = (sum(each.cpu_seconds() for each in servers) - before) / (time.monotonic() - began)
    measured.setdefault(name, []).append(found)


@contextmanager
def _flood(server: Server) -> Iterator[None]:
    """Keep 64 connections busy, each of which sends its next request when the one before is answered."""
    command = [sys.executable, "-m", "benchmarks.client", str(server.port), *FLOODED, "--requests", str(ENDLESS)]
    client = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield
        if client.poll() is not None:
            raise RuntimeError("the flood ended too early")
    finally:
        client.kill()
        client.wait()

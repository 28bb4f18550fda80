"""What clients that hold connections, and take or send as little as they can, do to another client."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from threading import Thread

from benchmarks.privileges import raise_file_limit
from benchmarks.server import Server, at_rate, serving

APP = "benchmarks.apps.large:app"
MIB = 2**20
HEADS, READERS = 5000, 2000
RATE, SECONDS, ROUNDS = 50, 8.0, 3
PATIENCE = 120.0
"""Seconds for the attackers' requests to be through with the app: those of readers are 20 GB of answers."""


def slowloris() -> None:
    """50 requests/s for a WSGI app, two workers with 8 threads each: alone, beside 5000 clients that never complete a
    request's head, and beside 2000 that read 10 MiB at 4 KiB/s each, which are kept in files."""
    raise_file_limit()
    print(
        f"{'':<24}{'p50 ms':>8}{'p99 ms':>8}{'max ms':>8}{'errors':>8}{'RSS MiB':>9}{'made':>8}{'settled':>9}   "
        "p99 of each round"
    )
    with tempfile.TemporaryDirectory(dir=".") as folder:
        os.environ["TMPDIR"] = str(Path(folder).absolute())  # that of the system may be in memory
        try:
            _measure("alone", "", 0)
            _measure("slow heads", "heads", HEADS)
            _measure("slow readers", "readers", READERS)
        finally:
            del os.environ["TMPDIR"]


def _measure(name: str, kind: str, count: int) -> None:
    with serving(APP, "-n", "2", "--buffer-response-on-disk") as server:
        Thread(target=_read_all, args=(server,), daemon=True).start()
        at_rate(server, RATE, 2.0)
        before = server.rss()
        with _attacked(server, kind, count) as made:
            settling = _settle(server)
            found = [at_rate(server, RATE, SECONDS) for _ in range(ROUNDS)]
            grown = server.rss() - before
        p50, p99, most = (median(each[f"fast_{key}_ms"] for each in found) for key in ("p50", "p99", "max"))
        errors = sum(each["errors"] for each in found)
        each_p99 = ", ".join(f"{each['fast_p99_ms']:.2f}" for each in found)
        print(
            f"{name:<24}{p50:>8.2f}{p99:>8.2f}{most:>8.1f}{errors:>8.0f}{grown / MIB:>+9.0f}{made[0]:>8}"
            f"{settling:>7.0f} s   {each_p99}",
            flush=True,
        )


def _settle(server: Server) -> float:
    """Wait until the app answers at once; returns how many seconds that took."""
    began = time.monotonic()
    while time.monotonic() < began + PATIENCE:
        found = at_rate(server, RATE, 1.0)
        if not found["errors"] and found["fast_max_ms"] < 100:
            break
    return time.monotonic() - began


def _read_all(server: Server) -> None:
    """Read the log, or the server would wait for that."""
    assert server.process.stderr is not None
    try:
        while server.process.stderr.readline():
            pass
    except ValueError:  # it is closed
        pass


@contextmanager
def _attacked(server: Server, kind: str, count: int) -> Iterator[list[int]]:
    """Have so many attackers; the list has the number of connections that they made, at the end."""
    made = [0]
    if not count:
        yield made
        return
    command = [sys.executable, "-m", "benchmarks.attackers", str(server.port), kind, str(count)]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert client.stdin is not None
    assert client.stdout is not None
    try:
        connected = json.loads(client.stdout.readline())["connected"]
        if connected < count:
            raise RuntimeError(f"only {connected} of {count} attackers could connect")
        yield made
        client.stdin.close()
        made[0] = json.loads(client.stdout.readline())["made"]
        client.wait(30)
    finally:
        client.kill()
        client.wait()
        client.stdin.close()
        client.stdout.close()

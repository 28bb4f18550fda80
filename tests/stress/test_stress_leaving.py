"""Five hundred clients that leave endless streams, again and again: memory and CPU are as before within ten seconds."""

import json
import os
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import Server, running, wait_until

pytestmark = pytest.mark.stress

CLIENTS = 500
ROUNDS = 8
WITHIN = 10.0
"""Seconds after the last client has left, in which every stream must have ended."""

IDLE = 0.05
"""Of a CPU: what a server may take that has nothing to do."""

GROWTH, GROWTH_OF_PEAKS = 1.05, 1.3
"""Memory after the last round, as a multiple of that after half of them. A stream that never waits fills all buffers
of clients that do not read, a hundred megabytes, and the C library keeps of such a peak what is not in one piece; it
levels off at twice what a server has otherwise."""

APPS = ["raw", "restless", "starlette", "fastapi", "quart", "django", "falcon", "litestar", "wsgi"]


def cpu_seconds(server: Server) -> float:
    ticks = sum(
        sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
        for pid in (server.pid, *server.children())
    )
    return ticks / os.sysconf("SC_CLK_TCK")


def told(server: Server) -> int:
    return json.loads(server.get("/running").body)["running"]


@pytest.mark.parametrize("app", APPS)
def test_endless_streams_that_are_left(app):
    options = [] if app in ("raw", "restless", "wsgi") else ["--factory"]
    sizes = []
    with running(f"leaving:{app}", *options, "--threads", str(CLIENTS + 8), "--no-access-log", workers=1) as server:
        for _ in range(ROUNDS):
            with ExitStack() as stack:
                for _ in range(CLIENTS):
                    sock = stack.enter_context(server.connect())
                    sock.sendall(b"GET /stream HTTP/1.1\r\nHost: t\r\n\r\n")
                wait_until(lambda: told(server) == CLIENTS, "all streams go on", patience=60)
            left = time.monotonic()
            wait_until(lambda: told(server) == 0, "all streams have ended", patience=60)
            took = time.monotonic() - left
            assert took < WITHIN
            sizes.append(server.rss())
        before, began = cpu_seconds(server), time.monotonic()
        time.sleep(2.0)  # what it takes when nothing is to be done is the question
        share = (cpu_seconds(server) - before) / (time.monotonic() - began)
        mib = [size >> 20 for size in sizes]
        print(f"\n{app}: ended within {took:.1f} s; MiB after each round {mib}; idle {share:.1%} of a CPU")
        assert share < IDLE
        assert sizes[-1] < sizes[ROUNDS // 2] * (GROWTH_OF_PEAKS if app == "restless" else GROWTH)
        assert server.stop() == 0
        warned = [line for line in server.err.splitlines() if " INFO " not in line]
        if app == "falcon":  # it goes on in pure Python
            warned = [line for line in warned if "a C extension of falcon" not in line]
        assert not warned, server.err

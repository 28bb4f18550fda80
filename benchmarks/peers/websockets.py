"""WebSockets: echoes under load, and sockets that do nothing.

The client (`benchmarks.websocket_client`) is a process of its own, which checks every echo. It offers no compression.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, ClassVar

from benchmarks.peers.case import Case, Column, Effort
from benchmarks.peers.contenders import ROOT
from benchmarks.peers.idle import settle
from benchmarks.peers.running import FailedError, Running

ECHO_SOCKETS = 64
IDLE_SOCKETS = 5000
SIZE = 1024  # bytes of a message


@dataclass(frozen=True)
class WebSocketLoad(Case):
    """64 sockets, each of which sends its next message of 1 KiB of text when the one before has come back."""

    kind: ClassVar = "websocket"
    columns: ClassVar = (
        Column("messages/s", "per_second", ",.0f"),
        Column("CPU µs", "cpu_us", ".1f"),
        Column("p50 ms", "p50_ms"),
        Column("p99 ms", "p99_ms"),
        Column("wrong", "errors", ".0f", max),
        Column("PSS MiB", "pss_mib", ".0f"),
    )
    charted: ClassVar = "cpu_us"

    def measure(self, server: Running, effort: Effort) -> dict[str, float]:
        """One round, after a warm-up of 1 s."""
        _load(server, 1.0)
        before = server.cpu_seconds()
        found = _load(server, effort.seconds)
        spent = server.cpu_seconds() - before
        return {**found, "cpu_us": spent / found["messages"] * 1e6, "pss_mib": server.pss() / 2**20}


@dataclass(frozen=True)
class IdleWebSockets(Case):
    """5,000 sockets that have echoed one message and then idle: memory for each, and how many are lost."""

    kind: ClassVar = "websocket"
    columns: ClassVar = (
        Column("KiB a socket", "socket_kib", ".1f"),
        Column("PSS MiB before", "before_mib", ".1f"),
        Column("PSS MiB with them", "pss_mib", ".1f"),
        Column("lost", "lost", ".0f", max),
    )
    charted: ClassVar = "socket_kib"

    def measure(self, server: Running, effort: Effort) -> dict[str, float]:
        """One round, after a few sockets that are closed again."""
        with _client(server, ECHO_SOCKETS):
            pass
        settle(server)
        before = server.pss()
        with _client(server, IDLE_SOCKETS) as (write, read):
            settle(server)
            after = server.pss()
            write.close()
            lost: dict[str, float] = json.loads(read.readline())
        return {
            "socket_kib": (after - before) / IDLE_SOCKETS / 1024,
            "before_mib": before / 2**20,
            "pss_mib": after / 2**20,
            **lost,
        }


def _load(server: Running, seconds: float) -> dict[str, float]:
    with _client(server, ECHO_SOCKETS, "--seconds", str(seconds)) as (write, read):
        write.write("go\n")
        write.flush()
        line = read.readline()
        if not line:
            raise FailedError("no echoes under load", "the client ended")
        found: dict[str, float] = json.loads(line)
        return found


@contextmanager
def _client(server: Running, sockets: int, *more: str) -> Iterator[tuple[IO[str], IO[str]]]:
    """A client whose sockets are open: its standard input and output."""
    command = [sys.executable, "-m", "benchmarks.websocket_client", str(server.port)]
    command += ["--sockets", str(sockets), "--size", str(SIZE), *more]
    client = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert client.stdin is not None
    assert client.stdout is not None
    assert client.stderr is not None
    with client:
        try:
            if client.stdout.readline() != "ready\n":
                raise FailedError("no WebSocket", client.stderr.read().strip().rpartition("\n")[2])
            yield client.stdin, client.stdout
        finally:
            client.kill()

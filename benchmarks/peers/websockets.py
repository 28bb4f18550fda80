"""WebSockets: echoes under load, and sockets that do nothing.

The client (`benchmarks.websocket_client`) is a process of its own, which checks every echo. It offers no compression.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar

from benchmarks.peers.case import Case, Column, Criterion, Effort
from benchmarks.peers.clients import Client, client
from benchmarks.peers.running import Running

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
    criteria: ClassVar = (Criterion("per_second", more_is_better=True), Criterion("cpu_us"))
    charted: ClassVar = "cpu_us"

    def measure(self, server: Running, effort: Effort) -> dict[str, float]:
        """Run one round, after a warm-up of 1 s."""
        _load(server, 1.0)
        before = server.cpu_seconds()
        found = _load(server, effort.seconds)
        spent = server.cpu_seconds() - before
        return {
            **found,
            "requests": found["messages"],
            "cpu_us": spent / found["messages"] * 1e6,
            "pss_mib": server.pss() / 2**20,
        }


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
    criteria: ClassVar = (Criterion("socket_kib"),)
    charted: ClassVar = "socket_kib"
    around: ClassVar = 15.0

    def measure(self, server: Running, effort: Effort) -> dict[str, float]:
        """Run one round, after a few sockets that are closed again."""
        with _client(server, ECHO_SOCKETS):
            pass
        server.wait_at_rest()
        before = server.pss()
        with _client(server, IDLE_SOCKETS) as sockets:
            server.wait_at_rest()
            after = server.pss()
            sockets.end()
            lost = sockets.wait_result()
        return {
            "socket_kib": (after - before) / IDLE_SOCKETS / 1024,
            "before_mib": before / 2**20,
            "pss_mib": after / 2**20,
            **lost,
        }


def _load(server: Running, seconds: float) -> dict[str, float]:
    with _client(server, ECHO_SOCKETS, "--seconds", seconds) as load:
        load.go()
        return load.wait_result()


def _client(server: Running, sockets: int, *more: object) -> AbstractContextManager[Client]:
    """Run a client, and wait until its sockets are open."""
    options = ("--sockets", sockets, "--size", SIZE, *more)
    return client("websocket_client", server.port, *options, trouble="no WebSocket")

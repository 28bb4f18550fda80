"""Server-sent events: 1,000 clients, each of which gets a small event ten times a second.

The client (`benchmarks.sse_client`) is a process of its own. Each event says when it was due, so whatever keeps one
makes it late, on its way or before. A server that sends fewer than 10,000 events a second is at its limit.
"""

import time
from dataclasses import dataclass
from typing import ClassVar

from benchmarks.peers.case import Case, Column, Criterion, Effort
from benchmarks.peers.clients import client
from benchmarks.peers.running import Running

STREAMS = 1000
PATH = "/events"
WARM_UP = 1.0  # seconds, while which what came in with the connections settles


@dataclass(frozen=True)
class EventStreams(Case):
    """What an event costs, and by how much it is late."""

    columns: ClassVar = (
        Column("events/s", "per_second", ",.0f"),
        Column("CPU µs an event", "cpu_us", ".1f"),
        Column("late p50 ms", "p50_ms", ".1f"),
        Column("late p99 ms", "p99_ms", ".1f"),
        Column("later than 100 ms", "late", ",.0f", max),
        Column("PSS MiB", "pss_mib", ".0f"),
    )
    criteria: ClassVar = (Criterion("cpu_us"), Criterion("p99_ms"))
    charted: ClassVar = "cpu_us"
    around: ClassVar = 6.0

    def measure(self, server: Running, effort: Effort) -> dict[str, float]:
        """Run one round."""
        options = (PATH, "--streams", STREAMS, "--seconds", effort.seconds)
        with client("sse_client", server.port, *options, trouble="no event streams") as streams:
            time.sleep(WARM_UP)
            before = server.cpu_seconds()
            streams.go()
            found = streams.wait_result()
            spent = server.cpu_seconds() - before
            pss = server.pss()
        return {**found, "requests": found["events"], "cpu_us": spent / found["events"] * 1e6, "pss_mib": pss / 2**20}

"""A fixed rate of requests, one in ten of which needs 20 ms of a core: how long the others take meanwhile.

300 requests a second with those 20 ms are 0.6 cores of work. Which of the requests are slow is drawn at random, from a
seed that is the same for all contenders.
"""

from dataclasses import dataclass
from typing import ClassVar

from benchmarks.peers.case import Case, Column, Criterion, Effort
from benchmarks.peers.fixed_rate import open_loop
from benchmarks.peers.running import Running

RATE = 300  # requests a second
SHARE = 0.1  # of them are slow
SLOW = "/burn-20ms"
WARM_UP = 3.0  # seconds


@dataclass(frozen=True)
class Mixed(Case):
    """Fast requests, measured from when they were due, among slow ones."""

    columns: ClassVar = (
        Column("fast p50 ms", "fast_p50_ms"),
        Column("fast p90 ms", "fast_p90_ms"),
        Column("fast p99 ms", "fast_p99_ms"),
        Column("fast max ms", "fast_max_ms", ".1f", max),
        Column("slow p50 ms", "slow_p50_ms", ".1f", optional=True),
        Column("slow p99 ms", "slow_p99_ms", ".1f", optional=True),
        Column("errors", "errors", ".0f", max),
        Column("connections", "connections", ".0f", max),
        Column("client late p99 ms", "client_late_p99_ms"),
    )
    criteria: ClassVar = (Criterion("fast_p50_ms"), Criterion("fast_p99_ms"))
    charted: ClassVar = "fast_p99_ms"
    seconds: ClassVar = 10.0
    around: ClassVar = 2.0 + WARM_UP

    def measure(self, server: Running, effort: Effort) -> dict[str, float]:
        """Run one round, after a warm-up."""
        slow = ("--slow", SLOW, "--share", SHARE)
        return open_loop(server, self.exchange, effort, "--rate", RATE, "--warm-up", WARM_UP, *slow)

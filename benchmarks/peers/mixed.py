"""A fixed rate of requests, one in ten of which needs 20 ms of a core: how long the others take meanwhile.

300 requests a second with those 20 ms are 0.6 cores of work. Which of the requests are slow is drawn at random, from a
seed that is the same for all contenders.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

from benchmarks.peers.case import Case, Column, Effort
from benchmarks.peers.running import FailedError, Running

RATE = 300  # requests a second
SHARE = 0.1  # of them are slow
SLOW = "/burn-20ms"


@dataclass(frozen=True)
class Mixed(Case):
    """Fast requests, measured from when they were due, among slow ones."""

    columns: ClassVar = (
        Column("fast p50 ms", "fast_p50_ms"),
        Column("fast p90 ms", "fast_p90_ms"),
        Column("fast p99 ms", "fast_p99_ms"),
        Column("fast max ms", "fast_max_ms", ".1f", max),
        Column("slow p50 ms", "slow_p50_ms", ".1f"),
        Column("slow p99 ms", "slow_p99_ms", ".1f"),
        Column("errors", "errors", ".0f", max),
        Column("connections", "connections", ".0f", max),
        Column("client late p99 ms", "client_late_p99_ms"),
    )
    charted: ClassVar = "fast_p99_ms"
    seconds: ClassVar = 10.0

    def measure(self, server: Running, effort: Effort) -> dict[str, float]:
        """One round, after a warm-up of 3 s."""
        command = [sys.executable, "-m", "benchmarks.open_loop", str(server.port)]
        command += ["--fast", self.exchange.path, "--slow", SLOW, "--expected", self.exchange.expected.decode()]
        command += ["--rate", str(RATE), "--share", str(SHARE), "--seconds", str(effort.seconds)]
        command += ["--connections", str(effort.connections), "--seed", str(effort.seed)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=effort.seconds + 60)
        if result.returncode:
            raise FailedError("no answers under load", result.stderr.strip().splitlines()[-1])
        found: dict[str, float] = json.loads(result.stdout)
        return found

"""The same rate of requests for all, at fixed times: how long answers take where nobody is at the limit.

The rate is half of what the slowest of them can take, as it was found before in the same run. Each request counts from
when it was due (`benchmarks.open_loop`).
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from benchmarks.peers.case import Case, Column, Criterion, Effort
from benchmarks.peers.running import Exchange, FailedError, Running

SHARE_OF_SLOWEST = 0.5
CLIENT_RATE = 3000.0  # requests a second that the client can send when they are due, and check
ENOUGH = 1000  # requests in a round, for a 99th percentile that is worth the name
MOST_SECONDS = 10.0  # of a round, which are not exceeded for the sake of ENOUGH
WARM_UP = 1.0  # seconds


@dataclass(frozen=True)
class FixedRate(Case):
    """The request of another case, at a rate."""

    rate: float

    columns: ClassVar = (
        Column("p50 ms", "p50_ms"),
        Column("p90 ms", "p90_ms"),
        Column("p99 ms", "p99_ms"),
        Column("max ms", "max_ms", ".1f", max),
        Column("errors", "errors", ".0f", max),
        Column("connections", "connections", ".0f", max),
        Column("client late p99 ms", "client_late_p99_ms"),
    )
    criteria: ClassVar = (Criterion("p50_ms"), Criterion("p99_ms"))
    charted: ClassVar = "p99_ms"

    def measure(self, server: Running, effort: Effort) -> dict[str, float]:
        """Run one round."""
        effort = replace(effort, seconds=seconds_at(self.rate, effort.seconds))
        found = open_loop(server, self.exchange, effort, "--rate", self.rate, "--warm-up", WARM_UP)
        return {key.removeprefix("fast_"): value for key, value in found.items()}


def choose_rate(most: Mapping[str, float]) -> tuple[float, str] | None:
    """Choose a rate by the maximum of each contender; returns requests a second, and a line on the choice."""
    found = {name: each for name, each in most.items() if each > 0}
    if not found:
        return None
    slowest = min(found, key=found.__getitem__)
    rate = SHARE_OF_SLOWEST * found[slowest]
    if rate > CLIENT_RATE:
        return CLIENT_RATE, f"{CLIENT_RATE:,.0f} requests/s, the most that the client can send in time."
    return rate, f"{rate:,.0f} requests/s, half of what the slowest of them took ({slowest})."


def seconds_at(rate: float, seconds: float) -> float:
    """Choose a round's length: as given, or up to MOST_SECONDS if that makes ENOUGH requests."""
    return max(seconds, min(ENOUGH / rate, MOST_SECONDS))


def open_loop(server: Running, exchange: Exchange, effort: Effort, *options: object) -> dict[str, float]:
    """Run the client in a process of its own; returns what it saw."""
    command = [sys.executable, "-m", "benchmarks.open_loop", str(server.port), *map(str, options)]
    command += ["--seconds", str(effort.seconds), "--connections", str(effort.connections), "--seed", str(effort.seed)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(exchange.data(), file)
        file.flush()
        command += ["--exchange", file.name]
        result = subprocess.run(command, capture_output=True, text=True, timeout=effort.seconds + 60)
    if result.returncode:
        raise FailedError("no answers under load", result.stderr.strip().rpartition("\n")[2])
    found: dict[str, float] = json.loads(result.stdout)
    if "fast_p50_ms" not in found:
        raise FailedError("no answers under load", f"{found['errors']:.0f} errors")
    return found

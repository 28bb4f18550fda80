"""Servers that do nothing: the memory of their workers once each has served, and the time to their first answer."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar
from urllib.request import urlopen

from benchmarks.peers.case import Case, Column, Criterion, Effort
from benchmarks.peers.running import FailedError, Running

WHO = "/worker"  # answers with the name of the worker, see benchmarks.apps.work
BATCH = 16  # requests at once, each on a connection of its own
LEAST, MOST = 400, 3200  # requests; the first number is enough where all workers have answered by then


@dataclass(frozen=True)
class Idle(Case):
    """Proportional memory at rest, and seconds from the start to the first answer, which one worker may give."""

    kind: ClassVar = "idle"
    columns: ClassVar = (
        Column("PSS MiB", "pss_mib", ".1f"),
        Column("first answer s", "start_s"),
        Column("workers that answered", "workers_seen", ".0f", min),
    )
    criteria: ClassVar = (Criterion("pss_mib"), Criterion("start_s"))
    charted: ClassVar = "pss_mib"
    workers: ClassVar = 8
    around: ClassVar = 5.0

    def measure(self, server: Running, effort: Effort) -> dict[str, float]:
        """Run one round."""
        url = f"http://127.0.0.1:{server.port}{WHO}"
        seen: set[bytes] = set()
        sent = 0
        server.wait_at_rest()
        with ThreadPoolExecutor(BATCH) as pool:
            while sent < LEAST or (len(seen) < effort.workers and sent < MOST):
                seen.update(pool.map(_fetch, [url] * BATCH))
                sent += BATCH
        server.wait_at_rest()
        return {"pss_mib": server.pss() / 2**20, "start_s": server.start_s, "workers_seen": len(seen)}


def _fetch(url: str) -> bytes:
    try:
        with urlopen(url, timeout=10) as response:
            body: bytes = response.read()
            return body
    except OSError as error:
        raise FailedError("wrong answer", str(error)) from None

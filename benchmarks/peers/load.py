"""As many requests as a server can take, from wrk: requests a second, CPU time, latency, memory.

CPU time is of the whole process tree, user and system, for each request: on shared machines it is far steadier than
requests a second.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from typing import ClassVar

from benchmarks.peers.case import Case, Column, Effort
from benchmarks.peers.running import Exchange, FailedError, Running

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}  # in milliseconds
_SOCKET_ERRORS = r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)"


@dataclass(frozen=True)
class Load(Case):
    """A load over a fixed number of connections, each of which sends its next request when it has its answer."""

    columns: ClassVar = (
        Column("requests/s", "per_second", ",.0f"),
        Column("CPU µs", "cpu_us", ".1f"),
        Column("own µs", "own_us", ".1f"),
        Column("p50 ms", "p50_ms"),
        Column("p99 ms", "p99_ms"),
        Column("errors", "errors", ".0f"),
        Column("PSS MiB", "pss_mib", ".0f"),
        Column("first answer s", "start_s"),
    )
    charted: ClassVar = "cpu_us"

    def measure(self, server: Running, effort: Effort) -> dict[str, float]:
        """One round, after a warm-up of 1 s."""
        command = ["wrk", "-t1", f"-c{effort.connections}", "--latency"]
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(_script(self.exchange))
            script.flush()
            command += ["-s", script.name, f"http://127.0.0.1:{server.port}{self.exchange.path}"]
            _wrk(command, 1.0)
            before = server.cpu_seconds()
            text = _wrk(command, effort.seconds)
            spent = server.cpu_seconds() - before
        return {**_read(text, spent), "pss_mib": server.pss() / 2**20, "start_s": server.start_s}


def _wrk(command: list[str], seconds: float) -> str:
    result = subprocess.run([*command, f"-d{seconds:g}s"], capture_output=True, text=True)
    if result.returncode:
        raise FailedError("no answers under load", (result.stderr or result.stdout).strip())
    return result.stdout


def _script(exchange: Exchange) -> str:
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in exchange.headers.items()]
    if exchange.body:
        lines += ['wrk.method = "POST"', f"wrk.body = [==[{exchange.body.decode()}]==]"]
    return "\n".join(lines)


def _read(text: str, spent: float) -> dict[str, float]:
    requests, per_second = re.search(r"(\d+) requests in", text), re.search(r"Requests/sec:\s+([\d.]+)", text)
    if requests is None or per_second is None or not int(requests[1]):
        raise FailedError("no answers under load", text.strip().splitlines()[-1] if text.strip() else "(nothing)")
    statuses, sockets = re.search(r"Non-2xx or 3xx responses: (\d+)", text), re.search(_SOCKET_ERRORS, text)
    return {
        "per_second": float(per_second[1]),
        "cpu_us": spent / int(requests[1]) * 1e6,
        "p50_ms": _milliseconds(text, "50%"),
        "p99_ms": _milliseconds(text, "99%"),
        "errors": (int(statuses[1]) if statuses else 0) + (sum(map(int, sockets.groups())) if sockets else 0),
    }


def _milliseconds(text: str, quantile: str) -> float:
    found = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s|m)\b", text)
    return float(found[1]) * _UNITS[found[2]] if found else float("nan")

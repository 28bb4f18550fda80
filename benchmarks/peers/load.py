"""As many requests as a server can take, from wrk: requests a second, CPU time, latency, memory.

CPU time is of the whole process tree, user and system, for each request: on shared machines it is far steadier than
requests a second. Where all workers are threads of one process it is divided into what the main thread has of it and
the rest; Linux counts it in hundredths of a second.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from typing import ClassVar

from benchmarks.peers.case import Case, Column, Criterion, Effort
from benchmarks.peers.running import UNIQUE, Exchange, FailedError, Running
from benchmarks.process import Spent

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}  # in milliseconds
_SOCKET_ERRORS = r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)"


@dataclass(frozen=True)
class Load(Case):
    """A load over a fixed number of connections, each of which sends its next request when it has its answer."""

    columns: ClassVar = (
        Column("requests/s", "per_second", ",.0f"),
        Column("CPU µs", "cpu_us", ".1f"),
        Column("own µs", "own_us", ".1f"),
        Column("main thread µs", "main_us", ".1f", optional=True),
        Column("of it system", "main_system_us", ".1f", optional=True),
        Column("other threads µs", "others_us", ".1f", optional=True),
        Column("p50 ms", "p50_ms"),
        Column("p99 ms", "p99_ms"),
        Column("errors", "errors", ".0f"),
        Column("PSS MiB", "pss_mib", ".0f"),
        Column("first answer s", "start_s"),
    )
    criteria: ClassVar = (Criterion("per_second", more_is_better=True), Criterion("cpu_us"))
    charted: ClassVar = "cpu_us"

    def measure(self, server: Running, effort: Effort) -> dict[str, float]:
        """Run one round, after a warm-up of 1 s."""
        command = ["wrk", "-t1", f"-c{effort.connections}", "--latency"]
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
            script.write(_script(self.exchange))
            script.flush()
            command += ["-s", script.name, f"{self.exchange.scheme}://127.0.0.1:{server.port}{self.exchange.path}"]
            _wrk(command, 1.0)
            server.wait_at_rest(0.1)  # it may be at requests of the warm-up whose client has gone
            before, spent = server.cpu_seconds(), server.spent()
            text = _wrk(command, effort.seconds)
            seconds, spent_now = server.cpu_seconds() - before, server.spent()
        found = {**_read(text, seconds), "pss_mib": server.pss() / 2**20, "start_s": server.start_s}
        return found | (by_thread(spent, spent_now, found["requests"]) if server.one_process else {})


class FileLoad(Load):
    """A load on a file that servers send by themselves, if they can; of others the app sends it."""

    kind: ClassVar = "files"


class TlsLoad(Load):
    """A load over TLS."""

    kind: ClassVar = "tls"


def _wrk(command: list[str], seconds: float) -> str:
    result = subprocess.run([*command, f"-d{seconds:g}s"], capture_output=True, text=True)
    if result.returncode:
        raise FailedError("no answers under load", (result.stderr or result.stdout).strip())
    return result.stdout


def _script(exchange: Exchange) -> str:
    lines = [f'wrk.headers["{name}"] = "{value}"' for name, value in exchange.headers.items()]
    if exchange.body:
        lines += ['wrk.method = "POST"', f"wrk.body = [==[{exchange.body.decode()}]==]"]
    if any(UNIQUE in value for value in exchange.headers.values()):
        lines.append(_VARYING.replace("UNIQUE", UNIQUE))
    return "\n".join(lines)


# wrk writes the request once, and the script puts another number into it each time. The second at which a run begins
# is in it, too: the warm-up and the run that counts are in different ones.
_VARYING = """
local before, after
local run, count = os.time(), 0
function init(args)
  local text = wrk.format()
  local first, last = text:find("UNIQUE", 1, true)
  before, after = text:sub(1, first - 1), text:sub(last + 1)
end
function request()
  count = count + 1
  return before .. string.format("%016x%016x", run, count) .. after
end
"""


def by_thread(before: dict[int, Spent], after: dict[int, Spent], requests: float) -> dict[str, float]:
    """Compute CPU time a request in µs, by thread, of the process that has taken the most."""
    both = before.keys() & after.keys()
    if not both:
        return {}
    busiest = max(both, key=lambda pid: after[pid].total - before[pid].total)
    total, user, system = (b - a for a, b in zip(before[busiest], after[busiest], strict=True))
    each = 1e6 / requests
    return {
        "main_us": (user + system) * each,
        "main_system_us": system * each,
        "others_us": max(0.0, total - user - system) * each,
    }


def _read(text: str, spent: float) -> dict[str, float]:
    requests, per_second = re.search(r"(\d+) requests in", text), re.search(r"Requests/sec:\s+([\d.]+)", text)
    if requests is None or per_second is None or not int(requests[1]):
        raise FailedError("no answers under load", text.strip().splitlines()[-1] if text.strip() else "(nothing)")
    statuses, sockets = re.search(r"Non-2xx or 3xx responses: (\d+)", text), re.search(_SOCKET_ERRORS, text)
    return {
        "requests": int(requests[1]),
        "per_second": float(per_second[1]),
        "cpu_us": spent / int(requests[1]) * 1e6,
        "p50_ms": _milliseconds(text, "50%"),
        "p99_ms": _milliseconds(text, "99%"),
        "errors": (int(statuses[1]) if statuses else 0) + (sum(map(int, sockets.groups())) if sockets else 0),
    }


def _milliseconds(text: str, quantile: str) -> float:
    found = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s|m)\b", text)
    return float(found[1]) * _UNITS[found[2]] if found else float("nan")

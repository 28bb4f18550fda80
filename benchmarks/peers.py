"""Snakepit beside its peers: the same app, the same number of workers, wrk as the client, rounds interleaved.

CPU time is of the whole process tree, user and system, for each request: on shared machines it is far steadier than
requests a second. PSS is proportional memory, which counts what processes share once.
"""

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from urllib.request import Request, urlopen

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
PATIENCE = 30.0  # seconds until a server that does not come up is given up
_TICKS = os.sysconf("SC_CLK_TCK")

type Command = Callable[[str, str, int, int], list[str]]


def _snakepit(*options: str) -> Command:
    def command(app: str, interface: str, port: int, workers: int) -> list[str]:
        base = [str(BIN / "snakepit"), "run", app, "-n", str(workers), "--port", str(port), "--no-access-log"]
        return [*base, "--interface", interface, "--log-level", "warning", *options]

    return command


def _uvicorn(*options: str) -> Command:
    def command(app: str, interface: str, port: int, workers: int) -> list[str]:
        base = [str(BIN / "uvicorn"), app, "--workers", str(workers), "--port", str(port), "--no-access-log"]
        return [*base, "--log-level", "warning", *options]

    return command


def _granian(app: str, interface: str, port: int, workers: int) -> list[str]:
    base = [str(BIN / "granian"), app, "--interface", interface, "--workers", str(workers), "--port", str(port)]
    return [*base, "--no-access-log", "--log-level", "warning"]


def _hypercorn(app: str, interface: str, port: int, workers: int) -> list[str]:
    base = [str(BIN / "hypercorn"), app, "-w", str(workers), "-b", f"127.0.0.1:{port}", "-k", "uvloop"]
    return [*base, "--log-level", "warning"]


def _gunicorn(app: str, interface: str, port: int, workers: int) -> list[str]:
    base = [str(BIN / "gunicorn"), app, "-w", str(workers), "-b", f"127.0.0.1:{port}", "--log-level", "warning"]
    return [*base, "-k", "asgi"] if interface == "asgi" else [*base, "-k", "gthread", "--threads", "8"]


def _waitress(app: str, interface: str, port: int, workers: int) -> list[str]:
    return [str(BIN / "waitress-serve"), "--threads", "8", "--listen", f"127.0.0.1:{port}", app]


def _caddysnake(app: str, interface: str, port: int, workers: int) -> list[str]:
    base = [str(BIN / "caddysnake"), "-t", interface, "-a", app, "-l", f"127.0.0.1:{port}", "-w", str(workers)]
    return [*base, "--working-dir", str(HERE.parent)]


@dataclass(frozen=True, slots=True)
class Contender:
    """A server, how it is started, and which interfaces it serves."""

    name: str
    command: Command
    interfaces: tuple[str, ...] = ("asgi", "wsgi")


CONTENDERS = [
    Contender("snakepit", _snakepit()),
    Contender("snakepit, h11 + asyncio", _snakepit("--http", "h11", "--loop", "asyncio")),
    Contender("uvicorn", _uvicorn(), ("asgi",)),
    Contender("uvicorn, h11 + asyncio", _uvicorn("--http", "h11", "--loop", "asyncio"), ("asgi",)),
    Contender("granian", _granian),
    Contender("hypercorn", _hypercorn, ("asgi",)),
    Contender("gunicorn", _gunicorn),
    Contender("waitress", _waitress, ("wsgi",)),
    Contender("caddysnake", _caddysnake),
]


@dataclass(frozen=True, slots=True)
class Case:
    """An app, a path, and what must come back. `script`: a wrk script; `rate`: requests a second, not as many as go."""

    app: str
    interface: str
    path: str
    expected: bytes
    body: bytes = b""
    script: str = ""


_UPLOAD = 'wrk.method = "POST"\nwrk.body = string.rep("x", 65536)\n'
CASES = {
    "raw": Case("benchmarks.apps.raw:app", "asgi", "/", b"Hello, world!"),
    "starlette": Case("benchmarks.apps.starlette_app:app", "asgi", "/", b"Hello, world!"),
    "flask": Case("benchmarks.apps.flask_app:app", "wsgi", "/", b"Hello, world!"),
    "django": Case("benchmarks.apps.django_app:application", "wsgi", "/", b"Hello, world!"),
    "django-asgi": Case("benchmarks.apps.django_app:asgi", "asgi", "/", b"Hello, world!"),
    "cpu": Case("benchmarks.apps.raw:app", "asgi", "/burn", b"%d" % sum(range(400_000))),
    "response-64k": Case("benchmarks.apps.raw:app", "asgi", "/64k", b"x" * 65536),
    "upload-64k": Case("benchmarks.apps.raw:app", "asgi", "/upload", b"65536", b"x" * 65536, _UPLOAD),
    "stream": Case("benchmarks.apps.raw:app", "asgi", "/stream", b"x" * 1024 * 16),
}


@dataclass(slots=True)
class Figures:
    """What was measured of one contender in one case, a value for each round."""

    per_second: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    pss_mib: list[float] = field(default_factory=list)
    start_s: list[float] = field(default_factory=list)

    def medians(self) -> dict[str, float]:
        """The median of each."""
        return {name: median(getattr(self, name)) for name in self.__slots__ if getattr(self, name)}


class Running:
    """A contender's process tree."""

    def __init__(self, contender: Contender, case: Case, workers: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop()
        began = time.monotonic()
        self._process = subprocess.Popen(
            contender.command(case.app, case.interface, self.port, workers),
            cwd=HERE.parent,
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self._check_until(case, began + PATIENCE)
        except BaseException:
            self.stop()
            raise
        self.start_s = time.monotonic() - began

    def _check_until(self, case: Case, end: float) -> None:
        url = f"http://127.0.0.1:{self.port}{case.path}"
        while True:
            try:
                with urlopen(Request(url, data=case.body or None), timeout=10) as response:
                    got = response.read()
                if got != case.expected:
                    raise RuntimeError(f"wrong answer: {got[:80]!r}")
                return
            except OSError as error:
                if self._process.poll() is not None or time.monotonic() > end:
                    self._log.seek(0)
                    raise RuntimeError(f"does not serve: {error}\n{self._log.read().decode()[-2000:]}") from None
                time.sleep(0.005)

    def _tree(self) -> Iterator[int]:
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
                children.setdefault(parent, []).append(int(entry.name))
        todo = [self._process.pid]
        while todo:
            pid = todo.pop()
            yield pid
            todo += children.get(pid, [])

    def cpu_seconds(self) -> float:
        """User and system time of the tree, with what has ended in it."""
        total = 0
        for pid in self._tree():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += sum(map(int, fields[11:15]))
        return total / _TICKS

    def pss_mib(self) -> float:
        """Proportional memory of the tree."""
        total = 0
        for pid in self._tree():
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
            total += int(found[1]) if found else 0
        return total / 1024

    def stop(self) -> None:
        """End the process group that was started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                break
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                continue
        self._process.wait()
        self._log.close()


@contextmanager
def running(contender: Contender, case: Case, workers: int) -> Iterator[Running]:
    """A contender that is ended at the end, whatever happens."""
    server = Running(contender, case, workers)
    try:
        yield server
    finally:
        server.stop()


def measure(server: Running, case: Case, figures: Figures, connections: int, seconds: float) -> None:
    """Let wrk load the server, after a short warm-up."""
    command = ["wrk", "-t1", f"-c{connections}", "--latency", f"http://127.0.0.1:{server.port}{case.path}"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(case.script)
        script.flush()
        if case.script:
            command += ["-s", script.name]
        subprocess.run([*command, "-d1s"], check=True, capture_output=True)
        before = server.cpu_seconds()
        text = subprocess.run([*command, f"-d{seconds:g}s"], check=True, capture_output=True, text=True).stdout
        spent = server.cpu_seconds() - before
    requests = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]
    figures.per_second.append(float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1]))  # type: ignore[index]
    figures.cpu_us.append(spent / max(requests, 1) * 1e6)
    figures.p50_ms.append(_milliseconds(text, "50%"))
    figures.p99_ms.append(_milliseconds(text, "99%"))
    errors = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    figures.errors.append((int(errors[1]) if errors else 0) + (sum(map(int, sockets.groups())) if sockets else 0))
    figures.pss_mib.append(server.pss_mib())
    figures.start_s.append(server.start_s)


def _milliseconds(text: str, quantile: str) -> float:
    found = re.search(rf"{quantile}\s+([\d.]+)(us|ms|s)\b", text)
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]] if found else float("nan")


def compare(case: Case, contenders: list[Contender], options: argparse.Namespace) -> dict[str, Figures]:
    """All contenders in turns, `rounds` times over."""
    results: dict[str, Figures] = {}
    for round_ in range(options.rounds):
        for contender in contenders:
            figures = results.setdefault(contender.name, Figures())
            try:
                with running(contender, case, options.workers) as server:
                    measure(server, case, figures, options.connections, options.seconds)
            except RuntimeError as error:
                print(f"  {contender.name}, round {round_ + 1}: {str(error).splitlines()[0]}", file=sys.stderr)
    return {name: figures for name, figures in results.items() if figures.per_second}


def table(name: str, results: dict[str, Figures]) -> str:
    """A case's medians as a Markdown table."""
    lines = [
        f"### {name}",
        "",
        "| | requests/s | CPU µs | p50 ms | p99 ms | errors | PSS MiB | first answer s |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for contender, figures in results.items():
        of = figures.medians()
        lines.append(
            f"| {contender} | {of['per_second']:,.0f} | {of['cpu_us']:.1f} | {of['p50_ms']:.2f} | {of['p99_ms']:.2f} "
            f"| {of['errors']:.0f} | {of['pss_mib']:.0f} | {of['start_s']:.2f} |"
        )
    return "\n".join([*lines, ""])


def chart(measured: dict[str, dict[str, Figures]]) -> str:
    """CPU time a request as bars, each case scaled to its largest."""
    row, label, width = 18, 220, 460
    parts: list[str] = []
    y = 30
    for case, results in measured.items():
        parts.append(f'<text x="8" y="{y}" font-weight="bold">{case}: CPU µs a request</text>')
        most = max(figures.medians()["cpu_us"] for figures in results.values())
        for contender, figures in results.items():
            y += row
            value = figures.medians()["cpu_us"]
            colour = "#2a7f62" if contender.startswith("snakepit") else "#9aa5b1"
            size = value / most * width
            parts.append(f'<text x="{label - 8}" y="{y}" text-anchor="end">{contender}</text>')
            parts.append(f'<rect x="{label}" y="{y - 11}" width="{size:.0f}" height="13" fill="{colour}"/>')
            parts.append(f'<text x="{label + size + 6:.0f}" y="{y}">{value:.1f}</text>')
        y += row + 16
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{label + width + 80}" height="{y}" '
    return head + 'font-family="sans-serif" font-size="12">\n' + "\n".join(parts) + "\n</svg>\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--only", help="contenders, separated by commas; snakepit alone stands for all its kinds")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of load, in each round")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder for the table, figures and chart")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing; install it (Debian: apt-get install wrk)")
    unknown = set(options.cases) - set(CASES)
    if unknown:
        sys.exit(f"there is no case {', '.join(sorted(unknown))}; there are {', '.join(CASES)}")
    wanted = options.only.split(",") if options.only else None
    measured: dict[str, dict[str, Figures]] = {}
    report: list[str] = []
    for name in options.cases or CASES:
        case = CASES[name]
        contenders = [
            contender
            for contender in CONTENDERS
            if case.interface in contender.interfaces
            and (wanted is None or contender.name in wanted or contender.name.split(",")[0] in wanted)
        ]
        measured[name] = compare(case, contenders, options)
        report.append(table(name, measured[name]))
        print(report[-1], flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "peers.md").write_text("\n".join(report))
    (options.out / "peers.svg").write_text(chart(measured))
    figures = {case: {name: of.medians() for name, of in results.items()} for case, results in measured.items()}
    (options.out / "peers.json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()

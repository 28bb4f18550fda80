"""The server never stops answering: `make liveness`.

Loads that compute, wait, stream, and all of it, over few and many connections, with each runtime. No second except the
first, in which the load begins, may have less than a quarter of the median second's answers. Nothing may fail or be
logged, and no wake-up may be lost. It needs only the server.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path += [str(HERE.parent), str(HERE.parent / "e2e")]

from support import Server  # noqa: E402  # its folder, and that of what it imports, have to be found first

LEAST = 0.25
"""The part of the median second's answers that each second must have."""

ATTEMPTS = 3
"""Attempts for a load during which the machine was busy with other work in more than half of the seconds."""

PATHS = {
    "app": ["/compute/0.2", "/compute/1", "/compute/3", "/compute/10", "/compute/30", "/mixed", "/stream/1"],
    "wsgi": ["/compute/0.2", "/compute/3", "/compute/30", "/mixed", "/stream/1"],
}
CONNECTIONS = [1, 8, 32, 128]
WORKERS = {"interpreter": [2, 8], "process": [2, 8], "thread": [1]}


@dataclass(frozen=True)
class Case:
    """One load on one server."""

    runtime: str
    workers: int
    app: str
    path: str
    connections: int

    def __str__(self) -> str:
        return f"{self.runtime:<11} {self.workers} {self.app:<4} {self.path:<13} {self.connections:>3} connections"


QUICK = [
    Case("interpreter", 2, "app", "/compute/1", 32),
    Case("interpreter", 2, "app", "/compute/3", 128),
    Case("interpreter", 2, "app", "/compute/0.2", 8),
    Case("interpreter", 8, "app", "/mixed", 32),
    Case("interpreter", 2, "app", "/stream/1", 32),
    Case("interpreter", 2, "wsgi", "/compute/3", 32),
    Case("interpreter", 2, "wsgi", "/mixed", 32),
    Case("process", 2, "app", "/compute/1", 32),
    Case("process", 2, "app", "/mixed", 32),
    Case("thread", 1, "app", "/compute/1", 32),
]
"""The cases of .ci/run."""


def every() -> Iterator[Case]:
    for runtime, counts in WORKERS.items():
        for workers in counts:
            for app, paths in PATHS.items():
                for path in paths:
                    for connections in CONNECTIONS:
                        yield Case(runtime, workers, app, path, connections)


def trouble_with(server: Server, case: Case, seconds: int) -> tuple[str, list[int]]:
    """Put a load on a server; returns what was wrong, and the answers by seconds."""
    for _ in range(ATTEMPTS):
        command = [sys.executable, str(HERE / "client.py"), str(server.port), case.path, str(case.connections)]
        printed = subprocess.run([*command, str(seconds + 1)], capture_output=True, text=True, timeout=seconds + 60)
        if printed.returncode:
            return printed.stderr, []
        told = json.loads(printed.stdout)
        answers = told["answers"][1:]
        counted = [each for each, counts in zip(answers, told["counts"][1:], strict=True) if counts]
        if told["failed"]:
            return f"failed: {told['failed']}", answers
        if len(counted) > seconds / 2:
            least = min(counted)
            enough = least >= LEAST * statistics.median(counted)
            return "" if enough else f"a second with {least} answers", answers
    return "the machine is too busy to tell", answers


def run(cases: list[Case], seconds: int) -> list[str]:
    """Try the cases; returns those that failed."""
    failed: list[str] = []
    for case in cases:
        command = [f"burning:{case.app}", "--runtime", case.runtime, "--interpreters", str(case.workers), "--port", "0"]
        server = Server(*command, "--no-access-log", "--timeout-keep-alive", "60").wait_listening(case.workers)
        try:
            trouble, answers = trouble_with(server, case, seconds)
            lost = json.loads(server.command("status", "--json").stdout)["lost_wakeups"]
            if lost:
                trouble = f"{trouble} {lost} lost wake-ups".strip()
            status = server.stop()
            if status or " ERROR " in server.err:
                trouble = f"{trouble} status {status}, log:\n{server.err}".strip()
        finally:
            server.kill()
        print(f"{'FAIL' if trouble else 'ok  '} {case}: {' '.join(map(str, answers))} {trouble}".rstrip(), flush=True)
        if trouble:
            failed.append(str(case))
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few of the loads, as .ci/run tries them")
    parser.add_argument("--seconds", type=int, default=10, help="of each load, but for the first")
    parser.add_argument("-k", default="", help="only loads whose line has this in it")
    options = parser.parse_args()
    cases = [case for case in (QUICK if options.quick else every()) if options.k in str(case)]
    failed = run(cases, options.seconds)
    print(f"Liveness: {len(cases) - len(failed)} of {len(cases)} loads were answered in every second")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()

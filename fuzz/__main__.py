"""Fuzzes the code that reads what comes from outside: `make fuzz ARGS="--seconds 120 h1 websocket"`.

What an input is, and what must not come of it, is said by the modules of `fuzz/targets`. An input for which it does is
left in `.cache/fuzz/NAME/` and printed as a test. Inputs that reach new code are kept there, too, and are where the
next run begins.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fuzz.planting import planted
from fuzz.shrinking import shrunk
from fuzz.target import Fault, load, names

ROOT = Path(__file__).parents[1]
KEPT = ROOT / ".cache" / "fuzz"

ONE_INPUT = 10
"""Seconds; what takes longer for one input is a fault. Most take less than a millisecond."""

MEMORY = 1024
"""MiB that a target may take."""

_EXECUTED = re.compile(r"^stat::number_of_executed_units:\s*(\d+)", re.MULTILINE)
_COVERED = re.compile(r"cov: (\d+)")
_ARTIFACT = re.compile(r"(crash|timeout|oom|leak)-[0-9a-f]{40}")

_printing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    name: str
    seconds: float
    executed: int
    covered: int
    said: str
    """All that it printed."""
    failed: bool
    input: Path | None
    """For which it failed."""

    def __str__(self) -> str:
        found = "failed" if self.failed else "nothing found"
        ran = f"{self.executed:>9} inputs in {self.seconds:>5.0f} s, {self.executed / self.seconds:>7.0f}/s"
        return f"{self.name:<14} {ran}, {self.covered:>5} branches: {found}"


def fuzz(name: str, seconds: float, folder: Path, package: Path | None = None) -> Outcome:
    """Run a target for so long; `package`: the folder with another copy of the package."""
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    before = set(folder.iterdir())
    command = [sys.executable, "-m", "fuzz.engine", name, str(folder), f"-max_total_time={max(1, round(seconds))}"]
    command += [f"-timeout={ONE_INPUT}", f"-rss_limit_mb={MEMORY}", "-print_final_stats=1"]
    if seed := os.environ.get("FUZZ_SEED"):  # the same inputs in the same order, as far as the time goes
        command.append(f"-seed={seed}")
    ran = subprocess.run(command, cwd=package or ROOT, capture_output=True, text=True, errors="replace")
    said = ran.stdout + ran.stderr
    executed, covered = _EXECUTED.findall(said), _COVERED.findall(said)
    new = [path for path in folder.iterdir() if path not in before and _ARTIFACT.fullmatch(path.name)]
    return Outcome(
        name,
        time.monotonic() - began,
        int(executed[-1]) if executed else 0,
        int(covered[-1]) if covered else 0,
        said,
        ran.returncode != 0,
        new[0] if new else None,
    )


def told(outcome: Outcome) -> str:
    """Return what a failure is, with a test that shows it."""
    _, raised, error = outcome.said.partition("=== Uncaught Python exception: ===")
    error = error.partition("\n\n")[0].strip() if raised else outcome.said[-3000:]
    if outcome.input is None:
        return error
    data = outcome.input.read_bytes()
    if outcome.input.name.startswith("crash"):
        data = shrunk(outcome.name, data)
    test = (
        f"def test_{outcome.name}():  # in tests/unit/fuzz/test_targets.py\n"
        f"    load({outcome.name!r}).check({data!r})\n"
    )
    return f"{error}\n\nThe input is {outcome.input}; as a test:\n\n{test}"


def all_of[T, R](things: Sequence[T], do: Callable[[T], R], jobs: int) -> list[R]:
    """Do something with each thing, so many at a time."""
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(do, things))


def search(wanted: list[str], seconds: float, jobs: int) -> int:
    """Run targets; returns how many have found something."""

    def run(name: str) -> Outcome:
        outcome = fuzz(name, seconds, KEPT / name)
        with _printing:
            print(outcome, flush=True)
        return outcome

    outcomes = all_of(wanted, run, jobs)
    for outcome in outcomes:
        if outcome.failed:
            print(f"\n=== {outcome.name}\n{told(outcome)}", flush=True)
    failed = [outcome.name for outcome in outcomes if outcome.failed]
    executed = sum(outcome.executed for outcome in outcomes)
    print(f"Fuzz: {len(wanted)} targets, {executed} inputs, {', '.join(failed) or 'nothing'} found")
    return len(failed)


def prove(wanted: list[str], seconds: float, jobs: int) -> int:
    """Run targets against copies of the package with one fault each; returns how many were not found."""

    def run(which: tuple[str, Fault]) -> bool:
        name, fault = which
        with tempfile.TemporaryDirectory(prefix="snakepit-fuzz-") as folder:
            package = planted(fault, Path(folder))
            outcome = fuzz(name, seconds, Path(folder) / "found", package)
        # not by a mistake in the planting itself
        found = outcome.failed and outcome.input is not None
        with _printing:
            print(
                f"{'found' if found else 'NOT FOUND'} after {outcome.seconds:3.0f} s, {outcome.executed} inputs: "
                f"{name}: {fault}",
                flush=True,
            )
        return found

    faults = [(name, fault) for name in wanted for fault in load(name).faults]
    found = all_of(faults, run, jobs)
    print(f"Planted: {found.count(True)} of {len(faults)} faults were found")
    return found.count(False)


def main() -> int:
    """Run what the command line asks for; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="TARGET", help=f"default: all of {', '.join(names())}")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target (default: 60)")
    parser.add_argument("--jobs", type=int, default=2, help="targets at a time (default: 2)")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs have kept")
    parser.add_argument("--planted", action="store_true", help="plant faults, and see whether they are found")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(names()))
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}")
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("Atheris is not installed: it exists for Linux, and Python 3.13 and 3.14", file=sys.stderr)
        return 2
    wanted = options.names or names()
    if options.fresh:
        for name in wanted:
            shutil.rmtree(KEPT / name, ignore_errors=True)
    run = prove if options.planted else search
    return int(run(wanted, options.seconds, options.jobs) > 0)


if __name__ == "__main__":
    sys.exit(main())

"""Snakepit beside its peers: the same app, the same number of workers, the same client, rounds in turns.

PSS is proportional memory, which counts what processes share once. A contender that cannot be measured stays in the
table with the reason. The ratios at the end say where Snakepit stands.
"""

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers.bare import bare_us
from benchmarks.peers.case import Effort
from benchmarks.peers.cases import CASES, GLANCE
from benchmarks.peers.comparison import Comparison, Entry, Outcome
from benchmarks.peers.contenders import ROOT
from benchmarks.peers.fixed_rate import FixedRate, choose_rate
from benchmarks.peers.load import Load
from benchmarks.peers.plan import Plan, choose_cases, choose_connections, choose_contenders, choose_latency
from benchmarks.peers.pythons import running as running_python
from benchmarks.peers.pythons import set_up
from benchmarks.peers.report import chart, connections_table, data, ratio_table, table
from benchmarks.peers.running import FailedError, running
from benchmarks.privileges import raise_file_limit


def compare(plan: Plan, comparison: Comparison, entries: list[Entry]) -> Comparison:
    """Measure all entries in turns, `rounds` times over."""
    case = comparison.case
    for round_ in range(plan.rounds):
        seconds = plan.seconds or case.seconds
        effort = Effort(comparison.workers, comparison.connections, seconds, round_)
        if isinstance(case, Load) and case.kind == "http":  # the app may not be asked for a file
            for python in plan.pythons:
                bare = bare_us(comparison.case_name, python)
                if bare is not None:
                    comparison.bare_us.setdefault(python.name, []).append(bare)
        for entry in entries:
            _measure(comparison, entry, effort)
    return comparison


def _measure(comparison: Comparison, entry: Entry, effort: Effort) -> None:
    """Add a round of an entry, unless its first one has failed."""
    case = comparison.case
    outcome = comparison.outcomes.setdefault(entry.label, Outcome(entry))
    if outcome.failure and not outcome.rounds:
        return
    try:
        with running(*entry, case.app, case.interface, case.exchange, effort.workers) as server:
            outcome.rounds[effort.seed] = case.measure(server, effort)
    except FailedError as error:
        outcome.failure = str(error)
        if outcome.rounds:
            comparison.notes.append(f"{entry.label} failed in round {effort.seed + 1}: {error}.")
        print(f"{comparison.name}, {entry.label}: {error}: {error.detail}", file=sys.stderr, flush=True)


def measure(plan: Plan, name: str) -> Iterator[Comparison]:
    """Measure a case in all ways that the plan asks for."""
    case, entries = CASES[name], plan.entries(name)
    loads = plan.loads(name)
    workers = plan.workers or case.workers
    for connections in loads:
        about = f"{connections} connection{'s' * (connections > 1)}" if len(loads) > 1 else ""
        comparison = Comparison(name, case, workers, connections, about, notes=plan.left_out(name))
        yield compare(plan, comparison, entries)
    if name in plan.latency:
        most = comparison.most_per_second()
        chosen = choose_rate(most)
        if chosen is not None:
            rate, note = chosen
            fixed = FixedRate(case.app, case.interface, case.exchange, rate)
            at_rate = Comparison(name, fixed, workers, loads[-1], "fixed rate", notes=[note])
            yield compare(plan, at_rate, [entry for entry in entries if entry.label in most])


def parsed() -> tuple[Plan, Path]:
    """Parse the command line; returns the plan, and the folder for the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=(__doc__ or "").splitlines()[0])
    glance = f"all, or of {', '.join(CASES)}; default: {', '.join(GLANCE)}"
    parser.add_argument("cases", nargs="*", metavar="CASE", help=glance)
    parser.add_argument(
        "--only",
        help="contenders, separated by commas; snakepit alone stands for all its kinds, all for"
        " all there are, some of which are left out by default",
    )
    parser.add_argument("--pythons", help="to serve with, separated by commas: 3.14,3.15,3.15-jit; default: this one")
    parser.add_argument("--workers", type=int, help="default: 8 for the idle cases, else 2")
    parser.add_argument(
        "--connections", default="32", help="numbers of them, separated by commas: 1,4,16,64; default: 32"
    )
    parser.add_argument("--rounds", type=int, choices=range(1, 100), metavar="N", default=3, help="default: 3")
    parser.add_argument("--seconds", type=float, help="of load, in each round; default: 10 for the mixed cases, else 3")
    parser.add_argument(
        "--latency",
        metavar="CASES",
        help="all, none, or cases separated by commas that are measured at"
        " a fixed rate, too; default: all where cases are named, else starlette,flask",
    )
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results", help="folder for what was found")
    options = parser.parse_args()
    try:
        cases = choose_cases(options.cases)
        connections = choose_connections(options.connections)
        latency = choose_latency(options.latency, cases, bool(options.cases), len(connections))
        only = choose_contenders(options.only)
        pythons = tuple(map(set_up, options.pythons.split(","))) if options.pythons else (running_python(),)
    except ValueError as error:
        sys.exit(str(error))
    plan = Plan(cases, only, pythons, connections, latency, options.rounds, options.workers, options.seconds)
    return plan, options.out


def main() -> None:
    plan, folder = parsed()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing; install it (Debian: apt-get install wrk)")
    raise_file_limit()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # and the servers are ended
    print(*plan.missing(), f"This takes {plan.minutes():.0f} minutes or so.", sep="\n", file=sys.stderr, flush=True)
    comparisons: list[Comparison] = []
    for name in plan.cases:
        for comparison in measure(plan, name):
            print(table(comparison), flush=True)
            comparisons.append(comparison)
            _write(comparisons, plan, folder)
    print("\n".join(_summaries(comparisons)), flush=True)


def _summaries(comparisons: list[Comparison]) -> list[str]:
    return [text for text in (connections_table(comparisons), ratio_table(comparisons)) if text]


def _write(comparisons: list[Comparison], plan: Plan, folder: Path) -> None:
    """Write the results so far, as a long run may be interrupted."""
    missing = "".join(f"{line}\n\n" for line in plan.missing())
    summaries = reversed(_summaries(comparisons))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "peers.md").write_text(missing + "\n".join([*summaries, *map(table, comparisons)]))
    (folder / "peers.svg").write_text(chart(comparisons))
    (folder / "peers.json").write_text(json.dumps(data(comparisons), indent=2) + "\n")


if __name__ == "__main__":
    main()

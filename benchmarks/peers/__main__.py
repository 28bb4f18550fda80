"""Snakepit beside its peers: the same app, the same number of workers, the same client, rounds in turns.

PSS is proportional memory, which counts what processes share once. A contender that cannot be measured stays in the
table with the reason.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from benchmarks.peers.bare import bare_us
from benchmarks.peers.case import Effort
from benchmarks.peers.cases import CASES, named
from benchmarks.peers.contenders import CONTENDERS, ROOT, Contender
from benchmarks.peers.load import Load
from benchmarks.peers.report import Comparison, Outcome, chart, data, table
from benchmarks.peers.running import FailedError, running


def compare(name: str, options: argparse.Namespace) -> Comparison:
    """A case, with all contenders in turns, `rounds` times over."""
    case = CASES[name]
    comparison = Comparison(name, case, options.workers or case.workers)
    for round_ in range(options.rounds):
        effort = Effort(comparison.workers, options.connections, options.seconds or case.seconds, round_)
        if isinstance(case, Load):
            comparison.bare_us.append(bare_us(name))
        for contender in _contenders(name, options.only):
            _measure(comparison, contender, effort)
    return comparison


def _contenders(name: str, only: str | None) -> list[Contender]:
    case = CASES[name]
    return [
        contender
        for contender in CONTENDERS
        if case.interface in contender.interfaces
        and case.kind in contender.kinds
        and (only is None or contender.is_called(only.split(",")))
    ]


def _measure(comparison: Comparison, contender: Contender, effort: Effort) -> None:
    """Add a round; one that has failed without a round before is not tried again."""
    case = comparison.case
    outcome = comparison.outcomes.setdefault(contender.name, Outcome())
    if outcome.failure and not outcome.rounds:
        return
    try:
        with running(contender, case.app, case.interface, case.exchange, effort.workers) as server:
            outcome.rounds.append(case.measure(server, effort))
    except FailedError as error:
        outcome.failure = str(error)
        print(f"{comparison.name}, {contender.name}: {error}: {error.detail}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; default: all")
    parser.add_argument("--only", help="contenders, separated by commas; snakepit alone stands for all its kinds")
    parser.add_argument("--workers", type=int, help="default: 8 for the idle cases, else 2")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, help="of load, in each round; default: 10 for the mixed cases, else 3")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results", help="folder for what was found")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing; install it (Debian: apt-get install wrk)")
    unknown = [name for name in options.cases if not named(name)]
    if unknown:
        sys.exit(f"there is no case {', '.join(unknown)}; there are {', '.join(CASES)}")
    comparisons: list[Comparison] = []
    for name in [each for given in options.cases or CASES for each in named(given)]:
        comparisons.append(compare(name, options))
        print(table(comparisons[-1]), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "peers.md").write_text("\n".join(map(table, comparisons)))
    (options.out / "peers.svg").write_text(chart(comparisons))
    (options.out / "peers.json").write_text(json.dumps(data(comparisons), indent=2) + "\n")


if __name__ == "__main__":
    main()

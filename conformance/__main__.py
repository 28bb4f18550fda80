"""What HTTP demands of a server that reads requests, and what Snakepit and its peers do: `python -m conformance`.

A cell says with which status a server has answered, "next" for the request that follows each case, "closed" and
"waits" for what came in place of an answer; ✗ marks what no reading of the standards allows.
"""

import argparse
import sys

from benchmarks.peers.pythons import running
from benchmarks.peers.running import FailedError
from conformance.cases import CASES, GROUPS
from conformance.servers import TRIED, Tried
from conformance.wire import Outcome

type Found = dict[str, dict[str, Outcome]]
"""Outcomes by the server's label and the case's name."""


def main() -> int:
    """Try the servers; returns the exit status: 1 if Snakepit does what it may not, or a peer does better."""
    parser = argparse.ArgumentParser(prog="python -m conformance", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="CASE", help="default: all")
    parser.add_argument("--only", help="servers, separated by commas; snakepit alone stands for all its kinds")
    parser.add_argument("--patience", type=float, default=2.0, help="seconds of silence until a server is left alone")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in CASES]
    if unknown:
        print(f"no such case: {', '.join(unknown)}", file=sys.stderr)
        return 2
    wanted = options.only.split(",") if options.only else None
    tried = [each for each in TRIED if wanted is None or {each.label, each.contender} & set(wanted)]
    found: Found = {}
    for each in tried:
        try:
            found[each.label] = each.outcomes(running(), options.names or CASES, options.patience)
        except FailedError as error:
            print(f"{each.label}: {error}: {error.detail}", file=sys.stderr, flush=True)
    tried = [each for each in tried if each.label in found]
    print(table(tried, found))
    print(summary(tried, found))
    return int(any(wrong(found[each.label]) for each in tried if each.is_own))


def wrong(outcomes: dict[str, Outcome]) -> list[str]:
    """Return the names of the cases that a server does not meet."""
    return [name for name, outcome in outcomes.items() if not CASES[name].is_met_by(outcome)]


def table(tried: list[Tried], found: Found) -> str:
    """Return the outcomes as tables of Markdown, a column for each server."""
    lines: list[str] = []
    for group in GROUPS:
        cases = [case for case in group.cases if any(case.name in outcomes for outcomes in found.values())]
        if not cases:
            continue
        lines += [f"## {group.title}", "", "| Case | " + " | ".join(each.label for each in tried) + " |"]
        lines += ["| --- " * (len(tried) + 1) + "|"]
        for case in cases:
            cells = []
            for each in tried:
                outcome = found[each.label].get(case.name)
                if outcome is None:
                    cells.append("")
                else:
                    cells.append(str(outcome) if case.is_met_by(outcome) else f"✗ {outcome}")
            lines.append(f"| {case.name} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def summary(tried: list[Tried], found: Found) -> str:
    """Return how many cases each server meets."""
    lines = ["| Server | Cases | Met | Not met |", "| --- | ---: | ---: | ---: |"]
    for each in tried:
        all_of_it, bad = len(found[each.label]), len(wrong(found[each.label]))
        lines.append(f"| {each.label} | {all_of_it} | {all_of_it - bad} | {bad} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

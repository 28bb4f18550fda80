"""The compatibility suite: `python -m compat [NAME...]`.

Each package of `compat.cases` is used extensively in 2 to 4 interpreters of a process at a time, each replaced several
times, in several processes. One crash, hang or failed assertion keeps it off the list. Then the list of the packages
that passed is written, and each is used once more with copies only of modules on the list.

`--write` writes the results to compat/results.json, the list to snakepit/c_extensions/vetted.json and the tables to
docs/compatibility.md; `--tables` writes the latter two from the results that are there.

`--lazy` tries something else: see `compat.lazy`.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

from compat import lazy, results, tables
from compat.driver import PYTHON, Driver, Result, Services
from compat.registry import Case, all_cases
from snakepit.lazy_imports import tried

CASES = all_cases()


def main() -> int:
    """Run the suite; returns the exit status: 1 if a package failed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are stopped
    options = _options()
    if options.tables:
        tables.write(results.read())
        return 0
    unknown = [name for name in options.names if name not in CASES]
    if unknown:
        print(f"no such case: {', '.join(unknown)}; there are: {', '.join(CASES)}", file=sys.stderr)
        return 2
    if options.lazy:
        return _try_lazy(options)
    cases = [CASES[name] for name in options.names or CASES if not CASES[name].lazy_only]
    with Services() as services:
        driver = Driver(services, most=options.interpreters, rounds=options.rounds, lives=options.lives)
        found = {case.name: _say(case, driver) for case in cases}
        _verify(driver, found)
    print(_summary(found))
    if options.write:
        tables.write(results.merge(results.read(), PYTHON, found))
    return int(any(result.status == "failed" for result in found.values()))


def _try_lazy(options: argparse.Namespace) -> int:
    """Try lazy imports; returns the exit status: 1 where a library has to be left out."""
    if not tried.EXIST:
        print("Lazy imports need Python 3.15 or newer", file=sys.stderr)
        return 2
    with Services() as services:
        found = lazy.try_all([CASES[name] for name in options.names or CASES], Driver(services))
    for name, reason in found.failed.items():
        print(f"left out: {name} ({reason})")
    print(f"Python {PYTHON}: {len(found.passed)} libraries may have lazy imports: {', '.join(sorted(found.passed))}")
    if options.write:
        lazy.write(found)
    return int(bool(found.failed))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m compat", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="packages (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="processes for each package (default: 3)")
    parser.add_argument("--interpreters", type=int, default=4, help="at a time, at most (default: 4)")
    parser.add_argument(
        "--lives", type=int, default=2, help="interpreters one after another in each place (default: 2)"
    )
    parser.add_argument("--lazy", action="store_true", help="try which libraries' imports may be lazy (Python 3.15)")
    parser.add_argument("--write", action="store_true", help="write the results, the list and the tables")
    parser.add_argument("--tables", action="store_true", help="only write the list and the tables again")
    options = parser.parse_args()
    if options.interpreters < 2:
        parser.error("--interpreters must be at least 2")
    return options


def _say(case: Case, driver: Driver) -> Result:
    before = time.monotonic()
    result = driver.try_case(case)
    copied = sum(how == "copied" for how in result.loads.values())
    how = "unaided" if result.unaided else f"{copied} copied"
    outcome = f"passed, {how}" if result.status == "passed" else f"{result.status} {result.reason}"
    print(f"{case.name:22} {time.monotonic() - before:6.1f} s  {outcome}", flush=True)
    return result


def _verify(driver: Driver, found: dict[str, Result]) -> None:
    """Use packages that passed with the policy "vetted". If one fails, those that load its modules are tried again."""
    known = results.read().get(PYTHON, {})
    todo = [name for name, result in found.items() if result.status == "passed" and not CASES[name].environment]
    with tempfile.TemporaryDirectory(prefix="snakepit-compat-") as folder:
        file = Path(folder) / "vetted.json"
        while todo:
            everything = {PYTHON: {**known, **{name: results.as_data(result) for name, result in found.items()}}}
            file.write_text(json.dumps(results.vetted(everything)), encoding="utf-8")
            left: set[str] = set()
            for name in todo:
                reason = driver.verify(CASES[name], str(file))
                if reason:
                    found[name].status, found[name].reason = "failed", f"with the list: {reason}"
                    print(f"{name:22} fails {found[name].reason}", flush=True)
                    left.update(CASES[name].modules)
            todo = [name for name in todo if found[name].status == "passed" and _loads_any(found[name], left)]


def _loads_any(result: Result, prefixes: set[str]) -> bool:
    return any(f"{module}.".startswith(f"{prefix}.") for module in result.loads for prefix in prefixes)


def _summary(found: dict[str, Result]) -> str:
    counts = {
        status: sum(result.status == status for result in found.values()) for status in ("passed", "failed", "absent")
    }
    return f"Python {PYTHON}: " + ", ".join(f"{count} {status}" for status, count in counts.items())


if __name__ == "__main__":
    raise SystemExit(main())

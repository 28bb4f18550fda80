"""Which libraries' imports may be lazy: `python -m compat --lazy [NAME...]`, on Python 3.15 or newer.

First, each package of `compat.cases` is used with lazy imports in its own library, in interpreters as for copies of C
extensions, and also by several threads at once, which then all need modules that are not loaded yet. If that fails, and
the same without lazy imports does not, the library is left out. Then each package is used with lazy imports in all
libraries that passed and in the standard library, as in a worker. If one fails, the library that causes this is found
and left out as well.

`--write` writes what has passed to snakepit/lazy_imports/tried.json, and the table in docs/explanation/lazy-imports.md.
"""

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

from compat.driver import PYTHON, Driver, Result, installed
from compat.registry import Case
from snakepit.lazy_imports import tried
from snakepit.lazy_imports.tried import STANDARD_LIBRARY

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "lazy-imports.md"
_START, _END = "<!-- libraries: start", "<!-- libraries: end -->"

THREADS = 4
"""How many threads use a package at once before it is imported, if it allows that."""

type Entries = dict[str, dict[str, Any]]


@dataclass
class Try:
    """The results for the libraries of some cases.

    Args:
        passed: libraries, by the cases that used them.
        failed: libraries that are left out, and the reasons.
    """

    passed: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def try_all(cases: Iterable[Case], driver: Driver) -> Try:
    """Try each library by itself, then all of them together."""
    found = Try()
    usable: list[Case] = []
    for case in cases:
        if installed(case) is None:
            continue
        reason, counts = _try_own(case, driver, found)
        print(f"{case.name:22} {reason or 'passed'}", flush=True)
        if counts:
            usable.append(case)
    candidates = [STANDARD_LIBRARY, *(name for name in _libraries(usable) if name not in found.failed)]
    for case in usable:
        _try_together(case, driver, candidates, found)
    for name in list(found.passed):
        if name not in candidates:
            del found.passed[name]
    return found


def _try_own(case: Case, driver: Driver, found: Try) -> tuple[str, bool]:
    """Try a package with lazy imports in its own library.

    Return the outcome in words, and whether the case passes at all.
    """
    names = _libraries([case])
    before = time.monotonic()
    reason = _use(case, driver, names) if names else ""
    if reason:
        without = _use(case, driver, [])
        if without:
            return f"says nothing, as it fails without lazy imports: {without}", False
        for name in names:
            found.failed[name] = f"{case.name}: {reason}"
        return f"fails with lazy imports: {reason}", True
    return f"passed ({', '.join(names) or 'no library of its own'}, {time.monotonic() - before:.0f} s)", True


def _try_together(case: Case, driver: Driver, candidates: list[str], found: Try) -> None:
    """Use a package with lazy imports in all candidates, and remove those that make it fail."""
    while True:
        result = Result("passed")
        reason = _use(case, driver, candidates, result)
        if not reason:
            for name in result.lazy:
                found.passed.setdefault(name, []).append(case.name)
            print(f"{case.name:22} passed with {len(result.lazy)} lazy: {', '.join(result.lazy)}", flush=True)
            return
        culprit = _culprit(case, driver, candidates, result.lazy)
        if culprit is None:
            print(f"{case.name:22} fails without lazy imports, too: {reason}", flush=True)
            return
        candidates.remove(culprit)
        found.failed[culprit] = f"{case.name}: {reason}"
        print(f"{case.name:22} fails because of {culprit}: {reason}", flush=True)


def _culprit(case: Case, driver: Driver, candidates: list[str], lazy: list[str]) -> str | None:
    """Return the library that makes the case fail, or the first one if several do so only together.

    None: the case fails without lazy imports, too.
    """
    for name in lazy:
        if not _use(case, driver, [other for other in candidates if other != name]):
            return name
    return lazy[0] if lazy and not _use(case, driver, []) else None


def _use(case: Case, driver: Driver, lazy: list[str], result: Result | None = None) -> str:
    """Use a package with lazy imports in these libraries, and return why it fails, or an empty string."""
    result = result or Result("passed")
    reason = driver.run(case, "all", result, interpreters=2, lives=2, lazy=lazy)
    if not reason and _bears_threads(case, driver):
        reason = driver.run(case, "all", result, interpreters=1, lives=3, lazy=lazy, threads=THREADS)
        reason = reason and f"in {THREADS} threads: {reason}"
    return reason


_bearing: dict[str, bool] = {}


def _bears_threads(case: Case, driver: Driver) -> bool:
    """Return whether several threads can use the case at once without lazy imports."""
    if case.name not in _bearing:
        reason = driver.run(case, "all", Result("passed"), interpreters=1, lives=2, threads=THREADS)
        _bearing[case.name] = not reason
    return _bearing[case.name]


def _libraries(cases: Iterable[Case]) -> list[str]:
    """Return the top-level packages of the cases' distributions, except those that several distributions share."""
    names: dict[str, None] = {}
    for name, distributions in _distributions().items():
        if len(set(distributions)) == 1 and not name.startswith("_"):
            owner = _normal(distributions[0])
            if any(owner in (_normal(case.distribution), _normal(case.of)) for case in cases):
                spec = PathFinder.find_spec(name)
                if spec is not None and (spec.origin or "").endswith(".py"):
                    names[name] = None
    return sorted(names)


def _distributions() -> dict[str, list[str]]:
    """Return the distributions of each top-level package, which are looked up once."""
    if not _known:
        _known.update({name: list(owners) for name, owners in packages_distributions().items()})
    return _known


_known: dict[str, list[str]] = {}


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def write(found: Try) -> None:
    """Write the results to the list and the page."""
    path = Path(tried.LIST)
    entries: Entries = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in found.failed:
        entries.get(name, {"versions": {}})["versions"].pop(PYTHON, None)
    for name, cases in found.passed.items():
        now = installed_version(name)
        entry = entries.setdefault(name, {"versions": {}, "cases": []})
        versions = [*entry["versions"].get(PYTHON, []), now]
        entry["versions"][PYTHON] = list(dict.fromkeys(versions))
        entry["cases"] = sorted({*entry["cases"], *cases}, key=str.lower)
    entries = {name: entries[name] for name in sorted(entries, key=str.lower) if entries[name]["versions"]}
    lines = [f" {json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}" for name, entry in entries.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    PAGE.write_text(page(entries, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def installed_version(name: str) -> str:
    """Return the installed version of a library; of the standard library, Python's."""
    if name == STANDARD_LIBRARY:
        return "{}.{}.{}".format(*sys.version_info)
    return version(_distributions()[name][0])


def page(entries: Entries, before: str) -> str:
    """Return the page with the table of libraries between its markers."""
    pythons = sorted({python for entry in entries.values() for python in entry["versions"]}, reverse=True)
    rows = [["Library", *(f"Python {python}" for python in pythons), "Used by the cases"]]
    for name, entry in entries.items():
        versions = [", ".join(entry["versions"].get(python, ["–"])) for python in pythons]
        shown = "the standard library" if name == STANDARD_LIBRARY else f"`{name}`"
        cases = entry["cases"] if len(entry["cases"]) <= 6 else [f"{len(entry['cases'])} of them"]
        rows.append([shown, *versions, ", ".join(cases)])
    header, *body = rows
    table = "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *body))
    head, _, rest = before.partition(_START)
    marker, _, rest = rest.partition("\n")
    _, _, tail = rest.partition(_END)
    return f"{head}{_START}{marker}\n\n{table}\n\n{_END}{tail}"

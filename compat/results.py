"""The stored results: compat/results.json, by Python and by case."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from compat.driver import Result
from compat.registry import all_cases

CASES = all_cases()
FILE = Path(__file__).parent / "results.json"

type Results = dict[str, dict[str, dict[str, Any]]]


def read() -> Results:
    """Return the stored results; empty if nothing was written yet."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def as_data(result: Result) -> dict[str, Any]:
    """Return the part of a result that is stored here; `compat.lazy` stores the part about lazy imports."""
    kept = asdict(result)
    del kept["lazy"]
    return kept


def merge(known: Results, python: str, found: dict[str, Result]) -> Results:
    """Replace older results by those of this run, and write the file.

    Versions with which a package passed before stay on record, unless it fails now.
    """
    ours = known.setdefault(python, {})
    for name, result in found.items():
        data = as_data(result)
        before = ours.get(name, {})
        data["tried"] = []
        if result.status == "passed":
            versions = [*before.get("tried", []), result.versions[CASES[name].of]]
            data["tried"] = list(dict.fromkeys(versions))
        ours[name] = data
    ordered = {name: ours[name] for name in sorted(ours, key=str.lower) if name in CASES}
    known[python] = ordered
    FILE.write_text(json.dumps(known, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    return known


def vetted(results: Results) -> dict[str, dict[str, Any]]:
    """The list of `snakepit.c_extensions.vetted`: packages whose modules had to be copied, and passed."""
    entries: dict[str, dict[str, Any]] = {}
    for name, case in CASES.items():
        versions = {}
        for python in sorted(results, reverse=True):
            result = results[python].get(name, {})
            if result.get("status") == "passed" and _copies(result, case.modules):
                versions[python] = result.get("tried") or [result["versions"][case.of]]
        if versions:
            entries[case.of] = {"modules": list(case.modules), "versions": versions, "exercised": case.exercised}
    return dict(sorted(entries.items(), key=lambda entry: entry[0].lower()))


def _copies(result: dict[str, Any], modules: tuple[str, ...]) -> bool:
    return any(
        how == "copied" and any(f"{module}.".startswith(f"{prefix}.") for prefix in modules)
        for module, how in result["loads"].items()
    )

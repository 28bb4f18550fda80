"""Writes snakepit/c_extensions/vetted.json and docs/compatibility.md from the results."""

import json
from pathlib import Path
from typing import Any

from compat import results
from compat.causes import CAUSES
from compat.registry import Case, all_cases
from compat.results import Results
from snakepit.c_extensions import vetted

CASES = all_cases()
PAGE = Path(__file__).parent.parent / "docs" / "compatibility.md"
SPEED = ("<!-- speed: written by hand -->", "<!-- the end of speed -->")
_HOW = {"copied": "copied", "native": "as they are", "source": "in Python"}

_PAGE = """\
# Compatibility

<!-- Made by `make compat`, but for the section on speed. -->

The packages on this page were used extensively in Snakepit's workers. For each package, processes with 2, 3 and 4
interpreters at a time run it repeatedly, with exceptions raised through its C code and with garbage collection. Each
interpreter is then ended in the way of a worker, closed, and replaced by another, while the others go on working. In
one of these processes freed memory is overwritten (`PYTHONMALLOC=debug`, `MALLOC_PERTURB_`). One crash, hang or wrong
result in any of them keeps a package off the list.

`make compat` uses each package in 18 interpreters like this, at least three times in each, then in 6 more where only
the modules on the list are copied. That finds likely crashes, not a crash in one of many thousand requests. Frameworks
answered requests within the interpreter, not behind the server.

A package that keeps a database in a file must not lose acknowledged writes: interpreters and another process write to
one file at the same time, and then another process must find each acknowledged write. The package may refuse to open
the file, or to write. [One process: what is shared](explanation/one-process.md) explains the reason.

PostgreSQL, Redis and MariaDB were real servers. {counts}

## What a private copy is

An interpreter with a GIL of its own refuses an extension module that does not declare support for this, and few modules
do. The refusal protects the module's static variables, which exist once in a process. The dynamic loader identifies
libraries by their file, so a worker can load a *copy* of the module's file, and then has its own static variables.

| `--extensions` | Loads from copies |
| --- | --- |
| `vetted`, the default | modules of the packages vetted below, in any version |
| `native` | nothing: what refuses is refused |
| `all` | all modules that refuse, at your own risk |

If a package has a Python module beside the compiled one, a worker loads that and needs no copy.

## What remains

- Memory. A copy is never unloaded, and what it holds, including Python objects, stays when its worker ends: about 20 MB
  for each replaced worker with FastAPI.
- Threads that a package creates without `threading`, and that call Python: CPython attaches them to the main
  interpreter (`PyGILState_Ensure`). A copy does not help.
- Ordinary shared libraries that come with a package are loaded once for all workers. That works if they keep no Python
  objects (OpenBLAS, libpq), and fails if they do.
- Functions that a package wants CPython to call later (`Py_AddPendingCall`) would run in the main interpreter. Copies
  do not call them, so greenlet never frees what belongs to a thread that has ended and in which it was used.
- NumPy warns when a worker imports it: "NumPy was imported from a Python sub-interpreter but NumPy does not properly
  support sub-interpreters." Its makers do not test that. The warning is shown once in each worker. To silence it:
  `PYTHONWARNINGS="ignore:NumPy was imported from a Python sub-interpreter"`.
- Another version of a package, or a part of it that was not exercised, may behave differently.

## Packages

"vetted": works if the modules that refuse are copied, which is the default. "unaided": works if nothing is copied,
sometimes by falling back to Python code; by default vetted modules are copied there, too. "on request": works with the
settings that are named. The column on C extensions lists what `--extensions all` loaded, including dependencies; a
number says how many modules, if there are several.

{table}

## What fails, and why

{failures}

## Speed

{speed}

## Doing it again

```
make compat                                # all, on the best Python there is; some 20 minutes
make compat ARGS="--write"                 # and write this page, the results and the list of what is vetted
make compat ARGS="orjson lxml --rounds 9"  # some, in more processes
```

To add a package, write a function that uses it and asserts the results: see `compat/cases/` and `compat/registry.py`.
"""


def write(found: Results) -> None:
    """Write the list and the page."""
    Path(vetted.LIST).write_text(_list(results.vetted(found)), encoding="utf-8")
    PAGE.write_text(page(found, PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""), encoding="utf-8")


def page(found: Results, before: str) -> str:
    """Return the page's text; `before` is the present text, whose section on speed is kept."""
    pythons = sorted(found, key=_version_key, reverse=True)
    cases = [case for case in CASES.values() if any(case.name in found[python] for python in pythons)]
    cases.sort(key=lambda case: case.name.lower())
    works = [case for case in cases if any(_status(found, python, case) == "passed" for python in pythons)]
    fails = [case for case in cases if any(_status(found, python, case) != "passed" for python in pythons)]
    return _PAGE.format(
        counts=_counts(found, pythons),
        table=_table(found, pythons, works),
        failures=_failures(found, pythons, fails),
        speed=_speed(before),
    )


def _list(entries: dict[str, dict[str, Any]]) -> str:
    lines = [f" {json.dumps(name)}: {json.dumps(entry, ensure_ascii=False)}" for name, entry in entries.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _counts(found: Results, pythons: list[str]) -> str:
    said = []
    for python in pythons:
        usual = {name: result for name, result in found[python].items() if not CASES[name].environment}
        passed = [result for result in usual.values() if result["status"] == "passed"]
        unaided = sum(result["unaided"] for result in passed)
        said.append(f"On Python {python}, {len(passed)} of {len(usual)} work, {unaided} of them unaided.")
    return " ".join(said)


def _table(found: Results, pythons: list[str], cases: list[Case]) -> str:
    rows = [["Package", "Version", *pythons, "C extensions", "Exercised"]]
    for case in cases:
        newest = next(found[python][case.name] for python in pythons if _status(found, python, case) == "passed")
        rows.append(
            [
                case.name,
                newest["versions"][case.distribution],
                *(_cell(found, python, case) for python in pythons),
                _loads(newest["loads"]),
                case.exercised,
            ]
        )
    return _markdown(rows)


def _failures(found: Results, pythons: list[str], cases: list[Case]) -> str:
    rows = [["Package", "Python", "What happens", "Why"]]
    for case in cases:
        said: dict[str, list[str]] = {}
        for python in pythons:
            result = found[python].get(case.name, {"status": "absent"})
            if result["status"] == "failed":
                said.setdefault(f"`{result['reason']}`", []).append(python)
            elif result["status"] == "absent":
                said.setdefault("not tried: no wheel for this Python, or not built", []).append(python)
        for what, where in said.items():
            rows.append([case.name, ", ".join(where), what, CAUSES.get(case.name, "")])
    return _markdown(rows) if len(rows) > 1 else "Nothing of what was tried."


def _speed(before: str) -> str:
    start, end = SPEED
    if start in before and end in before:
        kept = before.partition(start)[2].partition(end)[0].strip("\n")
    else:
        kept = "(Figures are to come.)"
    return f"{start}\n{kept}\n{end}"


def _status(found: Results, python: str, case: Case) -> str:
    return str(found[python].get(case.name, {"status": "absent"})["status"])


def _cell(found: Results, python: str, case: Case) -> str:
    status = _status(found, python, case)
    if status != "passed":
        return {"failed": "fails", "absent": "–"}[status]
    if case.environment:
        return "on request"
    return "unaided" if found[python][case.name]["unaided"] else "vetted"


def _loads(loads: dict[str, str]) -> str:
    """Format loads, as in "copied: numpy (12), orjson; as they are: multidict"."""
    said = []
    for how, words in _HOW.items():
        counts: dict[str, int] = {}
        for module in sorted(loads):
            if loads[module] == how:
                name = _package(module)
                counts[name] = counts.get(name, 0) + 1
        if counts:
            names = (f"{name} ({count})" if count > 1 else name for name, count in counts.items())
            said.append(f"{words}: {', '.join(names)}")
    return "; ".join(said)


def _package(module: str) -> str:
    known = {prefix for case in CASES.values() for prefix in case.modules}
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in known:
            return ".".join(parts[:length])
    return parts[0]


def _markdown(rows: list[list[str]]) -> str:
    header, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *body)]
    return "\n".join(line.replace("|  |", "| |") for line in lines)


def _version_key(python: str) -> tuple[int, ...]:
    return tuple(map(int, python.split(".")))

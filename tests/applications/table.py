"""The outcomes, as a table on the terminal, and as a page of the documentation."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import fill

from catalog import APPLICATIONS, THIS_PYTHON, Application

__all__ = ["PAGE", "THIS_PYTHON", "Outcome", "text", "write"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "applications.md"
RESULTS = Path(__file__).with_name("results.json")


@dataclass
class Outcome:
    """The outcome of one application on one Python; None: it did not get that far."""

    name: str
    python: str
    version: str = ""
    start: float | None = None  # seconds until both workers were ready
    works: bool = False  # whether the first thing was done
    end: float | None = None  # seconds from Ctrl+C to the end of the process
    memory: float | None = None  # MiB, with something open
    failed: bool = True


def text(outcomes: Iterable[Outcome]) -> str:
    """The table for the terminal."""
    rows = [("application", "version", "Python", "start s", "first thing", "Ctrl+C s", "MiB")]
    for it in outcomes:
        works = "ok" if it.works else "FAILED"
        cells = (it.name, it.version, it.python, _number(it.start, 1), works, _number(it.end, 2), _number(it.memory, 0))
        rows.append(cells)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def write(outcomes: Iterable[Outcome]) -> None:
    """Add outcomes to the stored results, and write the page from all of them."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for outcome in outcomes:
        results.setdefault(outcome.python, {})[outcome.name] = asdict(outcome)
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    PAGE.write_text(page(results), encoding="utf-8")


def page(results: dict[str, dict[str, dict]]) -> str:
    """The page's text, from results by Python and application."""
    pythons = sorted(results, reverse=True)
    rows = []
    for application in APPLICATIONS:
        for python in pythons:
            found = results[python].get(application.name)
            if found is not None:
                rows.append(_row(application, Outcome(**found)))
    absent = [
        f"- {application.title} on Python {python}: {why}."
        for application in APPLICATIONS
        for python, why in application.absent.items()
    ]
    options = [
        fill(
            f"- {application.title} needs `{' '.join(application.options)}`: {application.because}.",
            width=120,
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for application in APPLICATIONS
        if application.options
    ]
    done = [f"| {it.title} | {it.first} | {it.open} |" for it in APPLICATIONS]
    return _PAGE.format(
        rows="\n".join(rows),
        done="\n".join(done),
        options="\n".join(options) or "- All of them work with the default options.",
        absent="\n".join(["", "Not installed:", "", *absent, ""]) if absent else "",
    )


def _row(application: Application, it: Outcome) -> str:
    cells = (
        application.title,
        it.version,
        it.python,
        f"`{' '.join(application.options)}`" if application.options else "none",
        "yes" if it.works and not it.failed else "no",
        _number(it.start, 1),
        _number(it.end, 2),
        _number(it.memory, 0),
    )
    return f"| {' | '.join(cells)} |"


_PAGE = """\
# Applications

<!-- written by `make apps ARGS=--write`; don't edit -->

Applications as their makers describe them, installed from PyPI and served with two workers, `snakepit run APP
--interpreters 2`. Each does the first thing that it is there for, asked by a real client or by Chromium. Then the
server gets Ctrl+C while a page or a stream is open, and has to end within 3 s, with status 0, nothing in its log that
should not be there, and no process left.

| Application | Version | Python | More options | Works | Start, s | Ctrl+C, s | Memory, MiB |
| --- | --- | --- | --- | --- | ---: | ---: | ---: |
{rows}

Start: until both workers are ready, each of which imports the application. Memory: of the server with both workers,
when the first thing is done.

{options}
{absent}
## What each does

| Application | First thing | Open at Ctrl+C |
| --- | --- | --- |
{done}

## Doing it again

```
make apps                    # all; installs each in an environment of its own, .apps-X.Y/NAME
make apps ARGS='-k nicegui'  # one
make apps ARGS=--quick       # those that are installed in seconds, as CI does it
make apps ARGS=--write       # and write this page
```

To add one, describe it in `tests/applications/catalog.py`, and put the app and `visit.py`, what a client does with it,
into a folder beside that.
"""

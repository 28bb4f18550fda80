"""The list of libraries whose own imports may be lazy, which `make compat ARGS=--lazy` writes.

`tried.json` names top-level packages. For each it has the tested versions by Python version, and the cases of the
compatibility suite that used the library while its own imports were lazy, all without a failure. `Python` stands for
the standard library.
"""

import os
import sys
from functools import cache
from typing import Literal, NamedTuple

from snakepit.system.import_order import everything_is_lazy

type Mode = Literal["auto", "on", "off"]

EXIST = hasattr(sys, "set_lazy_imports")
"""Whether this Python has lazy imports."""

THIS = "{}.{}".format(*sys.version_info)
LIST = os.path.join(os.path.dirname(__file__), "tried.json")

STANDARD_LIBRARY = "Python"
"""The name of the standard library in the list."""


class Library(NamedTuple):
    """An entry of the list. `versions`: tested on this Python; `cases`: of the suite that used it."""

    versions: tuple[str, ...]
    cases: tuple[str, ...]


@cache
def libraries() -> dict[str, Library]:
    """Return the libraries that were tested on this Python, by their top-level package."""
    import json

    with open(LIST, encoding="utf-8") as file:
        entries = json.load(file)
    return {
        name: Library(tuple(entry["versions"][THIS]), tuple(entry["cases"]))
        for name, entry in entries.items()
        if entry["versions"].get(THIS)
    }


def chosen(option: Mode) -> tuple[Mode, list[str]]:
    """Return the mode for workers, given the option `--lazy-imports`; and the libraries, if the mode is "auto".

    If Python was started with lazy imports everywhere (PYTHON_LAZY_IMPORTS=all), "auto" becomes "on".
    """
    if not EXIST:
        return "off", []
    if option == "auto" and everything_is_lazy():
        return "on", []
    return option, sorted(libraries()) if option == "auto" else []

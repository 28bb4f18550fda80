"""The libraries whose imports may wait until they are used: data, made by `make compat ARGS=--lazy`.

`tried.json` names top-level packages, and for each the versions that were tried on each Python, and by the use of
which packages of the compatibility suite. A library stands there because all of these went well while its own imports
were lazy. `Python` is the standard library.
"""

import os
import sys
from functools import cache
from typing import Literal, NamedTuple

from snakepit.system.import_order import everything_is_lazy

type Mode = Literal["auto", "on", "off"]

EXIST = hasattr(sys, "set_lazy_imports")
"""Whether this Python has lazy imports at all."""

THIS = "{}.{}".format(*sys.version_info)
LIST = os.path.join(os.path.dirname(__file__), "tried.json")

STANDARD_LIBRARY = "Python"
"""What the standard library is called among the others."""


class Library(NamedTuple):
    """An entry. `versions`: those tried on this Python; `cases`: what it was used by."""

    versions: tuple[str, ...]
    cases: tuple[str, ...]


@cache
def libraries() -> dict[str, Library]:
    """The libraries tried on this Python, by their top-level package."""
    import json

    with open(LIST, encoding="utf-8") as file:
        entries = json.load(file)
    return {
        name: Library(tuple(entry["versions"][THIS]), tuple(entry["cases"]))
        for name, entry in entries.items()
        if entry["versions"].get(THIS)
    }


def chosen(option: Mode) -> tuple[Mode, list[str]]:
    """What is lazy in a worker, given what `--lazy-imports` says, and the libraries that are where the first is "auto".

    Python may have been started so that all imports are lazy (PYTHON_LAZY_IMPORTS=all), which is no less than "on".
    """
    if not EXIST:
        return "off", []
    if option == "auto" and everything_is_lazy():
        return "on", []
    return option, sorted(libraries()) if option == "auto" else []

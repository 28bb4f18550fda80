"""The packages whose C extensions may be loaded from private copies: data, made by `make compat`.

`vetted.json` names for each package its modules, the versions tried on each Python, and what was exercised. A package
is on the list because its real use in parallel interpreters never failed, with exceptions, garbage collection, closing
and replacement. See `snakepit.worker.extensions.loader` for what a copy is.
"""

import os
import sys
from functools import cache
from typing import NamedTuple

THIS_PYTHON = "Python {}.{}".format(*sys.version_info)
LIST = os.path.join(os.path.dirname(__file__), "vetted.json")

LOSE_WRITES = frozenset({"_duckdb", "apsw", "duckdb", "lmdb", "pysqlite3"})
"""Modules of databases in files. With a copy in each worker, acknowledged writes got lost: the copies do not know of
each other, and locks on a file do not work between them within one process. See `compat/sharing.py`."""


class VettedPackage(NamedTuple):
    """An entry of the list. `versions` is empty if the package was not vetted for this Python."""

    name: str
    modules: tuple[str, ...]
    versions: tuple[str, ...]
    exercised: str


@cache
def packages() -> dict[str, VettedPackage]:
    """Return the packages vetted for this Python, by each of their modules."""
    import json  # most workers never get here

    by_module: dict[str, VettedPackage] = {}
    this = "{}.{}".format(*sys.version_info)
    with open(LIST, encoding="utf-8") as file:
        entries = json.load(file)
    for name, entry in entries.items():
        versions = tuple(entry["versions"].get(this, ()))
        if versions:
            package = VettedPackage(name, tuple(entry["modules"]), versions, entry["exercised"])
            by_module |= dict.fromkeys(package.modules, package)
    return by_module


def find(module: str) -> VettedPackage | None:
    """Return the vetted package that a module (its full name) belongs to."""
    known = packages()
    while module:
        package = known.get(module)
        if package is not None:
            return package
        module = module.rpartition(".")[0]
    return None


def loses_writes(module: str) -> bool:
    """Tell whether a module (its full name) is known to lose writes to a file, with a copy in each worker."""
    return module.partition(".")[0] in LOSE_WRITES

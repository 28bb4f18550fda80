"""Finds the installed package of a module, which an operator can upgrade, pin or report a bug to.

Imported only to explain errors, since it reads the metadata of every installed package.
"""

import os
import sys
from functools import cache
from importlib.metadata import Distribution, distribution, packages_distributions
from typing import NamedTuple


class Package(NamedTuple):
    """A distribution package, as pip knows it."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


STANDARD_LIBRARY = Package("Python", "{}.{}.{}".format(*sys.version_info))
"""The package of the standard library."""


def package_of(module: str, file: str) -> Package | None:
    """Return the package that a module (its full name) comes from; None if no installed package lists it.

    `file` decides if several packages share a name, as namespace packages do.
    """
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return STANDARD_LIBRARY
    candidates = [distribution(name) for name in dict.fromkeys(_by_top_level().get(top, ()))]
    if len(candidates) > 1:
        candidates = [candidate for candidate in candidates if _has(candidate, file)]
    return Package(candidates[0].name, candidates[0].version) if candidates else None


@cache
def _by_top_level() -> dict[str, list[str]]:
    return dict(packages_distributions())


def _has(candidate: Distribution, file: str) -> bool:
    wanted = os.path.realpath(file)
    return any(os.path.realpath(str(known.locate())) == wanted for known in candidate.files or ())

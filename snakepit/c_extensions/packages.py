"""Which installed package a module comes from: what an operator can upgrade, pin or report to.

Imported only where something is to be explained, since it reads what every installed package says about itself.
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
"""What the standard library comes with."""


def package_of(module: str, file: str) -> Package | None:
    """The package that a module (its full name) comes from; None if no installed one says that it has it.

    `file` decides where several packages share a name, as namespace packages do.
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

"""Reserves names for modules of the standard library in this interpreter, with any files in the app's folder.

See `snakepit.system.import_order`.
"""

import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from snakepit.system.import_order import is_standard


class StandardNames:
    """A finder for `sys.meta_path` (PEP 451) that finds these modules in the standard library."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._path = [folder for folder in sys.path if is_standard(folder)]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find one of the names; None leaves it to the next finders."""
        return PathFinder.find_spec(name, self._path, target) if name in self._names else None


def reserve(names: Iterable[str]) -> None:
    """Reserve these names for modules of the standard library from now on."""
    sys.meta_path.insert(0, StandardNames(names))

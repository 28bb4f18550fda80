"""Makes imports lazy in this interpreter: those of some libraries, all, or none.

Python has a switch that makes all imports at the top level of modules lazy (`sys.set_lazy_imports`), and a filter for
exceptions. The filter is not used here: it also decides on imports that the app itself marks as `lazy`, without a way
to tell them apart; there is only one per interpreter, which may be the app's; and an app that replaces ours by its own
would find all imports lazy. Instead, each module of a chosen library gets `__lazy_modules__` before it runs. By this
attribute a module names the imports that it wants to be lazy, and here it names all of them. So nothing changes for
other modules, and above all not for the app's own, which may import a module for its side effects: `from . import
views` may register routes.

One side effect of eager imports has to be replaced. `import requests` is enough to use `requests.adapters`, because
Requests imports that submodule somewhere, and many apps rely on it. Python adds the submodules that a module imports
lazily to their package at once, and loads them at first use; but it can't know the imports of modules that are not
loaded yet. So a package with lazy imports imports a missing submodule when somebody asks for it (`__getattr__`, PEP
562). So do the packages of the standard library.

A module belongs to a library by its name and by its place: a file of the app may have the name of a library.
"""

import os
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.machinery import ModuleSpec, SourceFileLoader, SourcelessFileLoader
from types import ModuleType

from snakepit.lazy_imports.tried import STANDARD_LIBRARY, Mode
from snakepit.system.import_order import StandardLibraryFirst, everything_is_lazy, make_everything_lazy

_INSTALLED = tuple(f"{os.sep}{folder}{os.sep}" for folder in ("site-packages", "dist-packages"))
_STANDARD = os.path.join(os.path.dirname(os.__file__), "")

_LOADERS = (SourceFileLoader, SourcelessFileLoader)
_METHOD = "create_module"  # not exec_module, which would add a frame of ours to each traceback of an import


class _AllNames:
    """A container that contains every module name."""

    def __contains__(self, name: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "<all modules>"


_ALL_NAMES = _AllNames()


def _finder_of_submodules(package: str) -> Callable[[str], ModuleType]:
    """Make a `__getattr__` for a package that imports missing submodules."""

    def __getattr__(name: str) -> ModuleType:
        cause = None
        if not name.startswith("__"):
            try:
                return import_module(f"{package}.{name}")
            except ImportError as error:
                if getattr(error, "name", None) != f"{package}.{name}":  # the submodule exists, but its import fails
                    cause = error
        missing = AttributeError(
            f"module {package!r} has no attribute {name!r}", name=name, obj=sys.modules.get(package)
        )
        raise missing from cause

    return __getattr__


def _let_find_submodules(belongs: Callable[[str, str], bool]) -> list[ModuleType]:
    """Give such a `__getattr__` to packages that are already imported, and return these packages."""
    found = []
    for name, module in list(sys.modules.items()):
        places = getattr(getattr(module, "__spec__", None), "submodule_search_locations", None)
        if (
            places
            and "__getattr__" not in vars(module)
            and belongs(name.partition(".")[0], os.path.join(places[0], ""))
        ):
            vars(module)["__getattr__"] = _finder_of_submodules(name)
            found.append(module)
    return found


def made_lazy() -> list[str]:
    """Return the libraries that have loaded modules with lazy imports in this interpreter, by `apply`."""
    found = {
        name.partition(".")[0]
        for name, module in list(sys.modules.items())
        if getattr(module, "__dict__", {}).get("__lazy_modules__") is _ALL_NAMES
    }
    return sorted({STANDARD_LIBRARY if name in sys.stdlib_module_names else name for name in found})


def apply(mode: Mode, libraries: Iterable[str] = ()) -> Callable[[], None]:
    """Make imports in this interpreter lazy from now on, and return a function that undoes this.

    Modules that are already imported do not change.

    Args:
        mode: "on": all imports that Python can make lazy; "off": those marked in the code; "auto": the same, and those
            within the libraries.
        libraries: their top-level packages.
    """
    was_lazy = everything_is_lazy()
    make_everything_lazy(mode == "on")
    if mode != "auto" or not libraries:
        return lambda: make_everything_lazy(was_lazy)
    wanted = frozenset(libraries)
    standard = sys.stdlib_module_names if STANDARD_LIBRARY in wanted else frozenset()

    def belongs(name: str, place: str) -> bool:
        if name in wanted:
            return any(folder in place for folder in _INSTALLED)
        return name in standard and place.startswith(_STANDARD)

    def create_module(loader: SourceFileLoader | SourcelessFileLoader, spec: ModuleSpec) -> ModuleType | None:
        if StandardLibraryFirst.is_on() or not belongs(spec.name.partition(".")[0], spec.origin or ""):
            return None  # as Python makes them
        module = ModuleType(spec.name)
        vars(module)["__lazy_modules__"] = _ALL_NAMES
        if spec.submodule_search_locations is not None:
            vars(module)["__getattr__"] = _finder_of_submodules(spec.name)
        return module

    packages = _let_find_submodules(belongs)
    for loader in _LOADERS:
        setattr(loader, _METHOD, create_module)

    def undo() -> None:
        for loader in _LOADERS:
            if vars(loader).get(_METHOD) is create_module:
                delattr(loader, _METHOD)  # as it was: they inherit one that returns None
        for package in packages:
            vars(package).pop("__getattr__", None)

    return undo

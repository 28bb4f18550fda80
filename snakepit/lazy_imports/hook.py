"""Makes imports lazy in this interpreter: those of some libraries, all, or none.

Python has a switch for all imports at the top level of modules (`sys.set_lazy_imports`), and a filter for it. The
filter is not used here. It decides on imports that the app marks as `lazy` itself, too, without being told of that; an
interpreter has one only, which may be the app's; and whoever sets one in the place of ours would find all imports
lazy. Instead each module of a library that is to be lazy begins its life with `__lazy_modules__`, by which a module
says that it wants some imports to be lazy; here it says so of all. So nothing changes for any other module, least of
all the app's own, whose imports may do something: `from . import views` may register routes.

One thing else that eager imports do is made up for. Whoever imports `requests` finds `requests.adapters` there, since
the library has imported it by the way, and many an app relies on that. What a module imports itself, Python puts
there at once, to be loaded when it is used; but not what would be imported by modules which are not loaded yet. So a
package that is to be lazy looks for such a submodule when it is asked for (`__getattr__`, PEP 562), as do those of the
standard library.

A module belongs to a library by its name and by where it is: a file of the app's may have a library's name.
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
_METHOD = "create_module"  # and not exec_module: a call of ours there would stand in each traceback of an import


class _AllNames:
    """What holds every name of a module."""

    def __contains__(self, name: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "<all modules>"


_ALL_NAMES = _AllNames()


def _finder_of_submodules(package: str) -> Callable[[str], ModuleType]:
    """Make a `__getattr__` for a package that imports its submodules when they are asked for."""

    def __getattr__(name: str) -> ModuleType:
        cause = None
        if not name.startswith("__"):
            try:
                return import_module(f"{package}.{name}")
            except ImportError as error:
                if getattr(error, "name", None) != f"{package}.{name}":  # there is one, and it fails
                    cause = error
        missing = AttributeError(
            f"module {package!r} has no attribute {name!r}", name=name, obj=sys.modules.get(package)
        )
        raise missing from cause

    return __getattr__


def _let_find_submodules(belongs: Callable[[str, str], bool]) -> list[ModuleType]:
    """Have packages that are imported already, and belong, look for submodules; returns these packages."""
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
    """The libraries of which this interpreter has imported modules whose imports are lazy by `apply`."""
    found = {
        name.partition(".")[0]
        for name, module in list(sys.modules.items())
        if getattr(module, "__dict__", {}).get("__lazy_modules__") is _ALL_NAMES
    }
    return sorted({STANDARD_LIBRARY if name in sys.stdlib_module_names else name for name in found})


def apply(mode: Mode, libraries: Iterable[str] = ()) -> Callable[[], None]:
    """Have imports of this interpreter be lazy from now on; returns a function that undoes that.

    Modules that are imported already stay as they are, in either case.

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

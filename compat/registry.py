"""Cases, and the list of all of them.

A case is a function that uses one package extensively and asserts the results. It runs in a worker's interpreter, many
times, beside other interpreters with the same case. So it imports the package in its body, and the objects that it
creates outside of the interpreter (tables, keys) have unique names.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

type Use = Callable[..., None]


class SharedFile(NamedTuple):
    """The functions with which a package keeps a file; `compat.sharing` has the requirements.

    Args:
        open: opens the file at a path for writing. Returns a function that adds a key, and returns when that is said
            to be kept; and a function that closes the file.
        read: the keys that are in the file.
    """

    open: Callable[[str], tuple[Callable[[str], object], Callable[[], object]]]
    read: Callable[[str], Iterable[str]]


class Case(NamedTuple):
    """One package of the list.

    Args:
        name: the distribution, as users know it.
        use: the function; it gets the URL of each service.
        modules: the extension modules that may be copied for it: full names, or packages of them. Empty where the
            package has none of its own, or none that refuses.
        of: the distribution that these modules come from.
        exercised: one line for the table.
        services: see `compat.services.SERVICES`.
        environment: variables that have to be set for it to work.
        with_: further distributions whose versions matter.
        distribution: the distribution's name where `name` says more than that.
        file: where the package keeps a file that several may open.
        lazy_only: whether it has no C extension, and so is only tried with lazy imports (`compat.lazy`).
    """

    name: str
    use: Use
    modules: tuple[str, ...]
    of: str
    exercised: str
    services: tuple[str, ...]
    with_: tuple[str, ...]
    distribution: str
    environment: Mapping[str, str]
    file: SharedFile | None = None
    lazy_only: bool = False


CASES: dict[str, Case] = {}


def case(
    name: str,
    *modules: str,
    exercised: str,
    of: str = "",
    services: tuple[str, ...] = (),
    with_: tuple[str, ...] = (),
    distribution: str = "",
    environment: Mapping[str, str] = MappingProxyType({}),
    file: SharedFile | None = None,
    lazy_only: bool = False,
) -> Callable[[Use], Use]:
    """Add the decorated function to the list; see `Case`."""

    def add(use: Use) -> Use:
        if name in CASES:
            raise ValueError(f"there is a case {name} already")
        whole = distribution or name
        CASES[name] = Case(
            name, use, modules, of or whole, exercised, services, with_, whole, environment, file, lazy_only
        )
        return use

    return add


def all_cases() -> dict[str, Case]:
    """Return all cases, by name."""
    import compat.cases

    for module in pkgutil.iter_modules(compat.cases.__path__):
        if not module.name.endswith("_urls"):  # those are imported by Django, once it is set up
            importlib.import_module(f"compat.cases.{module.name}")
    return CASES


def raises(expected: type[BaseException], function: Callable[..., object], *args: object, **kwargs: object) -> str:
    """Call the function, which must raise that exception; returns the exception's text."""
    try:
        function(*args, **kwargs)
    except expected as error:
        return str(error)
    raise AssertionError(f"{function!r} did not raise {expected.__name__}")

"""Checks fakes against the classes that they replace; otherwise a test could use methods that the class no longer has.

`@fake_of(Client)` above a class fails when its module is imported, unless the class can be used in place of a Client.
"""

import inspect
import typing
from collections.abc import Callable, Iterator

_CALLED_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def fake_of[F: type](*contracts: type) -> Callable[[F], F]:
    """Check a class against its contracts.

    Of a Protocol it must have all members. For another class it is not known which are needed, so only its own methods
    are checked: they must accept the same calls as the class's methods of the same names.
    """

    def check(fake: F) -> F:
        troubles = [trouble for contract in contracts for trouble in _troubles(fake, contract)]
        if troubles:
            names = " and ".join(contract.__name__ for contract in contracts)
            raise AssertionError(f"{fake.__name__} can't stand in for {names}: {'; '.join(troubles)}")
        return fake

    return check


def _troubles(fake: type, contract: type) -> Iterator[str]:
    for name in sorted(_members(contract)):
        wanted, found = inspect.getattr_static(contract, name, None), inspect.getattr_static(fake, name, None)
        if found is None and name not in _assigned(fake):
            if typing.is_protocol(contract):
                yield f"it has no {name}"
        elif inspect.isfunction(wanted) and inspect.isfunction(found):
            if inspect.iscoroutinefunction(wanted) is not inspect.iscoroutinefunction(found):
                yield f"only one of them has an async {name}"
            for args, kwargs in _calls(wanted):
                try:
                    inspect.signature(found).bind(*args, **kwargs)
                except TypeError as error:
                    yield f"{name}{inspect.signature(wanted)}: {error}"
                    break


def _members(contract: type) -> set[str]:
    if typing.is_protocol(contract):
        return set(typing.get_protocol_members(contract))
    return {name for name in dir(contract) if not name.startswith("_")}


def _calls(method: Callable[..., object]) -> Iterator[tuple[list[object], dict[str, object]]]:
    """Return the ways in which a method may be called: with all arguments, and with as few as possible."""
    parameters = list(inspect.signature(method).parameters.values())
    by_place = [one for one in parameters if one.kind in _CALLED_BY_PLACE]
    by_name = [one for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY]
    yield [None for _ in by_place], {one.name: None for one in by_name}
    needed = [one for one in by_place if one.default is inspect.Parameter.empty]
    yield [None for _ in needed], {one.name: None for one in by_name if one.default is inspect.Parameter.empty}
    optional = [one for one in by_place if one not in needed and one.kind is not inspect.Parameter.POSITIONAL_ONLY]
    yield [None for _ in needed], {one.name: None for one in [*by_name, *optional]}


def _assigned(fake: type) -> set[str]:
    """Names that methods of a class mention, such as the attributes that `__init__` makes."""
    functions = [value for kind in fake.__mro__ for value in vars(kind).values() if inspect.isfunction(value)]
    return {name for function in functions for name in function.__code__.co_names}

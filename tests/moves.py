"""Checks the states of objects against their table, also if plain assignments set them, which are cheaper.

`held_to(Connection, CONNECTION)` fails at any move for which the table has no arrow.
"""

from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum

from snakepit.server.lifecycle import advance


@contextmanager
def held_to[S: IntEnum](kind: type, table: Mapping[S, Container[S]]) -> Iterator[set[tuple[S, S]]]:
    """Check each move of each `_state` of a class; yields the moves that were made."""
    kind = next((each for each in kind.__mro__ if "_state" in vars(each)), kind)  # where its slot is, if it has one
    slot = vars(kind).get("_state")
    moves: set[tuple[S, S]] = set()

    def get(one: object) -> S:
        return vars(one)["_state"] if slot is None else slot.__get__(one)

    def put(one: object, state: S) -> None:
        try:
            before = get(one)
        except (AttributeError, KeyError):
            pass  # it is being made
        else:
            advance(table, before, state)
            moves.add((before, state))
        if slot is None:
            vars(one)["_state"] = state
        else:
            slot.__set__(one, state)

    kind._state = property(get, put)
    try:
        yield moves
    finally:
        del kind._state
        if slot is not None:
            kind._state = slot

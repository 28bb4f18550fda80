"""moves.held_to, which holds the states of other tests' objects to their tables."""

from enum import IntEnum, auto

import pytest
from moves import held_to

from snakepit.errors import InternalError


class Step(IntEnum):
    A = auto()
    B = auto()
    C = auto()


TABLE = {Step.A: {Step.B}, Step.B: {Step.C}, Step.C: set()}


class Plain:
    def __init__(self):
        self._state = Step.A

    def move(self, state):
        self._state = state
        return self._state


class Slotted(Plain):
    __slots__ = ("_state",)


@pytest.mark.parametrize("kind", [Plain, Slotted])
def test_moves_are_looked_at(kind):
    with held_to(kind, TABLE) as moves:
        one = kind()
        assert one.move(Step.B) is Step.B
        assert moves == {(Step.A, Step.B)}
        for state in (Step.A, Step.B):
            with pytest.raises(InternalError, match="no way from B"):
                one.move(state)
        assert one.move(Step.C) is Step.C


@pytest.mark.parametrize("kind", [Plain, Slotted])
def test_nobody_looks_afterwards(kind):
    with held_to(kind, TABLE):
        before = kind()
    assert before.move(Step.A) is Step.A
    assert kind().move(Step.C) is Step.C

"""tests/fakes.py: a fake that can't stand in for the real one is found; and what tests share is in no test file."""

import ast
from pathlib import Path
from typing import Protocol

import pytest
from fakes import fake_of


class Door(Protocol):
    """What fakes are to be held to."""

    @property
    def width(self) -> int:
        """In centimetres."""

    def open(self, angle: float, quietly: bool = False) -> None:
        """Open it so far."""

    async def wait_closed(self) -> None:
        """Return when it is closed."""


class Gate:
    """No Protocol."""

    def open(self, angle):
        """Open it so far."""

    def paint(self):
        """Fakes need not have this one."""


def open_(self, angle, quietly=False):
    pass


async def wait_closed(self):
    pass


MEMBERS = {"width": 80, "open": open_, "wait_closed": wait_closed}


def test_what_has_it_all():
    fake = type("Fake", (), MEMBERS)
    assert fake_of(Door, Gate)(fake) is fake


def test_attributes_that_are_made_later():
    @fake_of(Door)
    class Fake:
        open, wait_closed = open_, wait_closed

        def __init__(self):
            self.width = 80


def test_what_need_not_be():
    fake_of(Gate)(type("Fake", (), {"creak": 1}))


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        ({"width": None}, "it has no width"),
        ({"open": None}, "it has no open"),
        ({"open": lambda self, angle: None}, r"open\(.*: too many positional arguments"),
        ({"open": lambda self, angle, quietly: None}, r"open\(.*: missing a required argument: 'quietly'"),
        ({"open": lambda self, angle, softly=False: None}, "got an unexpected keyword argument 'quietly'"),
        ({"wait_closed": lambda self: None}, "only one of them has an async wait_closed"),
    ],
)
def test_what_is_found(changes, trouble):
    members = {name: value for name, value in (MEMBERS | changes).items() if value is not None}
    with pytest.raises(AssertionError, match=f"^Fake can't stand in for Door: .*{trouble}"):
        fake_of(Door)(type("Fake", (), members))


def test_what_is_found_where_there_is_no_protocol():
    with pytest.raises(AssertionError, match=r"^Fake can't stand in for Gate: open.*: too many positional arguments"):
        fake_of(Gate)(type("Fake", (), {"open": lambda self: None}))


def test_no_test_file_imports_another():
    tests = {path.stem: path for path in Path(__file__).parents[1].rglob("test_*.py")}
    found = []
    for name, path in tests.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                imported = [node.module or "", *(alias.name for alias in node.names)]
            elif isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            else:
                continue
            found += [(name, other) for other in imported if other.rpartition(".")[2] in tests]
    assert found == []

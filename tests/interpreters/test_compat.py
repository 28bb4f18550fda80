"""A part of the compatibility suite, and that it sees what goes wrong. `make compat` runs all of it."""

import os
import sys
from pathlib import Path

import pytest
from waiting import PATIENCE

from compat import driver
from compat.driver import Driver, Result, Services
from compat.registry import Case, all_cases

CASES = all_cases()


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(driver, "PATIENCE", PATIENCE)


@pytest.fixture
def runner():
    with Services() as services:
        yield Driver(services, seconds=0.0)


# The group `extensions` in pyproject.toml has these packages.
@pytest.mark.parametrize("name", ["FastAPI", "orjson", "greenlet", "PyJWT", "numpy"])
def test_packages_work_from_private_copies(runner, name):
    result = Result("passed")
    assert runner.run(CASES[name], "vetted", result, interpreters=2, lives=2) == ""
    assert "copied" in result.loads.values()
    assert "refused" not in result.loads.values()


BROKEN = """
from compat.registry import case

@case("crash", exercised="")
def crash():
    import ctypes
    ctypes.string_at(0)

@case("wrong", exercised="")
def wrong():
    assert 1 == 2, "one is not two"

@case("endless", exercised="")
def endless():
    import threading
    threading.Lock().acquire() and threading.Event().wait()

@case("fine", exercised="")
def fine():
    pass
"""


@pytest.fixture
def broken(tmp_path: Path, monkeypatch):
    """Gives cases of a module that only the child imports."""
    (tmp_path / "broken_cases.py").write_text(BROKEN)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))

    def use() -> None:
        """Stands for the function there."""

    use.__module__ = "broken_cases"
    return lambda name: Case(name, use, (), name, "", (), (), name, {})


def run(runner: Driver, case: Case) -> str:
    return runner.run(case, "all", Result("passed"), interpreters=2, lives=1)


def test_a_crash_is_seen_and_its_place(runner, broken):
    reason = run(runner, broken("crash"))
    assert reason.startswith("SIGSEGV in string_at")


def test_a_failed_assertion_is_seen(runner, broken):
    assert run(runner, broken("wrong")) == "AssertionError: one is not two"


def test_a_hang_is_seen(runner, broken, monkeypatch):
    monkeypatch.setattr(driver, "PATIENCE", 2.0)
    assert run(runner, broken("endless")).startswith("no end after 2 s")


def test_nothing_is_seen_where_nothing_is_wrong(runner, broken):
    assert run(runner, broken("fine")) == ""

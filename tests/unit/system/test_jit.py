"""snakepit.system.jit: what a process is started with."""

import pytest

from snakepit.system import jit
from snakepit.system.jit import BEFORE, VARIABLE, changes, take_back, trouble


@pytest.fixture(autouse=True)
def python(monkeypatch):
    """A Python that has one which is worth it, and is off; `python(...)` says otherwise."""

    def set_up(available=True, enabled=False, gains=True):
        monkeypatch.setattr(jit, "is_available", lambda: available)
        monkeypatch.setattr(jit, "is_enabled", lambda: enabled)
        monkeypatch.setattr(jit, "GAINS", gains)

    set_up()
    return set_up


@pytest.mark.parametrize(
    ("wanted", "said", "expected"),
    [
        (None, None, "1"),
        (None, "", "1"),
        (None, "0", "0"),
        (None, "1", "1"),
        (True, "0", "1"),
        (False, "1", "0"),
        (False, None, "0"),
        (True, "1", "1"),
    ],
)
def test_what_a_process_is_started_with_and_passes_on(wanted, said, expected):
    environ = {"A": "1"} | ({} if said is None else {VARIABLE: said})
    started = environ | changes(wanted, environ)
    assert started[VARIABLE] == expected
    take_back(started)
    assert started == {name: value for name, value in environ.items() if value}


def test_where_it_gains_nothing_it_has_to_be_asked_for(python):
    python(gains=False)
    assert changes(None, {}) == {}
    assert changes(True, {}) == {VARIABLE: "1", BEFORE: ""}


@pytest.mark.parametrize("wanted", [None, True, False])
def test_where_there_is_none_nothing_changes(python, wanted):
    python(available=False)
    assert changes(wanted, {}) == {}


def test_there_is_no_trouble_where_it_is_as_wanted(python):
    assert trouble(None) == trouble(False) == ""
    python(enabled=True)
    assert trouble(None) == trouble(True) == ""


def test_what_is_said_where_it_is_not_as_wanted(python):
    assert trouble(True).startswith("--jit: the JIT compiler stays off,")
    assert "PYTHON_JIT=1" in trouble(True)
    python(enabled=True)
    assert trouble(False).startswith("--no-jit: the JIT compiler stays on,")
    assert "PYTHON_JIT=0" in trouble(False)


def test_what_is_said_where_there_is_none(python):
    python(available=False)
    assert "has no JIT compiler" in trouble(True)
    assert trouble(False) == ""

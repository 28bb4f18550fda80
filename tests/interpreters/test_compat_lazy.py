"""The part of the compatibility suite that tries lazy imports: what it finds, and whom it blames."""

import pytest
from waiting import PATIENCE

from compat import driver, lazy
from compat.driver import Driver, Result, Services
from compat.registry import Case, all_cases
from snakepit.lazy_imports.tried import EXIST, STANDARD_LIBRARY

CASES = all_cases()

NEEDS = {
    "fine": {"fine", "shared"},
    "other": {"other", "shared"},
    "alone": {"alone"},
    "apart": {"apart", "shared"},
    "broken": set(),
}
"""The libraries that each case of the tests below imports."""


class Played:
    """Stands in for a `Driver`: a case fails where certain libraries are lazy."""

    def __init__(self, failing):
        self.failing = failing

    def run(self, case, policy, result, interpreters, lives, lazy=(), threads=0):
        result.lazy = sorted({STANDARD_LIBRARY, *NEEDS[case.name]} & set(lazy))
        fails = any(set(together) <= set(result.lazy) for together in self.failing.get(case.name, ()))
        return "failed" if fails else ""


@pytest.fixture
def try_all(monkeypatch):
    """Tries the cases of NEEDS, of which these fail where these are lazy."""
    monkeypatch.setattr(lazy, "installed", lambda case: {})
    monkeypatch.setattr(lazy, "_libraries", lambda cases: sorted({name for case in cases for name in NEEDS[case.name]}))
    monkeypatch.setattr(lazy, "_bearing", {})

    def do(**failing):
        cases = [Case(name, lambda: None, (), name, "", (), (), name, {}) for name in NEEDS]
        found = lazy.try_all(cases, Played(failing))
        return found.passed, found.failed

    return do


def test_all_pass(try_all):
    passed, failed = try_all()
    assert failed == {}
    assert passed["shared"] == ["fine", "other", "apart"]
    assert passed[STANDARD_LIBRARY] == list(NEEDS)


def test_a_library_that_fails_by_itself(try_all):
    passed, failed = try_all(alone=[["alone"]])
    assert failed == {"alone": "alone: failed"}
    assert set(passed) == {"fine", "other", "apart", "shared", STANDARD_LIBRARY}


def test_a_library_that_fails_among_others_is_found(try_all):
    passed, failed = try_all(fine=[["fine", STANDARD_LIBRARY]])
    assert set(failed) == {STANDARD_LIBRARY}, "the first without which it passes"
    assert STANDARD_LIBRARY not in passed
    assert "fine" in passed


def test_a_case_that_fails_without_lazy_imports_blames_nobody(try_all):
    passed, failed = try_all(broken=[[]])
    assert failed == {}
    assert "broken" not in passed[STANDARD_LIBRARY]


def test_the_table():
    entries = {
        STANDARD_LIBRARY: {"versions": {"3.15": ["3.15.2"]}, "cases": list("abcdefg")},
        "flask": {"versions": {"3.15": ["3.0", "3.1"], "3.16": ["3.1"]}, "cases": ["Flask"]},
    }
    page = "# Page\n\n<!-- libraries: start (made) -->\n\nold\n\n<!-- libraries: end -->\n\nmore\n"
    assert lazy.page(entries, page) == (
        "# Page\n\n<!-- libraries: start (made) -->\n\n"
        "| Library | Python 3.16 | Python 3.15 | Used by the cases |\n| --- | --- | --- | --- |\n"
        "| the standard library | – | 3.15.2 | 7 of them |\n| `flask` | 3.1 | 3.0, 3.1 | Flask |\n\n"
        "<!-- libraries: end -->\n\nmore\n"
    )


@pytest.mark.skipif(not EXIST, reason="Python 3.15 and later")
def test_a_package_with_lazy_imports(monkeypatch):
    monkeypatch.setattr(driver, "PATIENCE", PATIENCE)
    result = Result("passed")
    with Services() as services:
        runner = Driver(services, seconds=0.0)
        assert runner.run(CASES["FastAPI"], "vetted", result, 2, 1, lazy=["fastapi", "starlette"], threads=2) == ""
    assert result.lazy == ["fastapi", "starlette"]

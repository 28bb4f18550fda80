"""Unit tests mirror the package: the same folders, and tests for each module with logic of its own."""

import ast
import re
from collections import Counter
from pathlib import Path

import snakepit

PACKAGE = Path(snakepit.__file__).parent
TESTS = Path(__file__).parent

BESIDE = {"benchmarks", "conformance", "fuzz", "tools"}
"""Folders that are not the package's: their tests are of what stands beside it."""

MOST_STATEMENTS = 10
"""A module all of whose functions have no more statements than this may do without a unit test: whatever uses it shows
where it is wrong."""

UNTESTED = {
    "snakepit.__main__",
    "snakepit.check.command",
    "snakepit.check.inside",
    "snakepit.check.sandbox",
    "snakepit.server.serving",
    "snakepit.worker.bootstrap",
    "snakepit.worker.process",
}
"""Modules that only tests with interpreters or a whole server run. Nothing may be added here."""


def statements(function):
    return sum(isinstance(node, ast.stmt) for node in ast.walk(function)) - 1


def modules_with_logic():
    for path in PACKAGE.rglob("*.py"):
        functions = [
            node
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        if any(statements(function) > MOST_STATEMENTS for function in functions):
            yield ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def named(source):
    """Names that a test file imports, or that stand in the first line of its docstring, with or without `snakepit.`."""
    tree = ast.parse(source)
    first, _, _ = (ast.get_docstring(tree) or "").partition("\n")
    for name in re.findall(r"\w+(?:\.\w+)+", first):
        yield from (name, f"snakepit.{name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def untested():
    tested = {name for path in TESTS.rglob("test_*.py") for name in named(path.read_text(encoding="utf-8"))}
    return set(modules_with_logic()) - tested


def test_each_module_with_logic_has_a_unit_test():
    assert untested() - UNTESTED == set(), "write a test that imports it, or names it in its docstring's first line"


def test_the_list_of_those_without_gets_shorter():
    assert UNTESTED - untested() == set(), "these have a test, or need none any more: take them off the list"


def test_what_names_a_module():
    source = (
        '"""worker.notes, and snakepit.logs: what.\n\nSee server.run."""\nfrom snakepit.wire import codec\nimport a.b\n'
    )
    assert {"snakepit.worker.notes", "snakepit.logs", "snakepit.wire.codec", "a.b"} <= set(named(source))
    assert "snakepit.server.run" not in set(named(source))


def test_folders_are_the_packages():
    for tests in TESTS.rglob("test_*.py"):
        folder = tests.parent.relative_to(TESTS)
        assert (PACKAGE / folder).is_dir() or str(folder) in BESIDE, f"{folder}: no such folder in the package"


def test_no_two_modules_of_tests_have_one_name():
    """Pytest imports them by their name alone, so it finds only one of two, and only says so when it collects both."""
    names = Counter(path.name for path in TESTS.parent.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []

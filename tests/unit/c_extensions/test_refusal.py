"""c_extensions.refusal and c_extensions.packages: which C extension refused, what imports it, and what can be done."""

import sys

import pytest

from snakepit.c_extensions import refusal, vetted
from snakepit.c_extensions.packages import STANDARD_LIBRARY, Package, package_of
from snakepit.c_extensions.refusal import explain, import_chain, note, ways_out


@pytest.fixture
def vetted_fast(monkeypatch):
    """The package `fast` is vetted with two versions."""
    package = vetted.VettedPackage("fast", ("fast",), ("1.0", "1.2"), "")
    monkeypatch.setattr(vetted, "find", lambda module: package if module.startswith("fast.") else None)


@pytest.mark.parametrize(
    ("importers", "chain"),
    [
        ([], []),
        (["main"], ["main"]),
        (["main", "helper"], ["main", "helper"]),
        (["main", "fastapi", "fastapi.routing", "pydantic.main"], ["main", "fastapi", "pydantic"]),
        (["shop", "shop.web", "shop.web.views", "sqlalchemy.orm"], ["shop.web.views", "sqlalchemy"]),
        (["shop", "numpy", "numpy.core", "shop.late", "scipy.linalg"], ["shop", "numpy", "shop.late", "scipy"]),
    ],
)
def test_import_chain(importers, chain):
    assert import_chain(importers) == chain


def test_package_of_an_installed_module():
    package = package_of("pytest", pytest.__file__)
    assert package == Package("pytest", pytest.__version__)
    assert str(package) == f"pytest {pytest.__version__}"


def test_package_of_the_standard_library():
    assert package_of("xml.etree.ElementTree", "") == STANDARD_LIBRARY
    assert str(STANDARD_LIBRARY) == "Python {}.{}.{}".format(*sys.version_info)


def test_package_of_a_module_that_nothing_installed():
    assert package_of("no_such_package.core", "/no_such_package/core.so") is None


def test_package_of_a_shared_name(monkeypatch, tmp_path):
    """Of the packages that share a namespace, the one that holds the file."""

    class Fake:
        version = "1"

        def __init__(self, name):
            self.name = name
            self.files = [self]

        def locate(self):
            return tmp_path / self.name / "core.so"

    monkeypatch.setattr("snakepit.c_extensions.packages._by_top_level", lambda: {"space": ["one", "two", "two"]})
    monkeypatch.setattr("snakepit.c_extensions.packages.distribution", Fake)
    assert package_of("space.core", str(tmp_path / "two" / "core.so")) == Package("two", "1")
    assert package_of("space.core", str(tmp_path / "else.so")) is None


@pytest.mark.parametrize(
    ("module", "file", "package", "policy", "expected"),
    [
        ("new.core", "/f", Package("new", "2"), "vetted", ["a version of new that supports", "--extensions all"]),
        ("new.core", "/f", Package("new", "2"), "all", ["a version of new that supports"]),
        ("new.core", "/f", None, "vetted", ["a version of this package that", "--extensions all"]),
        ("fast.core", "/f", Package("fast", "2"), "native", ["or is vetted (1.0, 1.2)", "--extensions vetted"]),
        ("new.core", "/f", Package("new", "2"), "native", ["a version of new that supports", "--extensions all"]),
        ("_duckdb", "/f", Package("duckdb", "2"), "vetted", ["a version of duckdb that supports"]),
        ("lmdb.cpython", "/f", Package("lmdb", "2"), "native", ["a version of lmdb that supports"]),
        ("readline", "/f", STANDARD_LIBRARY, "vetted", ["an app that does without", "--extensions all"]),
        ("readline", "", STANDARD_LIBRARY, "vetted", ["an app that does without"]),
    ],
)
def test_ways_out(vetted_fast, module, file, package, policy, expected):
    ways = ways_out(module, file, package, policy)
    assert len(ways) == 1 + len(expected)
    assert ways[0].startswith("--runtime process")
    for way, part in zip(ways[1:], expected, strict=True):
        assert part in way


def test_explain(monkeypatch, vetted_fast):
    monkeypatch.setattr(refusal, "package_of", lambda module, file: Package("new", "2.1"))
    assert explain("new.core", "/new/core.so", ["main", "new.api", "new"], "vetted").splitlines() == [
        "new.core, a C extension of new 2.1, refuses to run in several interpreters",
        "imported by: main → new",
        "ways out:",
        "  --runtime process: each worker is a process then",
        "  a version of new that supports subinterpreters (PEP 684), or is vetted",
        "  --extensions all: each worker loads a copy of its own, at your own risk",
    ]


def test_explain_without_importers():
    assert "imported by" not in explain("no_such_package.core", "/f", [], "vetted")


def test_explain_what_would_lose_writes():
    lines = explain("_duckdb", "/f", ["main"], "vetted").splitlines()
    assert lines[2] == "with a copy in each worker, writes to a file that several open would be lost without an error"
    assert lines[3:5] == ["ways out:", "  --runtime process: each worker is a process then"]


@pytest.mark.usefixtures("vetted_fast")
def test_a_note_is_one_line(monkeypatch):
    monkeypatch.setattr(refusal, "package_of", lambda module, file: Package("fast", "1.3"))
    told = note("fast.core", "/fast/core.so", ["shop", "willow", "fast"], "native")
    assert told.startswith("fast.core, a C extension of fast 1.3, refuses to run in several interpreters (imported by ")
    assert "--runtime process: each worker is a process then; or " in told
    assert "--extensions vetted" in told
    assert "\n" not in told


def test_there_is_no_note_about_what_python_itself_goes_without():
    assert note("readline", "", ["shop", "pdb"], "vetted") == ""

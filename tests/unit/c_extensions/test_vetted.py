"""snakepit.c_extensions.vetted and its list, which the compatibility suite makes from its results."""

import json
import re
from pathlib import Path

import pytest

from compat import results, tables
from snakepit.c_extensions import vetted

LIST = json.loads(Path(vetted.LIST).read_text(encoding="utf-8"))
THIS = vetted.THIS_PYTHON.partition(" ")[2]


@pytest.fixture
def list_of(tmp_path, monkeypatch):
    """Puts a list in the place of the real one."""

    def put(entries: dict[str, object]) -> None:
        file = tmp_path / "vetted.json"
        file.write_text(json.dumps(entries))
        monkeypatch.setattr(vetted, "LIST", str(file))
        vetted.packages.cache_clear()

    yield put
    vetted.packages.cache_clear()


def entry(*modules: str, python: str = THIS) -> dict[str, object]:
    return {"modules": list(modules), "versions": {python: ["1.0"]}, "exercised": "all"}


@pytest.mark.parametrize("name", LIST)
def test_entries_have_what_is_needed(name):
    found = LIST[name]
    assert found.keys() == {"modules", "versions", "exercised"}
    assert found["exercised"].strip()
    assert found["modules"]
    assert all(re.fullmatch(r"\w+(\.\w+)*", module) for module in found["modules"])
    assert found["versions"]
    assert all(re.fullmatch(r"3\.\d+", python) and versions for python, versions in found["versions"].items())
    assert all(re.match(r"\d", version) for versions in found["versions"].values() for version in versions)


def test_no_module_belongs_to_two_packages():
    modules = [module for found in LIST.values() for module in found["modules"]]
    assert len(modules) == len(set(modules))
    assert not [(one, other) for one in modules for other in modules if one.startswith(f"{other}.")]


def test_the_list_and_the_page_follow_from_the_results():
    found = results.read()
    page = tables.PAGE.read_text(encoding="utf-8")
    assert results.vetted(found) == LIST, "run python -m compat --tables"
    assert tables.page(found, page) == page, "run python -m compat --tables"


def test_what_is_written_on_speed_stays():
    start, end = tables.SPEED
    written = f"before\n{start}\nfast enough\n{end}\nafter"
    assert f"{start}\nfast enough\n{end}" in tables.page(results.read(), written)


def test_a_package_is_found_by_its_modules(list_of):
    list_of({"one": entry("one"), "two": entry("space.two", "_two")})
    assert vetted.find("one").name == "one"
    assert vetted.find("one.part.of_it").name == "one"
    assert vetted.find("space.two._c").name == "two"
    assert vetted.find("_two").name == "two"


@pytest.mark.parametrize("module", ["onepart", "space", "space.other", "two"])
def test_nothing_else_is_found(list_of, module):
    list_of({"one": entry("one"), "two": entry("space.two")})
    assert vetted.find(module) is None


def test_a_package_vetted_for_another_python_is_not_found(list_of):
    list_of({"one": entry("one", python="3.0")})
    assert vetted.find("one") is None


@pytest.mark.parametrize(
    ("module", "loses"), [("_duckdb", True), ("duckdb.part", True), ("duckdbx", False), ("sqlite3", False)]
)
def test_what_loses_writes(module, loses):
    assert vetted.loses_writes(module) is loses


def test_what_loses_writes_is_a_database_that_failed():
    failing = {
        module
        for of_python in results.read().values()
        for name, result in of_python.items()
        if result["status"] == "failed" and results.CASES[name].file is not None
        for module in results.CASES[name].modules
    }
    assert failing >= vetted.LOSE_WRITES
    assert not vetted.LOSE_WRITES & {module for found in LIST.values() for module in found["modules"]}

"""snakepit.lazy_imports.tried: the list of libraries, and what an option comes to."""

import json

import pytest

from snakepit.lazy_imports import tried
from snakepit.lazy_imports.tried import LIST, STANDARD_LIBRARY, chosen, libraries


@pytest.fixture
def entries(tmp_path, monkeypatch):
    """A list of three, one of which was not tried on this Python, which has lazy imports."""
    written = {
        "flask": {"versions": {"3.15": ["3.1"]}, "cases": ["Flask"]},
        "click": {"versions": {"3.15": ["8.1", "8.2"], "3.16": ["8.2"]}, "cases": ["Flask", "click"]},
        "old": {"versions": {"3.14": ["1"]}, "cases": ["old"]},
    }
    path = tmp_path / "tried.json"
    path.write_text(json.dumps(written), encoding="utf-8")
    monkeypatch.setattr(tried, "LIST", str(path))
    monkeypatch.setattr(tried, "EXIST", True)
    monkeypatch.setattr(tried, "THIS", "3.15")
    monkeypatch.setattr(tried, "everything_is_lazy", lambda: False)
    libraries.cache_clear()
    yield
    libraries.cache_clear()


@pytest.mark.usefixtures("entries")
def test_the_libraries_of_this_python():
    assert set(libraries()) == {"flask", "click"}
    assert libraries()["click"].versions == ("8.1", "8.2")
    assert libraries()["click"].cases == ("Flask", "click")


@pytest.mark.usefixtures("entries")
def test_what_the_option_comes_to():
    assert chosen("auto") == ("auto", ["click", "flask"])
    assert chosen("on") == ("on", [])
    assert chosen("off") == ("off", [])


@pytest.mark.usefixtures("entries")
def test_where_python_was_started_with_lazy_imports_it_is_on(monkeypatch):
    monkeypatch.setattr(tried, "everything_is_lazy", lambda: True)
    assert chosen("auto") == ("on", [])
    assert chosen("off") == ("off", [])


@pytest.mark.usefixtures("entries")
@pytest.mark.parametrize("option", ["auto", "on", "off"])
def test_a_python_without_lazy_imports(monkeypatch, option):
    monkeypatch.setattr(tried, "EXIST", False)
    assert chosen(option) == ("off", [])


def test_the_list_that_is_shipped():
    with open(LIST, encoding="utf-8") as file:
        entries = json.load(file)
    wanted = {"flask", "werkzeug", "jinja2", "click", "itsdangerous", "starlette", "fastapi", "pydantic", "anyio"}
    assert {*wanted, "django", "httpx", "requests", STANDARD_LIBRARY} <= set(entries)
    assert "sqlalchemy" not in entries, "it registers events by imports of its own"
    for name, entry in entries.items():
        assert "." not in name
        assert entry["cases"]
        assert all(entry["versions"].values())

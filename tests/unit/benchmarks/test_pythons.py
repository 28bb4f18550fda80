"""The Pythons of the benchmark beside peers, and what is installed for them."""

import os
import sys
from pathlib import Path

import pytest

from benchmarks import environment
from benchmarks.peers.pythons import Python, parse, set_up


@pytest.mark.parametrize(("name", "found"), [("3.14", ("3.14", False)), ("3.15-jit", ("3.15", True))])
def test_names(name, found):
    assert parse(name) == found


@pytest.mark.parametrize("name", ["", "3", "3.15-", "jit", "3.15-jit-2", "python3.15"])
def test_other_names(name):
    with pytest.raises(ValueError, match="no name of a Python"):
        parse(name)


def test_a_name_shows_only_where_there_is_one():
    assert Python("3.15-jit", Path("bin")).label("granian") == "granian [3.15-jit]"
    assert Python("", Path("bin")).label("granian") == "granian"


def test_the_python_that_runs_needs_no_other_environment():
    python = set_up("{}.{}".format(*sys.version_info))
    assert (python.bin, python.environ) == (Path(sys.executable).parent, {"PYTHON_JIT": "0"})


def test_peers_apps_and_the_fast_extra_are_installed():
    text = (environment.PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    names = {each.split(">")[0].split("=")[0].split("[")[0] for each in environment.requirements(text)}
    assert {"bengal-pounce", "granian", "gunicorn", "uvicorn", "starlette", "flask", "httptools", "uvloop"} <= names


def test_an_environment_is_made_again_when_the_project_has_changed(tmp_path):
    assert not environment.is_current(tmp_path)
    made = tmp_path / environment.MADE
    made.touch()
    changed = (environment.PROJECT / "pyproject.toml").stat().st_mtime
    os.utime(made, (changed + 1, changed + 1))
    assert environment.is_current(tmp_path)
    os.utime(made, (changed - 1, changed - 1))
    assert not environment.is_current(tmp_path)


def test_an_environment_made_in_another_way_does_without_nothing_known(tmp_path):
    assert environment.left_out(tmp_path) == {}

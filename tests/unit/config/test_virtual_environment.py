"""config.virtual_environment: what is one, for which Python it is, and where it has its packages."""

import os
import subprocess
import sys
import sysconfig

import pytest

from snakepit.config import virtual_environment
from snakepit.config.options import Config
from snakepit.config.sources import gather
from snakepit.config.virtual_environment import find
from snakepit.errors import ConfigError

OURS = "{}.{}".format(*sys.version_info)
FREE = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="there the folder of packages does not name the Python")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """One made by this Python."""
    folder = tmp_path_factory.mktemp("made") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return str(folder)


@pytest.fixture
def make(tmp_path):
    """Makes the parts of an environment."""

    def make(marker, *folders):
        for folder in folders:
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "pyvenv.cfg").write_text(marker, encoding="utf-8")
        return str(tmp_path)

    return make


def refusal(folder):
    with pytest.raises(ConfigError) as caught:
        find(folder)
    assert caught.value.options == ("venv",)
    return str(caught.value)


def test_one_that_this_python_made(made):
    found = find(made)
    asked = subprocess.run(
        [found["executable"], "-c", "import sysconfig, sys; print(sysconfig.get_path('purelib')); print(sys.prefix)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout.splitlines() == [found["packages"][0], made]
    assert os.path.dirname(found["executable"]) == found["scripts"]
    assert (found["folder"], found["system"]) == (made, "")


def test_packages_of_the_system(make):
    home = os.path.join(os.sep, "opt", "python", "bin")
    packages = f"lib/python{OURS}{FREE}/site-packages"
    marker = f"home = {home}\ninclude-system-site-packages = True\nversion = {OURS}.1\n"
    if sys.platform == "win32":
        assert find(make(marker, "Lib/site-packages"))["system"] == home
    else:
        assert find(make(marker, packages))["system"] == os.path.dirname(home)


def test_a_folder_that_is_none(tmp_path):
    assert refusal(str(tmp_path)) == (
        f"venv: {tmp_path} is no virtual environment: looked for {tmp_path / 'pyvenv.cfg'}; {sys.executable} -m venv "
        f"{tmp_path} makes one"
    )


def test_no_folder(tmp_path):
    missing = tmp_path / "missing"
    assert refusal(str(missing)).startswith(f"venv: {missing} is no folder: looked for {missing / 'pyvenv.cfg'}; ")


def test_a_marker_that_is_no_text(tmp_path):
    (tmp_path / "pyvenv.cfg").write_bytes(b"\xff\xfe")
    assert refusal(str(tmp_path)).startswith(f"venv: {tmp_path / 'pyvenv.cfg'} can't be read: ")


@POSIX
@pytest.mark.parametrize(
    ("marker", "folder", "theirs"),
    [
        ("version = 3.9.1", "lib/python3.9/site-packages", "CPython 3.9"),  # python -m venv
        ("version_info = 3.9.1.final.0\nimplementation = CPython", "lib/python3.9/site-packages", "CPython 3.9"),
        ("version_info = 3.9", "elsewhere", "CPython 3.9"),
        ("implementation = PyPy\nversion_info = 3.10.2", "lib/pypy3.10/site-packages", "PyPy 3.10"),
        ("implementation = PyPy\nversion_info = " + OURS, f"lib/pypy{OURS}/site-packages", f"PyPy {OURS}"),
        ("home = /usr/bin", "lib/python3.9/site-packages", "CPython 3.9"),  # nothing says it but the folder
        ("version = 3.13.1", "lib/python3.13t/site-packages", "CPython 3.13 without the GIL"),
        ("version = 3.140.1", "lib/python3.140/site-packages", "CPython 3.140"),
        ("home = /usr/bin", "elsewhere", "an unknown Python"),
    ],
)
def test_one_for_another_python(make, monkeypatch, marker, folder, theirs):
    monkeypatch.setattr(virtual_environment, "_FREE_THREADED", False)
    found = make(marker, folder)
    assert refusal(found) == (
        f"venv: {found} is for {theirs}, and this is CPython {OURS}: serve with that Python, or make the environment "
        f"anew ({sys.executable} -m venv --clear {found})"
    )


@POSIX
def test_one_with_the_gil_for_a_python_without(make, monkeypatch):
    monkeypatch.setattr(virtual_environment, "_FREE_THREADED", True)
    monkeypatch.setattr(virtual_environment, "_path", lambda folder, name: f"{folder}/lib/python{OURS}t/site-packages")
    found = make(f"version = {OURS}.0", f"lib/python{OURS}/site-packages")
    assert f"is for CPython {OURS}, and this is CPython {OURS} without the GIL: " in refusal(found)


@POSIX
def test_one_without_a_folder_of_packages(make):
    found = make(f"version = {OURS}.0")
    assert refusal(found).endswith(f"looked for {found}/lib/python{OURS}{FREE}/site-packages")


def test_one_without_a_python(make):
    folder = "Lib/site-packages" if sys.platform == "win32" else f"lib/python{OURS}{FREE}/site-packages"
    assert find(make(f"version = {OURS}.0", folder))["executable"] == ""


# -- the option --------------------------------------------------------------------------------------------------------


def test_a_relative_path_starts_from_the_working_directory(made, monkeypatch):
    monkeypatch.chdir(os.path.dirname(made))
    monkeypatch.delenv("PWD", raising=False)
    assert Config("main:app", venv="venv").venv == made


def test_a_config_with_one_that_does_not_fit_can_not_be_made(tmp_path):
    with pytest.raises(ConfigError, match=r"^venv: .* is no virtual environment"):
        Config("main:app", venv=str(tmp_path))


def test_it_can_be_given_to_one_runtime_only_that_has_modules_of_its_own(made):
    for runtime in ("interpreter", "process"):
        assert Config("main:app", venv=made, runtime=runtime).venv == made
    with pytest.raises(ConfigError, match=r"^venv can't be used with runtime thread, where the app has the modules"):
        Config("main:app", venv=made, runtime="thread")


def test_an_empty_variable_is_ignored(monkeypatch):
    from snakepit.config.options import OPTIONS

    monkeypatch.setenv("SNAKEPIT_VENV", "")
    assert "venv" not in gather(OPTIONS, "main:app", {}, None).values

"""snakepit.system.working_directory: a folder by the name that a shell tells, and where there is none any more."""

import os
import sys

import pytest

from snakepit.system.working_directory import WorkingDirectory, absolute, by_name, name

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="symbolic links, and folders that go while they are used"
)


@pytest.fixture
def current(tmp_path, monkeypatch):
    """The working directory: a link to a release, whose name PWD has."""
    for number in "12":
        (tmp_path / "releases" / number / "app").mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/1")
    monkeypatch.chdir(tmp_path / "current")
    monkeypatch.setenv("PWD", str(tmp_path / "current"))
    return tmp_path / "current"


def publish(current, number):
    new = current.with_name("new")
    new.symlink_to(f"releases/{number}")
    new.replace(current)


def test_name(current, monkeypatch):
    assert name() == str(current)
    for other in ("", "current", "/", str(current / "nowhere")):
        monkeypatch.setenv("PWD", other)
        assert name() == str(current.resolve())
    monkeypatch.delenv("PWD")
    assert name() == str(current.resolve())


def test_absolute(current):
    assert absolute("app") == str(current / "app")
    assert absolute(".") == str(current)
    assert absolute("./app/log.json") == str(current / "app" / "log.json")
    assert absolute("/etc/log.json") == "/etc/log.json"
    assert absolute("../2") == str(current.parent / "releases" / "2"), "what the system would open"


def test_by_name(current):
    found = current.resolve()
    assert by_name(str(found)) == by_name("") == str(current)
    assert by_name(str(found / "app")) == str(current / "app")
    assert by_name(str(found.parent)) == str(found.parent)
    assert by_name(f"{found}0") == f"{found}0"


def test_a_folder_that_has_been_removed(current, monkeypatch):
    current.resolve().joinpath("app").rmdir()
    current.resolve().rmdir()
    assert name() == ""
    assert by_name("/somewhere") == "/somewhere"
    with pytest.raises(FileNotFoundError, match="'app' is a relative path, and the working directory has been removed"):
        absolute("app")
    publish(current, 2)
    assert name() == str(current), "there is another of that name"
    WorkingDirectory()
    assert os.getcwd() == str(current.resolve())


def test_the_name_is_followed(current):
    directory = WorkingDirectory()
    directory.enter_anew()
    assert os.getcwd() == str(current.parent / "releases" / "1")
    publish(current, 2)
    directory.enter_anew()
    assert os.getcwd() == str(current.parent / "releases" / "2")
    current.unlink()
    directory.enter_anew()
    assert os.getcwd() == str(current.parent / "releases" / "2"), "there is nothing to be followed"


def test_an_app_that_has_gone_elsewhere_is_left_there(current):
    directory = WorkingDirectory()
    os.chdir("app")
    publish(current, 2)
    directory.enter_anew()
    assert os.getcwd() == str(current.parent / "releases" / "1" / "app")

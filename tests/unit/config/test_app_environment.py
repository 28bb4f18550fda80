"""config.environment: which variables an app has, and which of several sources counts."""

import os
import subprocess
import sys

import pytest

from snakepit.config import sources, variables
from snakepit.config.environment import environ_of_app
from snakepit.config.options import Config
from snakepit.errors import ConfigError

APP = "main:app"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """The environment with one variable, and as it was afterwards; no env file has been loaded."""
    before = dict(os.environ)
    os.environ["SITE_GIVEN"] = "given"
    monkeypatch.setattr(sources, "SET_BY_ENV_FILES", loaded := {})
    monkeypatch.setattr("snakepit.config.environment.SET_BY_ENV_FILES", loaded)
    yield os.environ
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def env_file(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return write


def added(config):
    """What an app has that the process has not."""
    environ = environ_of_app(config)
    assert os.environ.keys() <= environ.keys()
    return {name: value for name, value in environ.items() if os.environ.get(name) != value}


def test_without_options_it_is_that_of_the_process(environment):
    environ = environ_of_app(Config(APP))
    assert environ == dict(environment)
    environ["SITE_GIVEN"] = "changed"
    assert environment["SITE_GIVEN"] == "given"


def test_variables():
    assert variables.mapping(("A=1", "B=", "C==x", "A=2")) == {"A": "2", "B": "", "C": "=x"}


def test_what_env_says_counts_more_than_the_process(environment):
    assert added(Config(APP, env=("SITE_GIVEN=mine", "SITE_NEW=a=b"))) == {"SITE_GIVEN": "mine", "SITE_NEW": "a=b"}
    assert environment["SITE_GIVEN"] == "given"


@pytest.mark.parametrize("line", ["", "A", "=1", "A=\0"])
def test_what_is_no_variable(line):
    with pytest.raises(ConfigError) as caught:
        Config(APP, env=(line,))
    assert str(caught.value) == f"env must be NAME=VALUE, not {line!r}"


def test_an_env_file_of_the_app_alone(env_file, environment):
    path = env_file("app.env", "SITE_GIVEN=not this\nSITE_NEW=new\nSITE_BOTH=of the file\n")
    assert added(Config(APP, env_file=path, env=("SITE_BOTH=of env",))) == {"SITE_NEW": "new", "SITE_BOTH": "of env"}
    assert "SITE_NEW" not in environment


def test_an_env_file_of_the_app_counts_more_than_that_of_the_server(env_file, environment):
    server = env_file("server.env", "SITE_NEW=of the server\nSITE_OTHER=1\nSITE_CHANGED=1\n")
    Config.resolve(APP, {"env_file": server})
    environment["SITE_CHANGED"] = "by the program"
    app = env_file("app.env", "SITE_NEW=of the app\nSITE_GIVEN=not this\nSITE_CHANGED=nor this\n")
    assert added(Config(APP, env_file=app)) == {"SITE_NEW": "of the app"}
    assert (environment["SITE_NEW"], environment["SITE_OTHER"]) == ("of the server", "1")


def test_the_env_file_that_the_process_has_loaded_is_not_read_again(env_file):
    path = env_file("server.env", "SITE_NEW=old\n")
    config = Config.resolve(APP, {"env_file": path})
    os.remove(path)
    assert environ_of_app(config)["SITE_NEW"] == "old"


def test_an_env_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match=r"can't be read: No such file"):
        environ_of_app(Config(APP, env_file=str(tmp_path / "missing")))


def test_a_virtual_environment_is_activated(tmp_path, environment):
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    before = environment["PATH"]
    found = added(Config(APP, venv=str(folder)))
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    assert found == {"VIRTUAL_ENV": str(folder), "PATH": f"{scripts}{os.pathsep}{before}"}
    assert added(Config(APP, venv=str(folder), env=("PATH=/bin",)))["PATH"] == "/bin"

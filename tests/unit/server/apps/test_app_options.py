"""server.apps.options: what the settings of workers are made of, for one app and for one of several."""

import os
import subprocess
import sys

import pytest

from snakepit.config.options import Config, RoutedApp
from snakepit.config.route import Route
from snakepit.server.apps.options import Surroundings, pool_options
from snakepit.system.import_order import path_of_workers

APP = "main:app"


def settings(config, **surroundings):
    return pool_options(RoutedApp("shop", Route("", "/"), config), Surroundings("id", **surroundings)).settings


@pytest.mark.parametrize(
    ("option", "several", "expected"),
    [
        ("auto", False, "warn"),
        ("auto", True, "error"),
        ("allow", True, "allow"),
        ("warn", True, "warn"),
        ("error", False, "error"),
    ],
)
def test_what_chdir_does(option, several, expected):
    assert settings(Config(APP, on_chdir=option), several=several)["on_chdir"] == expected


@pytest.mark.parametrize(
    ("runtime", "several", "enters"),
    [("process", True, True), ("process", False, False), ("interpreter", True, False), ("thread", True, False)],
)
def test_processes_of_several_apps_work_in_their_apps_folders(tmp_path, runtime, several, enters):
    found = settings(Config(APP, app_dir=str(tmp_path), runtime=runtime), several=several)
    assert found["directory"] == (str(tmp_path) if enters else "")
    assert found["environ"].get("PWD") == (str(tmp_path) if enters else os.environ.get("PWD"))


def test_the_variables_of_the_app():
    found = settings(Config(APP, env=("SITE_NEW=1",)))
    assert found["variables"] == {"SITE_NEW": "1"}
    assert found["environ"] == {**os.environ, "SITE_NEW": "1"}


def test_a_virtual_environment(tmp_path):
    folder = str(tmp_path / "venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    found = settings(Config(APP, venv=folder))
    assert found["venv"]["folder"] == found["environ"]["VIRTUAL_ENV"] == folder
    assert set(found["sys_path"]) < set(found["own_path"]) == set(path_of_workers())
    assert settings(Config(APP))["sys_path"] == path_of_workers()

"""snakepit/__init__.py: imported in every worker, so it loads nothing until it is asked to."""

import subprocess
import sys

import pytest
from waiting import PATIENCE

import snakepit
from snakepit.config.options import Config
from snakepit.server.run import run
from snakepit.server.server import Server


def fresh(code):
    """What a new process prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_names_are_there_when_asked_for():
    assert snakepit.Config is Config
    assert snakepit.Server is Server
    assert snakepit.run is run
    assert {"Config", "Server", "run", "__version__"} == set(snakepit.__all__)


@pytest.mark.parametrize("name", snakepit.__all__)
def test_every_name_of_all_exists(name):
    assert getattr(snakepit, name) is not None


def test_unknown_name():
    with pytest.raises(AttributeError, match="module 'snakepit' has no attribute 'serve'"):
        snakepit.serve  # noqa: B018


def test_import_loads_nothing_heavy():
    code = "import sys; before = set(sys.modules); import snakepit; print(*sorted(set(sys.modules) - before))"
    loaded = fresh(code).split()
    assert [name for name in loaded if name.startswith("snakepit")] == ["snakepit"]
    roots = {name.partition(".")[0] for name in loaded} - {"snakepit"}
    assert roots <= set(sys.stdlib_module_names)
    assert not roots & {"asyncio", "concurrent", "email", "http", "logging", "socket", "ssl", "threading"}


def test_star_import():
    assert fresh("from snakepit import *; print(run.__module__, Config.__module__, Server.__module__)").split() == [
        "snakepit.server.run",
        "snakepit.config.options",
        "snakepit.server.server",
    ]

import os

import pytest

from snakepit.config.options import OPTIONS


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, and an environment without variables of options."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", str(tmp_path))
    for option in OPTIONS:
        for variable in option.variables:
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("SNAKEPIT_CONFIG", raising=False)
    before = dict(os.environ)
    yield tmp_path
    os.environ.clear()  # an env file may have set some
    os.environ.update(before)

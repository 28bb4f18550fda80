"""What tests of running pools share."""

import pytest
from running_pools import FOR_EVER

from snakepit.server.workers import loop_line


@pytest.fixture
def unhurried(monkeypatch):
    """Keep requests from being taken back from a silent event loop: for tests of which worker has which."""
    monkeypatch.setattr(loop_line, "LOOP_SILENCE", FOR_EVER)


@pytest.fixture
def app_in(tmp_path):
    """Write a module that holds an app; returns what `running` needs to serve it."""

    def write(source):
        (tmp_path / "written.py").write_text(source, encoding="utf-8")
        return {"app": "written:app", "folder": tmp_path}

    return write

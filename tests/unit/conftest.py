"""What unit tests share: hypothesis without a deadline, because a slow machine is no failure; and places that only the
test knows for what servers write down."""

import tempfile

import pytest
from hypothesis import settings

from snakepit.control import folder

settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Where servers may have their folder: the session's place and the other one, both not there yet."""
    for name in ("session", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "session"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "session"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    return folder.places()

"""What unit tests share: hypothesis without a deadline, because a slow machine is no failure; and places that only the
test knows for what servers write down."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from snakepit.control import folder

settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.fixture
def places(monkeypatch, tmp_path_factory):
    """Where servers may have their folder: the session's place and the other one, both not there yet.

    Not in tmp_path, which may be too long for the path of a Unix socket.
    """
    tmp_path_factory.getbasetemp()  # or that of all tests would be made in here, and go with it
    with tempfile.TemporaryDirectory(prefix="snakepit-") as short:
        for name in ("session", "tmp"):
            (Path(short) / name).mkdir()
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(Path(short) / "session"))
        monkeypatch.setenv("LOCALAPPDATA", str(Path(short) / "session"))
        monkeypatch.setattr(tempfile, "tempdir", str(Path(short) / "tmp"))
        yield folder.places()

"""snakepit.c_extensions.copies: the folder is its process's alone, and goes with it, or after it."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from waiting import PATIENCE

from snakepit.c_extensions.copies import PREFIX, CopiesFolder, remove_left_over

HOLDER = """
from snakepit.c_extensions.copies import CopiesFolder
folder = CopiesFolder()
print(folder.path, flush=True)
input()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder for temporary files of these tests, and of the processes that they start."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def holder():
    """Another process that holds a folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process, Path(process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait(PATIENCE)
        process.stdin.close()
        process.stdout.close()


def test_folder_is_private_and_goes(temporary):
    folder = CopiesFolder()
    path = Path(folder.path)
    assert path.parent == temporary
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o700
    (path / "1").mkdir()
    (path / "1" / "copy.so").write_bytes(b"x")
    folder.remove()
    assert list(temporary.iterdir()) == []


def test_folder_of_a_living_process_stays(holder):
    assert remove_left_over() == []
    assert holder[1].is_dir()


def test_folder_of_a_dead_process_is_removed(holder, temporary):
    process, path = holder
    (path / "1").mkdir()
    process.kill()
    process.wait(PATIENCE)
    mine = CopiesFolder()
    assert remove_left_over() == [str(path)]
    assert [str(left) for left in temporary.iterdir()] == [mine.path]
    mine.remove()


def test_folder_that_is_being_made_stays(temporary):
    (temporary / f"{PREFIX}new").mkdir()
    assert remove_left_over() == []


def test_old_folder_without_a_lock_is_removed(temporary):
    old = temporary / f"{PREFIX}old"
    old.mkdir()
    hour_ago = time.time() - 3600
    os.utime(old, (hour_ago, hour_ago))
    assert remove_left_over() == [str(old)]
    assert not old.exists()


def test_what_is_no_folder_of_ours_stays(temporary):
    (temporary / f"{PREFIX}file").write_text("x")
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lock").write_bytes(b"")
    (temporary / f"{PREFIX}link").symlink_to(elsewhere)
    assert remove_left_over() == []
    assert elsewhere.is_dir()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="users are numbers on POSIX")
def test_folder_of_another_user_stays(temporary, monkeypatch):
    theirs = temporary / f"{PREFIX}theirs"
    theirs.mkdir()
    (theirs / "lock").write_bytes(b"")
    monkeypatch.setattr(os, "getuid", lambda: theirs.stat().st_uid + 1)
    assert remove_left_over() == []
    assert theirs.is_dir()

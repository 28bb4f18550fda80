"""snakepit.system.private_folders: folders of one user, and files that are whole or not there."""

import sys

import pytest

from snakepit.system.private_folders import trouble_with, write_secret

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes of files are POSIX's")


def test_folders(tmp_path):
    path = tmp_path / "folder"
    with pytest.raises(FileNotFoundError):
        trouble_with(path)
    path.mkdir(0o700)
    assert trouble_with(path) is None
    path.chmod(0o750)
    assert trouble_with(path) == f"{path} is open to other users (mode 750): chmod 700 it"
    (tmp_path / "link").symlink_to(path)
    assert "is a symbolic link" in trouble_with(tmp_path / "link")
    (tmp_path / "file").write_text("")
    assert "is not a folder" in trouble_with(tmp_path / "file")


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with path.open() as before:
        write_secret(path, b"after")
        assert before.read() == "before"
    assert path.read_text() == "after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_where_it_fails(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):  # noqa: PT011
        write_secret(tmp_path / "folder", b"x")
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]

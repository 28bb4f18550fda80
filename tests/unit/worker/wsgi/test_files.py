"""snakepit.worker.wsgi.files: which objects are files whose bytes anybody can read who has the descriptor."""

# ruff: noqa: SIM115  # whoever gets the files closes them

import gzip
import io
import os
import tempfile

import pytest

from snakepit.worker.wsgi.files import file_behind, path_of

CONTENT = b"0123456789" * 10


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def has_read(file, size):
    file.read(size)
    return file


class Delegating:
    """What Django's File does."""

    def __init__(self, file):
        self._file = file

    read = property(lambda self: self._file.read)


class Reading(io.FileIO):
    """A class of the app."""


@pytest.mark.parametrize(
    ("make", "start"),
    [
        (lambda path: open(path, "rb"), 0),
        (lambda path: open(path, "rb", buffering=0), 0),
        (lambda path: open(path, "r+b"), 0),
        (lambda path: has_read(open(path, "rb"), 7), 7),
        (lambda path: has_read(open(path, "rb", buffering=0), 7), 7),
        (lambda path: has_read(Delegating(open(path, "rb")), 7), 7),
    ],
)
def test_files(path, make, start):
    filelike = make(path)
    found = file_behind(filelike)
    status = os.stat(path)
    assert found is not None
    assert (found.device, found.inode) == (status.st_dev, status.st_ino)
    assert (found.start, found.size) == (start, len(CONTENT) - start)
    assert path_of(found) == str(path)
    assert filelike.read() == CONTENT[start:], "nothing was read of it"
    (filelike._file if isinstance(filelike, Delegating) else filelike).close()


def test_what_was_written_is_in_the_file():
    with tempfile.TemporaryFile() as file:
        file.write(CONTENT)
        file.seek(5)
        file.write(b"x" * 5)
        file.seek(5)
        found = file_behind(file)
        assert found is not None
        assert found.size == len(CONTENT) - 5
        assert os.pread(found.descriptor, 5, found.start) == b"xxxxx" if hasattr(os, "pread") else True


def test_a_relative_path(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    with open(path.name, "rb") as file:
        found = file_behind(file)
    assert found is not None
    assert os.path.samefile(path_of(found), path)


def test_a_file_without_a_name(path):
    with open(os.open(path, os.O_RDONLY), "rb") as file:
        found = file_behind(file)
        assert found is not None
        assert path_of(found) is None


@pytest.mark.parametrize(
    "make",
    [
        lambda path: io.BytesIO(CONTENT),
        lambda path: gzip.open(path, "rb"),
        lambda path: open(path),
        lambda path: open(path, "ab"),
        lambda path: open(path, "ab", buffering=0),
        lambda path: Reading(path),
        lambda path: io.BufferedReader(Reading(path)),
        lambda path: has_read(open(path, "rb"), len(CONTENT)),
        lambda path: open(os.devnull, "rb"),
    ],
)
def test_what_is_no_such_file(path, make):
    with make(path) as filelike:
        assert file_behind(filelike) is None


def test_a_method_of_another_name(path):
    with open(path, "rb") as file:
        lines = Delegating(file)
        assert file_behind(lines) is not None

        class Lines:
            read = property(lambda self: file.readline)

        assert file_behind(Lines()) is None


def test_what_has_no_read_or_is_closed(path):
    assert file_behind(object()) is None
    file = open(path, "rb")
    file.close()
    assert file_behind(file) is None


def test_a_pipe():
    reading, writing = os.pipe()
    with open(reading, "rb") as file, open(writing, "wb"):
        assert file_behind(file) is None

"""server.exchanges.body_file: what was written is read once, in pieces, and no file stays open."""

from tempfile import TemporaryFile

import pytest

from snakepit.server.exchanges.body_file import BodyFile
from snakepit.wire.envelopes import CHUNK


@pytest.fixture
def file():
    with TemporaryFile(buffering=0) as made:
        yield made


@pytest.mark.parametrize("sizes", [[1], [CHUNK], [CHUNK, 1], [10] * 7, [3 * CHUNK + 5]])
def test_what_was_written_is_read(file, sizes):
    rest = BodyFile(lambda: file)
    written = b""
    for number, size in enumerate(sizes):
        written += (piece := bytes([number]) * size)
        rest.write(piece)
    read, more = b"", True
    while more:
        piece, more = rest.read()
        assert 0 < len(piece) <= CHUNK
        read += piece
    assert read == written
    assert file.closed


def test_it_can_be_forgotten(file):
    rest = BodyFile(lambda: file)
    rest.write(b"abc")
    rest.close()
    assert file.closed


def test_what_is_lost_is_an_error(file):
    rest = BodyFile(lambda: file)
    rest.write(b"abc")
    file.truncate(0)
    with pytest.raises(OSError, match="shorter"):
        rest.read()


def test_what_is_written_in_part_is_an_error(file):
    file.write = lambda data: len(data) - 1
    with pytest.raises(OSError, match="in part"):
        BodyFile(lambda: file).write(b"abc")

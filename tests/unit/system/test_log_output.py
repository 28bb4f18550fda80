"""snakepit.system.log_output: no write blocks, lines stay whole and in order, and what is dropped is told."""

import io
import os
import socket
import sys
import tempfile
import threading

import pytest
from waiting import PATIENCE, wait_until

from snakepit.system import log_output
from snakepit.system.log_output import KEPT, LogOutput

LINE = f"{'x' * 99}\n"


class Output:
    """A LogOutput to a descriptor, and what has been read at the other end."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.stream = os.fdopen(writer, "w", encoding="utf-8")
        self.log = LogOutput(self.stream, lambda dropped: f"{dropped} dropped")

    def read_all(self):
        """Close, and read what is there and what comes until then."""
        found = []
        thread = threading.Thread(target=lambda: found.append(self._read()))
        thread.start()
        assert self.log.finish(PATIENCE)
        self.stream.close()
        thread.join(PATIENCE)
        return found[0].decode()

    def _read(self):
        pieces = []
        while piece := os.read(self.reader, 65536):
            pieces.append(piece)
        os.close(self.reader)
        return b"".join(pieces)


def pipe():
    return Output(*os.pipe())


def sockets():
    reader, writer = socket.socketpair()
    return Output(reader.detach(), writer.detach())


def pipe_that_only_blocks(monkeypatch):
    monkeypatch.setattr(log_output, "_without_blocking", lambda descriptor: (descriptor, None, lambda: None))
    return pipe()


KINDS = ["pipe", "blocking"] if sys.platform == "win32" else ["pipe", "sockets", "blocking"]


@pytest.fixture(params=KINDS)
def output(request, monkeypatch):
    made = {"pipe": pipe, "sockets": sockets, "blocking": lambda: pipe_that_only_blocks(monkeypatch)}
    return made[request.param]()


def test_lines(output):
    for number in range(5):
        output.log.write(f"line {number} é\n")
        output.log.flush()
    assert output.read_all().splitlines() == [f"line {number} é" for number in range(5)]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread writes all")
@pytest.mark.parametrize("make", [pipe, sockets])
def test_no_thread_as_long_as_all_is_read(make):
    output = make()
    for _ in range(20):
        output.log.write(LINE)
        assert os.read(output.reader, 1000) == LINE.encode()
        assert output.log._thread is None
    output.read_all()


def test_what_nobody_reads_is_kept(output):
    count = KEPT // 2 // len(LINE)
    for number in range(count):
        output.log.write(f"{number:5} {LINE}")
    lines = output.read_all().splitlines()
    assert [int(line[:5]) for line in lines] == list(range(count))
    assert {line[6:] + "\n" for line in lines} == {LINE}


def test_no_end_where_nobody_reads(output):
    for _ in range(KEPT // 2 // len(LINE)):
        output.log.write(LINE)
    assert not output.log.finish(0)
    output.read_all()


def check(text):
    """Check that lines are whole, in order, and missing only where a notice says so; returns how many are there."""
    expected = count = 0
    for line in text.splitlines():
        dropped, _, word = line.partition(" ")
        if word == "dropped":
            expected += int(dropped)
        else:
            assert (int(line[:6]), f"{line[7:]}\n") == (expected, LINE)
            expected, count = expected + 1, count + 1
    return count, expected


def test_what_is_too_much_is_dropped_and_told(output):
    count = 4 * KEPT // len(LINE)  # more than any pipe or socket holds, and is kept
    for number in range(count):
        output.log.write(f"{number:6} {LINE}")
    assert output.log._size <= KEPT
    text = output.read_all()
    there, told = check(text)
    assert there < told == count
    assert text.count("dropped") == 1


def test_the_notice_stands_where_lines_are_missing(output):
    count = 4 * KEPT // len(LINE)
    for number in range(count):
        output.log.write(f"{number:6} {LINE}")
    read = b""
    while output.log._dropped:  # the reader goes on
        read += os.read(output.reader, 65536)
        output.log.write(f"{count:6} {LINE}")
        count += 1
    text = read.decode() + output.read_all()
    there, told = check(text)
    assert there < told == count
    assert not text.endswith("dropped\n")


def test_goes_on_without_a_thread_once_all_is_read(output):
    for _ in range(KEPT // 2 // len(LINE)):
        output.log.write(LINE)
    assert output.log._thread is not None

    def read_on():
        os.read(output.reader, 65536)
        return output.log._thread is None

    wait_until(read_on, "the thread has ended")
    assert output.log._size == 0
    output.log.write("last\n")
    assert output.read_all().endswith("last\n")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_that_goes_away(output):
    for _ in range(KEPT // 2 // len(LINE)):
        output.log.write(LINE)
    os.close(output.reader)
    wait_until(lambda: output.log._thread is None, "the thread has given up")
    assert output.log._size == 0
    if output.log._write_now is not None:
        with pytest.raises(OSError):  # noqa: PT011
            output.log.write(LINE)
    assert output.log.finish(0)
    try:
        output.stream.close()
    except OSError:  # a buffer that could not be written
        pass


def test_a_file():
    with tempfile.TemporaryFile("w+", encoding="utf-8") as file:
        file.write("before\n")
        log = LogOutput(file, str)
        log.write("a line\n")
        assert log.finish(PATIENCE)
        assert log.finish(PATIENCE)
        file.seek(0)
        assert file.read() == "before\na line\n"


def test_a_terminal():
    pty = pytest.importorskip("pty")
    reader, writer = pty.openpty()
    with open(writer, "w", encoding="utf-8") as stream:
        log = LogOutput(stream, str)
        log.write("a line\n")
        assert log.finish(PATIENCE)
        assert os.read(reader, 100) == b"a line\r\n"
    os.close(reader)


def test_characters_that_the_encoding_lacks():
    with tempfile.TemporaryFile() as buffer, io.TextIOWrapper(buffer, "ascii") as stream:
        LogOutput(stream, str).write("é\n")
        buffer.seek(0)
        assert buffer.read() == b"\\xe9\n"

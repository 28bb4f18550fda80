"""snakepit.worker.wsgi.exchange: what an app gives to `wsgi.file_wrapper`, if it is a file."""

# ruff: noqa: SIM115  # whoever gets the files closes them

import os
from wsgiref.util import FileWrapper

import pytest
from wsgi_side import NUMBER, Script, body_of, kinds, request, run, trouble

from snakepit.http.fields import NONE, render
from snakepit.wire import envelopes
from snakepit.wire.envelopes import DONE, FILE, RESPONSE
from snakepit.worker.wsgi.exchange import READ_HERE

LARGE = bytes(range(256)) * (READ_HERE // 256) + b"more"
END = len(LARGE)
SMALL = LARGE[:READ_HERE]


class Played:
    """An app that sends a file, and what the main interpreter says then, an envelope for each wait."""

    def __init__(self, path, *later, content=LARGE, length=None, start=0, make=FileWrapper, read=None, **fields):
        path.write_bytes(content)
        self.opened = self.descriptor = self.closed_after = None
        self.closed = 0
        self.path = path

        def app(environ, start_response):
            write = start_response("200 OK", [] if length is None else [("Content-Length", str(length))])
            if read is not None:
                write(read)
            file = open(path, "rb")
            file.seek(start)
            self.descriptor = file.fileno()
            result = make(file)
            result.close = lambda: self.close(file)
            return result

        self.script = Script([[request(method=fields.pop("method", "GET"))], *([each] for each in later)])
        self.script.steps.append([envelopes.retire()])
        run(app, self.script, **fields)
        self.posted = self.script.posted

    def close(self, file):
        file.close()
        self.closed += 1
        self.closed_after = kinds(self.script.posted)

    def part(self, start=0, end=END, source=None):
        status = os.stat(self.path)
        source = self.descriptor if source is None else source
        return source, status.st_dev, status.st_ino, start, end


@pytest.fixture
def path(tmp_path):
    return tmp_path / "file"


def test_a_file_is_sent_by_the_main_interpreter_and_then_closed(path):
    played = Played(path, envelopes.file_sent(NUMBER))
    assert played.posted == [envelopes.file(NUMBER, 200, NONE, played.part()), envelopes.done(NUMBER, None)]
    assert (played.closed, played.closed_after) == (1, [FILE])


def test_a_file_of_another_process_goes_by_its_path(path):
    played = Played(path, envelopes.file_sent(NUMBER), same_process=False)
    assert played.posted[0] == envelopes.file(NUMBER, 200, NONE, played.part(source=str(path)))


def test_from_where_it_stands_and_as_much_as_is_announced(path):
    size = READ_HERE + 1
    played = Played(path, envelopes.file_sent(NUMBER), length=size, start=2)
    fields = render([(b"content-length", b"%d" % size)])
    assert played.posted[0] == envelopes.file(NUMBER, 200, fields, played.part(2, size + 2))
    assert trouble(played.posted) is None


@pytest.mark.parametrize("length", [None, len(LARGE)])
def test_a_file_that_is_refused_is_read_in_blocks(path, length):
    played = Played(path, envelopes.file_refused(NUMBER), envelopes.credit(NUMBER, READ_HERE), length=length)
    assert kinds(played.posted)[:2] == [FILE, RESPONSE]
    assert body_of(played.posted) == LARGE
    assert (trouble(played.posted), played.closed) == (None, 1)


def test_a_client_that_leaves_meanwhile(path):
    played = Played(path, envelopes.disconnect(NUMBER))
    assert kinds(played.posted) == [FILE, DONE]
    assert (trouble(played.posted), played.closed) == (None, 1)


@pytest.mark.parametrize(("length", "start"), [(None, 0), (len(SMALL), 0), (10, 5), (0, 0), (None, 7)])
def test_a_small_file_is_read_at_once(path, length, start):
    played = Played(path, content=SMALL, length=length, start=start)
    end = len(SMALL) if length is None else start + length
    assert body_of(played.posted) == SMALL[start:end]
    response = played.posted[0]
    assert response[0] in (RESPONSE, envelopes.ANSWER)
    assert response[3][2] == end - start, "the length is announced"
    assert (trouble(played.posted), played.closed) == (None, 1)


@pytest.mark.parametrize("method", ["HEAD"])
def test_head_reads_nothing(path, method):
    played = Played(path, method=method, length=len(LARGE))
    assert body_of(played.posted) == b""
    assert (trouble(played.posted), played.closed) == (None, 1)


class Wrapper(FileWrapper):
    pass


@pytest.mark.parametrize(
    "options",
    [
        {"make": Wrapper},
        {"read": b"begun"},
        {"make": lambda file: FileWrapper(type("Own", (), {"read": lambda self, size: file.read(size)})())},
    ],
    ids=["subclass", "begun", "an object of the app"],
)
def test_what_is_read_in_blocks(path, options):
    played = Played(path, envelopes.credit(NUMBER, READ_HERE), **options)
    assert FILE not in kinds(played.posted)
    assert body_of(played.posted) == options.get("read", b"") + LARGE
    assert (trouble(played.posted), played.closed) == (None, 1)


def test_less_than_announced(path):
    played = Played(path, content=b"short", length=10)
    assert FILE not in kinds(played.posted)
    assert body_of(played.posted) == b"short", "and the main interpreter breaks it off"


def test_the_start_is_forgotten(path):
    def app(environ, start_response):
        return FileWrapper(open(path, "rb"))

    path.write_bytes(LARGE)
    script = Script([[request()], [envelopes.retire()]])
    run(app, script)
    assert "before it called start_response" in trouble(script.posted)

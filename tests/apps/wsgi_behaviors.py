"""A WSGI app with one tiny behaviour per path, for the end-to-end tests."""

import io
import json
import os
import sys
import threading
import time
import uuid
from wsgiref.validate import validator

WORKER = uuid.uuid4().hex


def app(environ, start_response):
    name = environ["PATH_INFO"].strip("/").split("/")[0] or "index"
    return BEHAVIORS[name](environ, start_response)


def answer(start_response, body, status="200 OK", headers=()):
    start_response(status, [("X-Worker", WORKER), ("Content-Length", str(len(body))), *headers])
    return [body]


def index(environ, start_response):
    return answer(start_response, b"hello")


def environ_(environ, start_response):
    shown = {key: value for key, value in environ.items() if isinstance(value, str | bool | int | tuple)}
    return answer(start_response, json.dumps(shown).encode())


@validator
def validated(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [b"valid:", body]


def read(environ, start_response):
    return answer(start_response, environ["wsgi.input"].read())


def read_some(environ, start_response):
    stream, pieces = environ["wsgi.input"], []
    while piece := stream.read(1000):
        pieces.append(piece)
    return answer(start_response, b"%d %d" % (len(pieces), sum(map(len, pieces))))


def lines(environ, start_response):
    stream = environ["wsgi.input"]
    first = stream.readline()
    rest = list(stream)
    return answer(start_response, json.dumps([first.decode(), [line.decode() for line in rest]]).encode())


def readlines(environ, start_response):
    return answer(start_response, json.dumps([line.decode() for line in environ["wsgi.input"].readlines()]).encode())


def length(environ, start_response):
    total = 0
    while piece := environ["wsgi.input"].read(65536):
        total += len(piece)
    return answer(start_response, b"%d" % total)


def slow_reader(environ, start_response):
    speed = int(environ["QUERY_STRING"])
    total, began = 0, time.monotonic()
    while piece := environ["wsgi.input"].read(65536):
        total += len(piece)
        time.sleep(max(0.0, total / speed - (time.monotonic() - began)))
    return answer(start_response, b"%d" % total)


def write(environ, start_response):
    write = start_response("200 OK", [])
    write(b"first ")
    write(b"second ")
    return [b"third"]


class Closing:
    def __init__(self, pieces, fail=False):
        self.pieces = iter(pieces)
        self.fail = fail

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return next(self.pieces)
        except StopIteration:
            if self.fail:
                raise ValueError("raised while iterating") from None
            raise

    def close(self):
        print("close() called", file=sys.stderr, flush=True)


def closing(environ, start_response):
    start_response("200 OK", [])
    return Closing([b"a", b"", b"b"])


def raise_within(environ, start_response):
    start_response("200 OK", [])
    return Closing([b"some"], fail=True)


def generator(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for number in range(3):
        yield b"piece %d\n" % number


def late_start(environ, start_response):
    yield b""
    start_response("201 Created", [])
    yield b"late"


def exc_info(environ, start_response):
    start_response("200 OK", [("X-First", "1")])
    try:
        raise ValueError("changed my mind")
    except ValueError:
        start_response("500 Oops", [("X-Second", "2")], sys.exc_info())
    return [b"replaced"]


def exc_info_late(environ, start_response):
    write = start_response("200 OK", [])
    write(b"some")
    try:
        raise ValueError("too late to change my mind")
    except ValueError:
        start_response("500 Oops", [], sys.exc_info())
    return [b"never"]


def twice(environ, start_response):
    start_response("200 OK", [])
    start_response("200 OK", [])
    return [b""]


def no_start(environ, start_response):
    return [b"never"]


def raise_before(environ, start_response):
    raise ValueError("raised before the response")


def raise_exit(environ, start_response):
    raise SystemExit(5)


def file_wrapper(environ, start_response):
    body = b"0123456789" * 20000
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return environ["wsgi.file_wrapper"](io.BytesIO(body), 8192)


def file_longer(environ, start_response):
    """A file, with as many announced bytes as the query says: a part of it, or a log that grows."""
    start_response("200 OK", [("Content-Length", environ["QUERY_STRING"])])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"0123456789" * 20000), 8192)


def too_long(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return iter([b"more than three"])


def control_header(environ, start_response):
    return answer(start_response, b"", headers=[("X-Colour", "\x1b[31mred")])


def stream(environ, start_response):
    count, size = map(int, environ["QUERY_STRING"].split(","))
    start_response("200 OK", [])
    return (b"x" * size for _ in range(count))


def stream_closing(environ, start_response):
    start_response("200 OK", [])
    return Closing(b"x" * 65536 for _ in range(100_000))


def one_body(environ, start_response):
    return answer(start_response, b"x" * int(environ["QUERY_STRING"]))


def status(environ, start_response):
    return answer(start_response, b"", environ["QUERY_STRING"] + " Whatever")


def who(environ, start_response):
    return answer(start_response, WORKER.encode())


def sleep(environ, start_response):
    print("sleeping", file=sys.stderr, flush=True)
    time.sleep(float(environ["QUERY_STRING"]))
    return answer(start_response, f"{WORKER} {threading.get_ident()}".encode())


def hold(environ, start_response):
    """Answers when the file that the query names exists."""
    print("holding", file=sys.stderr, flush=True)
    while not os.path.exists(environ["QUERY_STRING"]):
        time.sleep(0.005)
    return answer(start_response, f"{WORKER} {threading.get_ident()}".encode())


def hold_close(environ, start_response):
    """Answers, and closes its result when the file that the query names exists."""

    class Held(Closing):
        def close(self):
            hold(environ, lambda status, headers: None)
            super().close()

    start_response("200 OK", [("Content-Length", "8")])
    return Held([b"complete"])


def hold_stream(environ, start_response):
    """Answers in part, and goes on when the file that the query names exists."""
    start_response("200 OK", [])
    yield b"first"
    yield from hold(environ, lambda status, headers: None)


def ignore_body(environ, start_response):
    return answer(start_response, b"ignored")


def errors(environ, start_response):
    print("written to wsgi.errors", file=environ["wsgi.errors"], flush=True)
    return answer(start_response, b"")


def hop_by_hop(environ, start_response):
    return answer(start_response, b"x", headers=[("Connection", "close"), ("Transfer-Encoding", "chunked")])


BEHAVIORS = {
    "environ": environ_,
    "validated": validated,
    **{
        function.__name__.replace("_", "-"): function
        for function in (
            index, read, read_some, lines, readlines, length, slow_reader, write, closing, raise_within, generator,
            late_start, exc_info, exc_info_late, twice, no_start, raise_before, raise_exit, file_wrapper, stream,
            file_longer, too_long, control_header,
            stream_closing, one_body, status, who, sleep, hold, hold_close, hold_stream, ignore_body, errors,
            hop_by_hop,
        )
    },
}  # fmt: skip

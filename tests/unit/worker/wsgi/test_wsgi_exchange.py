"""snakepit.worker.wsgi: a seat serves exchanges off a channel whose other end is a script of what comes."""

import gc
import io
import itertools
import weakref
from types import SimpleNamespace

import pytest
from wsgi_side import NUMBER, Script, body_of, kinds, request, run, trouble

from snakepit.errors import ClientDisconnected, LocalProtocolError
from snakepit.http.fields import NONE, of_length, render
from snakepit.wire import envelopes
from snakepit.wire.codec import decode, encode
from snakepit.wire.ends import BlockingEnd
from snakepit.wire.envelopes import ANSWER, BODY, CHUNK, CHUNK_COST, CONTINUE, CREDIT, DECLINED, DONE, RESPONSE, WINDOW
from snakepit.worker.wsgi import exchange as wsgi
from snakepit.worker.wsgi.exchange import LOOK


def serve(app, *later, script=None, has_come=(), **fields):
    """Run an app over one exchange, then retire; `later` comes while it runs, an envelope for each wait."""
    script = Script(
        script or [[request(**fields)], *([envelope] for envelope in later), [envelopes.retire()]], has_come
    )
    run(app, script)
    return script.posted


# -- responses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [list, tuple])
def test_list_is_one_envelope_with_its_length(make):
    def app(environ, start_response):
        start_response("201 Created", [("X-A", "b")])
        return make([b"he", b"llo"])

    assert serve(app) == [
        envelopes.response(NUMBER, 201, of_length(render([(b"X-A", b"b")]), 5), b"hello", False),
        envelopes.done(NUMBER, None),
    ]


@pytest.mark.parametrize("data", [b"hello", b"", bytes(CHUNK)], ids=len)
def test_list_of_one_is_an_answer(data):
    def app(environ, start_response):
        start_response("201 Created", [("X-A", "b")])
        return [data]

    assert serve(app) == [envelopes.answer(NUMBER, 201, render([(b"X-A", b"b")]), data)]


@pytest.mark.parametrize("form", [bytearray, memoryview])
def test_list_of_one_in_another_form_of_bytes(form):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [form(b"hello")]

    posted = serve(app)
    assert trouble(posted) is None
    assert body_of(decode(encode(posted))) == b"hello"


def test_list_of_one_that_must_be_cut_is_not_an_answer():
    data = bytes(CHUNK + 1)

    def app(environ, start_response):
        start_response("200 OK", [])
        return [data]

    assert serve(app) == [
        envelopes.response(NUMBER, 200, of_length(NONE, CHUNK + 1), data[:CHUNK], True),
        envelopes.body(NUMBER, data[CHUNK:], False),
        envelopes.done(NUMBER, None),
    ]


def test_list_of_one_whose_items_are_wider_than_a_byte():
    """How many items a memoryview has is not how many bytes."""
    data = bytes(range(256)) * (2 * CHUNK // 256)

    def app(environ, start_response):
        start_response("200 OK", [])
        return [memoryview(data).cast("Q")]

    posted = serve(app)
    assert trouble(posted) is None
    assert body_of(posted) == data


def test_list_of_a_kind_of_its_own_is_not_an_answer():
    """It may have a close() that fails."""

    class Result(list):
        def close(self):
            raise RuntimeError("too late")

    def app(environ, start_response):
        start_response("200 OK", [])
        return Result([b"a"])

    posted = serve(app)
    assert kinds(posted) == [RESPONSE, DONE]
    assert trouble(posted).endswith("RuntimeError: too late")


def test_list_of_one_behind_what_was_written_is_not_an_answer():
    def app(environ, start_response):
        start_response("200 OK", [])(b"a")
        return [b"b"]

    posted = serve(app)
    assert kinds(posted)[0] == RESPONSE
    assert body_of(posted) == b"ab"
    assert trouble(posted) is None


def test_answer_keeps_the_length_that_was_announced():
    """If it is wrong, the main interpreter finds out."""

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"]

    assert serve(app) == [envelopes.answer(NUMBER, 200, render([(b"Content-Length", b"5")]), b"hello")]


def test_empty_list():
    def app(environ, start_response):
        start_response("204 No Content", [])
        return []

    assert serve(app)[0] == envelopes.response(NUMBER, 204, NONE, b"", False)


def test_generator_is_sent_as_it_comes():
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"a"
        yield b""
        yield b"b"

    assert serve(app) == [
        envelopes.response(NUMBER, 200, NONE, b"a", True),
        envelopes.body(NUMBER, b"b", True),
        envelopes.body(NUMBER, b"", False),
        envelopes.done(NUMBER, None),
    ]


def test_generator_that_starts_late():
    def app(environ, start_response):
        yield b""
        start_response("200 OK", [])
        yield b"a"

    posted = serve(app)
    assert trouble(posted) is None
    assert body_of(posted) == b"a"


def test_generator_of_nothing():
    def app(environ, start_response):
        start_response("200 OK", [])
        return iter(())

    assert serve(app)[0] == envelopes.response(NUMBER, 200, NONE, b"", False)


def test_write():
    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"a")
        write(b"b")
        return [b"c"]

    posted = serve(app)
    assert trouble(posted) is None
    assert body_of(posted) == b"abc"
    assert posted[0][5] is True


def test_write_of_nothing_sends_the_head():
    """PEP 3333: with the first body that is not empty, or with the first call of write()."""

    def app(environ, start_response):
        write = start_response("200 OK", [])
        assert script.posted == []
        write(b"")
        assert script.posted == [envelopes.response(NUMBER, 200, NONE, b"", True)]
        return [b"a"]

    script = Script([[request()], [envelopes.retire()]])
    run(app, script)
    assert trouble(script.posted) is None
    assert body_of(script.posted) == b"a"


WRONG = {
    "longer": [b"hello"],
    "shorter": [b"hel"],
    "a longer list": [b"he", b"llo"],
    "a shorter list": (b"h", b"el"),
    "none": [],
    "a longer iterable": iter([b"hello", b"!"]),
    "an empty iterable": iter([]),
    "a large one": [bytes(3 * CHUNK)],
}


@pytest.mark.parametrize("result", WRONG.values(), ids=list(WRONG))
def test_a_body_of_a_wrong_length_that_is_known_before_anything_was_sent(result):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "4")])
        return result

    posted = serve(app)
    assert kinds(posted) == [DONE]
    assert "data for declared Content-Length" in trouble(posted)


def test_a_large_body_that_is_shorter_than_announced_is_not_begun():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", str(4 * CHUNK))])
        return [bytes(3 * CHUNK)]

    posted = serve(app)
    assert kinds(posted) == [DONE]
    assert "Too little data" in trouble(posted)


def test_content_length_ends_the_response_with_its_last_byte():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "4")])
        yield b"ab"
        yield b"cd"

    posted = serve(app)
    assert kinds(posted) == [RESPONSE, BODY, DONE]
    assert posted[1] == envelopes.body(NUMBER, b"cd", False)
    assert trouble(posted) is None


def test_more_than_content_length():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "2")])
        yield b"ab"
        yield b"cd"

    posted = serve(app)
    assert body_of(posted) == b"ab"
    assert "more than its Content-Length" in trouble(posted)


def test_large_body_is_cut():
    data = bytes(range(256)) * (CHUNK // 128)

    def app(environ, start_response):
        start_response("200 OK", [])
        return [data]

    posted = serve(app)
    assert kinds(posted) == [RESPONSE, BODY, DONE]
    assert body_of(posted) == data
    assert [envelope[5] if envelope[0] == RESPONSE else envelope[3] for envelope in posted[:-1]] == [True, False]


def test_hop_by_hop_headers_are_left_out():
    def app(environ, start_response):
        start_response("200 OK", [("Connection", "close"), ("Transfer-Encoding", "chunked"), ("X", "y")])
        return []

    assert serve(app)[0][3] == of_length(render([(b"X", b"y")]), 0)


def test_headers_are_latin_1():
    def app(environ, start_response):
        start_response("200 OK", [("X", "\xfc")])
        return []

    assert serve(app)[0][3] == of_length(render([(b"X", b"\xfc")]), 0)


@pytest.mark.parametrize("data", [bytearray(b"ab"), memoryview(b"ab")], ids=["bytearray", "memoryview"])
def test_other_forms_of_bytes(data):
    def app(environ, start_response):
        start_response("200 OK", [])
        yield data

    posted = serve(app)
    decoded = decode(encode(posted))
    assert body_of(decoded) == b"ab"
    assert trouble(posted) is None


def test_result_is_closed():
    class Result:
        closed = 0

        def __iter__(self):
            return iter([b"a"])

        def close(self):
            self.closed += 1

    result = Result()

    def app(environ, start_response):
        start_response("200 OK", [])
        return result

    assert trouble(serve(app)) is None
    assert result.closed == 1


def test_result_is_closed_when_it_fails():
    class Result:
        closed = 0

        def __iter__(self):
            raise RuntimeError("broken")

        def close(self):
            self.closed += 1

    result = Result()

    def app(environ, start_response):
        start_response("200 OK", [])
        return result

    assert trouble(serve(app)).endswith("RuntimeError: broken")
    assert result.closed == 1


def test_file_wrapper():
    file = io.BytesIO(bytes(3 * 8192))

    def app(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file)

    posted = serve(app)
    assert body_of(posted) == bytes(3 * 8192)
    assert file.closed


@pytest.mark.parametrize("length", [0, 1, 8191, 8192, 8193, 20_000])
@pytest.mark.parametrize("written", [b"", b"x" * 100])
def test_file_that_is_longer_than_announced_is_cut(length, written):
    data = bytes(range(256)) * 100
    file = io.BytesIO(data)

    def app(environ, start_response):
        write = start_response("206 Partial Content", [("Content-Length", str(len(written) + length))])
        if written:
            write(written)
        return environ["wsgi.file_wrapper"](file)

    posted = serve(app)
    assert trouble(posted) is None
    assert body_of(posted) == written + data[:length]
    assert posted[-2][-1] is False, "the response is complete"
    assert file.closed


def test_file_is_read_no_further_than_announced():
    class File(io.BytesIO):
        def read(self, size=-1):
            reads.append(size)
            return super().read(size)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "10")])
        return environ["wsgi.file_wrapper"](File(bytes(1000)), 5)

    reads = []
    assert body_of(serve(app)) == bytes(10)
    assert reads == [5, 5]


# -- responses without a body ----------------------------------------------------------------------------------------

bodiless = pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 404)])


@bodiless
@pytest.mark.parametrize("make", [list, tuple, iter])
def test_of_a_response_without_body_only_the_head_is_sent(method, status, make):
    def app(environ, start_response):
        start_response(f"{status} Whatever", [("Content-Length", "7")])
        return make([b"he", b"llo"])

    posted = serve(app, method=method)
    assert posted == [
        envelopes.response(NUMBER, status, render([(b"content-length", b"7")]), b"", False),
        envelopes.done(NUMBER, None),
    ]


@bodiless
def test_list_of_one_without_a_body_is_an_answer(method, status):
    def app(environ, start_response):
        start_response(f"{status} Whatever", [])
        return [b"hello"]

    assert serve(app, method=method) == [envelopes.answer(NUMBER, status, NONE, b"")]


@bodiless
def test_a_stream_without_an_end_is_closed_though_it_would_have_no_body(monkeypatch, method, status):
    """The client has its answer, and the app is as if its client had left."""
    monkeypatch.setattr(wsgi, "LOOK", 0.0)
    seen = []

    def app(environ, start_response):
        start_response(f"{status} Whatever", [])
        return stream()

    def stream():
        try:
            yield from itertools.repeat(b"a")
        finally:
            seen.append("closed")

    posted = serve(app, method=method)
    assert posted == [envelopes.response(NUMBER, status, NONE, b"", False), envelopes.done(NUMBER, None)]
    assert seen == ["closed"]


def test_what_writes_without_an_end_is_told_that_nobody_reads(monkeypatch):
    monkeypatch.setattr(wsgi, "LOOK", 0.0)
    seen = []

    def app(environ, start_response):
        write = start_response("200 OK", [])
        try:
            while True:
                write(b"a")
        except OSError:
            seen.append("told")
            raise

    posted = serve(app, method="HEAD")
    assert posted == [envelopes.response(NUMBER, 200, NONE, b"", False), envelopes.done(NUMBER, None)]
    assert seen == ["told"]


# -- start_response --------------------------------------------------------------------------------------------------


def failing(error=LocalProtocolError, **fields):
    """Decorates an app that must fail; returns the fault, of which nothing was answered."""

    def run(app):
        posted = serve(app, **fields)
        assert kinds(posted) == [DONE]
        assert error.__name__ in trouble(posted).splitlines()[-1]
        return trouble(posted)

    return run


@pytest.mark.parametrize("status", ["", "OK", "20", "2000 OK", "200OK", "abc OK", "-20 OK", "100 Continue", "099 No"])
def test_bad_status(status):
    def app(environ, start_response):
        start_response(status, [])
        return []

    interim = status in ("100 Continue", "099 No")
    must = "be from 200 to 999" if interim else "look like '200 OK'"
    assert f"the status must {must}, not {status!r}" in failing()(app)


@pytest.mark.parametrize("status", ["200 OK\r\nX: y", "200 OK\n", "200 \x00", "200 \x7f", "200 \x85"])
def test_control_characters_in_a_status(status):
    def app(environ, start_response):
        start_response(status, [])
        return []

    assert f"control characters in the status {status!r}" in failing()(app)


@pytest.mark.parametrize("status", ["200 OK", "200", "200 ", "599 Odd", "404 Not Found", "200 D'accord, \xe9"])
def test_good_status(status):
    def app(environ, start_response):
        start_response(status, [])
        return []

    assert serve(app)[0][2] == int(status[:3])


def test_body_before_start_response():
    def app(environ, start_response):
        return [b"x"]

    assert "before it called start_response" in failing()(app)


def test_generator_without_start_response():
    def app(environ, start_response):
        yield b"x"

    assert "before it called start_response" in failing()(app)


def test_start_response_twice():
    def app(environ, start_response):
        start_response("200 OK", [])
        start_response("200 OK", [])
        return []

    assert "start_response was called twice without exc_info" in failing()(app)


def test_bad_content_length():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "five")])
        return []

    assert "bad Content-Length b'five'" in failing()(app)


@pytest.mark.parametrize("header", [("bad name", "a"), ("a", "b\r\nc: d"), ("a", "b\nc: d"), ("a", "\0"), ("", "a")])
def test_illegal_header(header):
    def app(environ, start_response):
        start_response("200 OK", [("X", "y"), header])
        return [b"never sent"]

    assert "the app sent an illegal response" in failing()(app)


def test_headers_beyond_latin_1():
    def app(environ, start_response):
        start_response("200 OK", [("X", "\u20ac")])
        return []

    failing(UnicodeEncodeError)(app)


def exc_info(error):
    return (type(error), error, None)


def test_exc_info_replaces_a_response_that_was_not_sent():
    def app(environ, start_response):
        start_response("200 OK", [("X", "y"), ("Content-Length", "100")])
        start_response("500 Oops", [("X", "z")], exc_info(ValueError("late")))
        return [b"oops"]

    assert serve(app) == [envelopes.answer(NUMBER, 500, render([(b"X", b"z")]), b"oops")]


def test_exc_info_is_raised_when_the_response_has_begun():
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"a"
        start_response("500 Oops", [], exc_info(ValueError("too late")))
        yield b"never sent"

    posted = serve(app)
    assert body_of(posted) == b"a"
    assert trouble(posted).endswith("ValueError: too late")


# -- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [RuntimeError("broken"), SystemExit(3), KeyboardInterrupt()])
def test_app_raises(error):
    def app(environ, start_response):
        raise error

    text = failing(type(error))(app)
    assert text.startswith("Traceback")
    assert "in app" in text


@pytest.mark.parametrize("result", [["text"], [b"x", "text"], [5], [None], None, 5])
def test_result_that_is_no_body(result):
    def app(environ, start_response):
        start_response("200 OK", [])
        return result

    posted = serve(app)
    assert kinds(posted) == [DONE]
    assert trouble(posted)


@pytest.mark.parametrize("data", ["text", 5, [b"x"]])
def test_generator_of_no_bytes(data):
    def app(environ, start_response):
        start_response("200 OK", [])
        yield data

    posted = serve(app)
    assert kinds(posted) == [DONE], "nothing that is no bytes may cross"
    assert trouble(posted)


def test_write_of_no_bytes():
    def app(environ, start_response):
        start_response("200 OK", [])("text")
        return []

    posted = serve(app)
    assert kinds(posted) == [DONE]
    assert trouble(posted)


def test_the_seat_goes_on_after_a_fault():
    def app(environ, start_response):
        if environ["wsgi.input"].read() == b"bad":
            raise RuntimeError("broken")
        start_response("200 OK", [])
        return [b"ok"]

    posted = serve(app, script=[[request(b"bad", number=1), request(b"good", number=2)], [envelopes.stop()]])
    assert [envelope[:2] for envelope in posted] == [(DONE, 1), (ANSWER, 2)]
    assert posted[0][2].endswith("RuntimeError: broken")


def test_what_comes_late_is_dropped():
    def app(environ, start_response):
        start_response("200 OK", [])
        return [b"ok"]

    late = [envelopes.credit(1, 5), envelopes.disconnect(1), envelopes.body(1, b"x", False)]
    posted = serve(app, script=[[request(number=1)], late, [request(number=2), envelopes.retire()]])
    assert [envelope[:2] for envelope in posted] == [(ANSWER, 1), (ANSWER, 2)]


# -- credit for the response -----------------------------------------------------------------------------------------


def endless(environ, start_response):
    start_response("200 OK", [])
    while True:
        yield bytes(CHUNK)


def test_send_waits_for_credit():
    chunks = 2 * WINDOW // CHUNK

    def app(environ, start_response):
        start_response("200 OK", [])
        for _ in range(chunks):
            yield bytes(CHUNK)

    class Counting(Script):
        def wait(self, seconds=None):
            waits.append(len(self.posted))
            super().wait(seconds)

    waits = []
    credit = ([envelopes.credit(NUMBER, CHUNK)] for _ in range(chunks))
    script = Counting([[request()], *credit, [envelopes.retire()]])
    run(app, script)
    assert trouble(script.posted) is None
    assert len(body_of(script.posted)) == 2 * WINDOW
    assert waits[:3] == [0, WINDOW // CHUNK, WINDOW // CHUNK + 1], "the window first, then a chunk for each credit"


def test_disconnect_ends_a_send_that_waits():
    seen = []

    def app(environ, start_response):
        try:
            yield from endless(environ, start_response)
        finally:
            seen.append("closed")

    posted = serve(app, envelopes.disconnect(NUMBER))
    assert trouble(posted) is None, "the client's going is not the app's fault"
    assert len(body_of(posted)) == WINDOW
    assert seen == ["closed"]


def test_a_stream_ends_when_its_client_leaves_though_it_never_waits(monkeypatch):
    monkeypatch.setattr(wsgi, "LOOK", 0.0)
    seen = []

    def app(environ, start_response):
        start_response("200 OK", [])
        return stream()

    def stream():
        try:
            yield from itertools.repeat(b"a", 1000)
        finally:
            seen.append("closed")

    posted = serve(app, has_come=[envelopes.credit(NUMBER, 5), envelopes.disconnect(NUMBER)])
    assert trouble(posted) is None
    assert body_of(posted) == b"aa"
    assert seen == ["closed"]


def test_a_stream_looks_for_its_client_now_and_then(monkeypatch):
    looks = []

    class Looking(Script):
        def wait(self, seconds=None):
            if seconds == 0.0:
                looks.append(len(self.posted))
            return super().wait(seconds)

    def app(environ, start_response):
        start_response("200 OK", [])
        return itertools.repeat(b"a", 8)

    monkeypatch.setitem(globals(), "Script", Looking)
    times = [100 + number * LOOK * 0.3 for number in range(8)]
    monkeypatch.setattr(wsgi, "time", SimpleNamespace(monotonic=iter(times).__next__))
    assert trouble(serve(app)) is None
    assert looks == [5]


def test_a_request_that_comes_while_a_stream_looks_is_declined(monkeypatch):
    monkeypatch.setattr(wsgi, "LOOK", 0.0)
    other = request(number=NUMBER + 1)

    def app(environ, start_response):
        start_response("200 OK", [])
        return itertools.repeat(b"a", 3)

    assert declined(other) in serve(app, has_come=[other])


def test_what_reads_on_after_the_response_gets_an_error():
    streams = []

    def app(environ, start_response):
        streams.append(environ["wsgi.input"])
        start_response("200 OK", [])
        return [b"accepted"]

    assert trouble(serve(app, body=b"a", more=True)) is None
    with pytest.raises(ValueError, match="its response is complete"):
        streams[0].read()


def test_own_client_disconnected_is_a_fault():
    def app(environ, start_response):
        raise ClientDisconnected("some other client")

    assert trouble(serve(app)).endswith("ClientDisconnected: some other client")


def test_body_that_comes_while_a_send_waits_is_not_lost():
    def app(environ, start_response):
        start_response("200 OK", [])
        stream = environ["wsgi.input"]
        yield stream.read(1)
        yield bytes(WINDOW + CHUNK)
        yield stream.read()

    posted = serve(
        app,
        envelopes.body(NUMBER, b"b", True),  # while the send waits for credit
        envelopes.credit(NUMBER, WINDOW),
        envelopes.body(NUMBER, b"c", False),
        body=b"a",
        more=True,
    )
    assert trouble(posted) is None
    body = body_of(posted)
    assert body[:1] + body[1 + WINDOW + CHUNK :] == b"abc"


def test_credit_that_comes_while_a_read_waits_is_not_lost():
    def app(environ, start_response):
        start_response("200 OK", [])
        yield bytes(WINDOW)
        yield environ["wsgi.input"].read()

    posted = serve(app, envelopes.credit(NUMBER, WINDOW), envelopes.body(NUMBER, b"a", False), body=b"", more=True)
    assert trouble(posted) is None
    assert body_of(posted)[WINDOW:] == b"a"


@pytest.mark.parametrize(("kind", "parts"), [(RESPONSE, 2), (ANSWER, 1)])
def test_post_waits_for_room_in_the_channel(kind, parts):
    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ["wsgi.input"].read(), b""][:parts]

    class Full(BlockingEnd):
        def post(self, *sent, large=False):
            script.full = 2 if sent[0][0] == kind else 0
            super().post(*sent, large=large)

    script = Script([[request(b"a", True)], [envelopes.body(NUMBER, b"b", False)], [], [], [envelopes.retire()]])
    run(app, script, Full(script))
    assert body_of(script.posted) == b"ab"
    assert not script.steps


# -- requests that follow on this seat -------------------------------------------------------------------------------


def test_requests_that_follow_are_served_one_after_another():
    def app(environ, start_response):
        start_response("200 OK", [])
        return [environ["wsgi.input"].read() * 2]

    script = [[request(b"a", number=1)], [request(b"b", number=2)], [request(b"c", number=3)], [envelopes.retire()]]
    assert serve(app, script=script) == [
        envelopes.answer(1, 200, NONE, b"aa"),
        envelopes.answer(2, 200, NONE, b"bb"),
        envelopes.answer(3, 200, NONE, b"cc"),
    ]


def test_request_behind_a_send_that_waits_for_credit_is_declined():
    def app(environ, start_response):
        start_response("200 OK", [])
        yield bytes(WINDOW)
        yield b"a"

    follower = request(b"x", number=NUMBER + 1)
    posted = serve(app, follower, envelopes.credit(NUMBER, WINDOW))
    assert [envelope for envelope in posted if envelope[0] == DECLINED] == [declined(follower)]
    own = [envelope for envelope in posted if envelope[1] == NUMBER]
    assert trouble(own) is None
    assert body_of(own) == bytes(WINDOW) + b"a"
    assert len(own) + 1 == len(posted), "nothing is begun of what was declined"


def test_request_behind_a_read_that_waits_for_the_body_is_declined():
    """The main interpreter does not let any follow here, but what it does must not matter."""
    follower = request(b"x", number=NUMBER + 1)
    posted = serve(echo, follower, envelopes.body(NUMBER, b"b", False), body=b"a", more=True)
    assert posted == [declined(follower), envelopes.answer(NUMBER, 200, NONE, b"ab")]


def declined(request):
    return envelopes.declined(request[1], request)


def test_requests_behind_a_post_that_waits_for_room_are_declined():
    followers = [request(number=NUMBER + 1), request(number=NUMBER + 2)]

    class Full(BlockingEnd):
        def post(self, *sent, large=False):
            if sent[0][0] == ANSWER:
                script.full = 2
            super().post(*sent, large=large)

    script = Script([[request()], followers[:1], followers[1:], [envelopes.retire()]])
    run(echo, script, Full(script))
    assert script.posted == [envelopes.answer(NUMBER, 200, NONE, b""), *map(declined, followers)]


def test_what_is_for_the_exchange_at_hand_is_kept_while_others_are_declined():
    def app(environ, start_response):
        start_response("200 OK", [])
        yield environ["wsgi.input"].read(1)
        yield bytes(WINDOW + CHUNK)
        yield environ["wsgi.input"].read()

    follower = request(b"x", number=NUMBER + 1)
    posted = serve(
        app,
        script=[
            [request(b"a", True)],
            [envelopes.body(NUMBER, b"b", False), follower, envelopes.credit(NUMBER, 2 * WINDOW)],
            [envelopes.retire()],
        ],
    )
    own = [envelope for envelope in posted if envelope[1] == NUMBER]
    assert trouble(own) is None
    assert body_of(own) == b"a" + bytes(WINDOW + CHUNK) + b"b"
    assert posted.count(declined(follower)) == 1


# -- the request's body ----------------------------------------------------------------------------------------------


def echo(environ, start_response):
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]


def test_no_body():
    assert body_of(serve(echo)) == b""


def test_body_that_came_with_the_head():
    assert body_of(serve(echo, body=b"hello")) == b"hello"


def test_body_that_comes_later():
    later = [envelopes.body(NUMBER, b"b", True), envelopes.body(NUMBER, b"", True), envelopes.body(NUMBER, b"c", False)]
    assert body_of(serve(echo, *later, body=b"a", more=True)) == b"abc"


def test_body_that_ends_without_more_data():
    assert body_of(serve(echo, envelopes.body(NUMBER, b"", False), body=b"a", more=True)) == b"a"


@pytest.mark.parametrize("more", [True, False])
def test_ways_to_read(more):
    def app(environ, start_response):
        stream = environ["wsgi.input"]
        seen.append(stream.read(0))
        seen.append(stream.read(2))
        seen.append(stream.readline())
        seen.append(stream.readline(3))
        seen.append(stream.readlines())
        seen.append(stream.read())
        seen.append(stream.readline())
        start_response("200 OK", [])
        return []

    seen = []
    data = b"abcd\nefghi\njk\nl"
    if more:
        serve(
            app, envelopes.body(NUMBER, data[5:8], True), envelopes.body(NUMBER, data[8:], False), body=data[:5], more=1
        )
    else:
        serve(app, body=data)
    assert seen == [b"", b"ab", b"cd\n", b"efg", [b"hi\n", b"jk\n", b"l"], b"", b""]


def test_iteration_over_lines():
    def app(environ, start_response):
        seen.extend(environ["wsgi.input"])
        start_response("200 OK", [])
        return []

    seen = []
    serve(app, envelopes.body(NUMBER, b"\nb", False), body=b"a", more=True)
    assert seen == [b"a\n", b"b"]


def test_small_read_does_not_wait_for_more():
    def app(environ, start_response):
        assert environ["wsgi.input"].read(1) == b"a"
        start_response("200 OK", [])
        return [b"ok"]

    assert trouble(serve(app, body=b"ab", more=True)) is None


def test_credit_goes_back_for_what_was_read():
    chunks = 20
    later = [envelopes.body(NUMBER, bytes(CHUNK), True) for _ in range(chunks)]

    def app(environ, start_response):
        size = 0
        while data := environ["wsgi.input"].read(CHUNK):
            size += len(data)
        start_response("200 OK", [])
        return [str(size).encode()]

    posted = serve(app, *later, envelopes.body(NUMBER, b"", False), body=b"", more=True)
    assert body_of(posted) == str(chunks * CHUNK).encode()
    given_back = [envelope[2] for envelope in posted if envelope[0] == CREDIT]
    assert chunks * CHUNK - WINDOW < sum(given_back) <= chunks * CHUNK + CHUNK_COST
    assert len(given_back) <= chunks / 2, "not for every single chunk"


def test_what_came_with_the_head_is_given_back_too():
    # the main interpreter charges the first chunk like any other
    later = [envelopes.body(NUMBER, bytes(CHUNK), True), envelopes.body(NUMBER, b"x", False)]
    posted = serve(echo, *later, body=bytes(CHUNK), more=True)
    assert sum(envelope[2] for envelope in posted if envelope[0] == CREDIT) == 2 * CHUNK


def test_disconnect_ends_a_read_that_waits():
    def app(environ, start_response):
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            seen.append(error)
            raise

    seen = []
    posted = serve(app, envelopes.disconnect(NUMBER), body=b"a", more=True)
    assert kinds(posted) == [DONE]
    assert trouble(posted) is None
    (error,) = seen
    assert isinstance(error, ClientDisconnected)


def test_retiring_waits_for_the_exchange():
    posted = serve(
        echo,
        script=[
            [request(b"a", True)],
            [envelopes.retire()],
            [envelopes.body(NUMBER, b"b", False)],
        ],
    )
    assert body_of(posted) == b"ab"


# -- Expect: 100-continue --------------------------------------------------------------------------------------------


def test_continue_is_sent_when_the_app_reads():
    posted = serve(
        echo, envelopes.body(NUMBER, b"a", True), envelopes.body(NUMBER, b"b", False), more=True, expects_continue=True
    )
    assert kinds(posted) == [CONTINUE, ANSWER]
    assert body_of(posted) == b"ab"


def test_continue_is_not_sent_when_the_app_does_not_read():
    def app(environ, start_response):
        start_response("200 OK", [])
        return []

    assert kinds(serve(app, more=True, expects_continue=True)) == [RESPONSE, DONE]


def test_continue_is_not_sent_when_some_of_the_body_is_there():
    posted = serve(echo, envelopes.body(NUMBER, b"b", False), body=b"a", more=True, expects_continue=True)
    assert kinds(posted) == [ANSWER]


# -- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
def test_an_upload_is_gone_with_its_exchange(fails):
    def app(environ, start_response):
        environ["wsgi.input"].read()
        start_response("200 OK", [])
        kept.extend([weakref.ref(environ["wsgi.input"]), weakref.ref(start_response.__self__)])
        if fails:
            raise ValueError
        return [b"", b""]

    kept = []
    gc.disable()
    try:
        serve(app, envelopes.body(NUMBER, b"b", False), body=b"a", more=True)
        assert [reference() for reference in kept] == [None, None]
    finally:
        gc.enable()

"""snakepit.worker.wsgi.seats and exchange: what a thread answers, it keeps while there is more to do."""

import threading

import pytest
from wsgi_side import NUMBER, Script, body_of, kinds, request, run, trouble

from snakepit.http.fields import NONE, of_length, render
from snakepit.wire import envelopes
from snakepit.wire.ends import BlockingEnd
from snakepit.wire.envelopes import ANSWER, BODY, DECLINED, DONE, LARGE, RESPONSE, WINDOW
from snakepit.worker.wsgi import seats

NONE_KEPT = envelopes.ALL


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """Nothing is sent because it is late, however slow this machine is."""
    monkeypatch.setattr(seats, "KEPT", 1000.0)


class Played:
    """A seat, its app, and what waits for it at once: so many requests. `later`: what comes then, one for each wait."""

    def __init__(self, app, requests=1, later=(), released=0, **fields):
        numbers = range(NUMBER, NUMBER + requests)
        there = [request(number=number, **fields) for number in numbers]
        self.script = Script([*([envelope] for envelope in later), [envelopes.retire()]], there=there)
        self.end = BlockingEnd(self.script)
        self.end.released = released
        run(lambda environ, start_response: app(self, environ, start_response), self.script, self.end)

    @property
    def items(self):
        """The kinds in each item that was sent."""
        return [kinds(item) for item in self.script.items]

    @property
    def sent(self):
        """Kinds that were sent until now."""
        return kinds(self.script.posted)


class Result:
    """A body as frameworks give it: an iterable with a close."""

    def __init__(self, chunks, close=lambda: None):
        self.chunks = chunks
        self.close = close

    def __iter__(self):
        return iter(self.chunks)


def hello(played, environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return Result([b"hello"])


# -- one request -----------------------------------------------------------------------------------------------------


def chunk_by_chunk(*chunks, length=None, make=Result):
    def app(played, environ, start_response):
        start_response("200 OK", [] if length is None else [("Content-Length", str(length))])
        return make(chunks)

    return app


@pytest.mark.parametrize(
    ("app", "fields"),
    [
        (chunk_by_chunk(b"hello", length=5), of_length(NONE, 5)),
        (chunk_by_chunk(b"", b"hello", b"", length=5), of_length(NONE, 5)),
        (chunk_by_chunk(b"he", b"llo", make=list), of_length(NONE, 5)),
        (chunk_by_chunk(b"he", b"llo", length=5, make=list), of_length(NONE, 5)),
        (chunk_by_chunk(b"hello", make=list), NONE),
    ],
    ids=["its length told", "empty chunks", "a list", "a list, its length told", "a list of one"],
)
def test_a_response_of_one_chunk_is_an_answer(app, fields):
    played = Played(app)
    (answer,) = played.script.posted
    assert answer[0] == ANSWER
    assert answer[:3] == (ANSWER, NUMBER, 200)
    assert answer[4] == b"hello"
    assert answer[3][2] == fields[2], "the length is told where the app told it, or it is known"


def test_a_response_of_no_chunks_is_an_answer():
    assert Played(chunk_by_chunk()).script.posted == [envelopes.answer(NUMBER, 200, NONE, b"")]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_response_without_body_is_an_answer(method):
    def app(played, environ, start_response):
        start_response("304 Not Modified" if method == "GET" else "200 OK", [("X", "y")])
        return Result([b"left out"] if method == "HEAD" else [])

    (answer,) = Played(app, method=method).script.posted
    assert answer == envelopes.answer(NUMBER, 304 if method == "GET" else 200, render([(b"X", b"y")]), b"")


def test_a_response_of_several_chunks_leaves_in_their_order():
    played = Played(chunk_by_chunk(b"a", b"b", b"c"))
    assert played.items == [[RESPONSE], [BODY], [BODY], [BODY], [DONE]]
    assert body_of(played.script.posted) == b"abc"
    assert trouble(played.script.posted) is None


@pytest.mark.parametrize("headers", [[], [("Content-Length", "2")]])
def test_a_response_that_is_not_complete_leaves_before_the_app_goes_on(headers):
    def app(played, environ, start_response):
        start_response("200 OK", headers)
        yield b"a"
        seen.append(played.sent)
        yield b"b"

    seen = []
    Played(app)
    assert seen == [[RESPONSE]]


def test_a_response_that_is_complete_leaves_with_the_news_of_its_end_and_not_before_its_close():
    def app(played, environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        return Result([b"hello"], lambda: seen.append(played.sent))

    seen = []
    assert Played(app).items == [[ANSWER]]
    assert seen == [[]]


def test_a_close_that_fails_comes_behind_the_response():
    def app(played, environ, start_response):
        def close():
            raise RuntimeError("too late")

        start_response("200 OK", [("Content-Length", "5")])
        return Result([b"hello"], close)

    played = Played(app)
    assert played.items == [[RESPONSE, DONE]]
    assert trouble(played.script.posted).endswith("RuntimeError: too late")


def test_an_error_behind_the_first_chunk():
    def app(played, environ, start_response):
        start_response("200 OK", [])
        yield b"a"
        raise RuntimeError("broken")

    played = Played(app)
    assert played.items == [[RESPONSE], [DONE]]
    assert played.script.posted[0][5] is True, "it is not complete"
    assert trouble(played.script.posted).endswith("RuntimeError: broken")


def test_nothing_is_kept_where_nothing_may_be():
    def app(played, environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        return Result([b"hello"], lambda: seen.append(played.sent))

    seen = []
    assert Played(app, released=NUMBER).items == [[RESPONSE], [DONE]]
    assert seen == [[RESPONSE]]


def test_nothing_is_kept_of_a_request_that_did_not_come_whole():
    """Its thread may come to wait for its client."""

    def app(played, environ, start_response):
        start_response("200 OK", [("Content-Length", "1")])
        return Result([environ["wsgi.input"].read()], lambda: seen.append(played.sent))

    seen = []
    played = Played(app, later=[envelopes.body(NUMBER, b"", False)], body=b"a", more=True)
    assert played.items == [[RESPONSE], [DONE]]
    assert seen == [[RESPONSE]]


def test_nothing_large_is_kept():
    def app(played, environ, start_response):
        start_response("200 OK", [])
        return Result([bytes(LARGE + 1)], lambda: seen.append(played.sent))

    seen = []
    assert Played(app).items == [[RESPONSE], [BODY], [DONE]]
    assert seen == [[RESPONSE, BODY]]


def test_a_large_answer_takes_along_what_is_kept():
    def app(played, environ, start_response):
        start_response("200 OK", [])
        sizes.append(LARGE + len(sizes))
        return [bytes(sizes[-1])]

    sizes = []
    played = Played(app, 3)
    assert played.items == [[ANSWER, ANSWER], [ANSWER]]
    assert [len(answer[4]) for answer in played.script.posted] == sizes


# -- several requests ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 8])
def test_what_comes_together_is_answered_together(count):
    played = Played(hello, count)
    assert played.items == [[ANSWER] * count]
    assert [answer[1] for answer in played.script.posted] == list(range(NUMBER, NUMBER + count))


def test_answers_leave_when_the_thread_comes_to_wait():
    def app(played, environ, start_response):
        seen.append(played.items)
        return hello(played, environ, start_response)

    seen = []
    Played(app, 2, later=[request(number=20), request(number=21)])
    assert seen == [[], [], [[ANSWER, ANSWER]], [[ANSWER, ANSWER], [ANSWER]]]


def test_answers_leave_with_what_a_thread_says_that_comes_to_wait_for_its_client():
    def app(played, environ, start_response):
        start_response("200 OK", [])
        count.append(None)
        return [b"a"] if len(count) < 3 else [bytes(WINDOW), b"b"]

    count = []
    last = NUMBER + 2
    played = Played(app, 4, later=[envelopes.credit(last, WINDOW)])
    assert played.items[0][:3] == [ANSWER, ANSWER, RESPONSE]
    assert DECLINED in played.sent, "what came behind it"
    own = [envelope for envelope in played.script.posted if envelope[1] == last]
    assert len(body_of(own)) == WINDOW + 1


def test_each_result_is_closed_before_the_next_request_begins():
    def app(played, environ, start_response):
        number = len(seen) // 2
        seen.append(f"begin {number}")
        start_response("200 OK", [("Content-Length", "1")])
        return Result([b"a"], lambda: seen.append(f"close {number}"))

    seen = []
    Played(app, 3)
    assert seen == ["begin 0", "close 0", "begin 1", "close 1", "begin 2", "close 2"]


def test_what_was_kept_for_long_leaves_though_more_is_to_be_done(monkeypatch):
    monkeypatch.setattr(seats, "KEPT", 0.0)
    assert Played(hello, 3).items == [[ANSWER]] * 3


def test_a_fault_takes_along_what_is_kept():
    def app(played, environ, start_response):
        count.append(None)
        if len(count) == 2:
            raise RuntimeError("broken")
        return hello(played, environ, start_response)

    count = []
    played = Played(app, 3)
    assert played.items == [[ANSWER, DONE], [ANSWER]]


def test_what_is_kept_leaves_before_the_thread_ends():
    script = Script([], there=[request(), envelopes.retire()])
    end = BlockingEnd(script)
    end.released = 0
    run(lambda environ, start_response: hello(None, environ, start_response), script, end)
    assert kinds(script.posted) == [ANSWER]


def test_a_thread_keeps_what_is_of_requests_above_the_released_ones():
    assert Played(hello, 3, released=NUMBER + 1).items == [[RESPONSE], [DONE], [RESPONSE], [DONE], [ANSWER]]


# -- release ---------------------------------------------------------------------------------------------------------


def aside(work):
    """Do what another thread does."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.mark.parametrize("upto", [NUMBER + 3, NONE_KEPT])
def test_release_sends_what_is_kept_while_the_app_is_at_the_next(upto):
    def app(played, environ, start_response):
        count.append(None)
        if len(count) == 3:
            aside(lambda: played.end.release(upto))
            seen.append(played.items)
        return hello(played, environ, start_response)

    count, seen = [], []
    played = Played(app, 4)
    assert seen == [[[ANSWER, ANSWER]]]
    assert played.items == [[ANSWER, ANSWER], [RESPONSE], [DONE], [RESPONSE], [DONE]], "no more is kept"


def test_release_while_a_close_takes_long_sends_the_response():
    def app(played, environ, start_response):
        def close():
            aside(lambda: played.end.release(NONE_KEPT))
            seen.append(played.items)

        start_response("200 OK", [("Content-Length", "5")])
        return Result([b"hello"], close)

    seen = []
    played = Played(app)
    assert seen == [[[RESPONSE]]]
    assert played.items == [[RESPONSE], [DONE]]
    assert played.script.posted[0][5] is False, "it is complete"


def test_release_between_the_only_chunk_and_the_end():
    def app(played, environ, start_response):
        start_response("200 OK", [])
        yield b"hello"
        aside(lambda: played.end.release(NONE_KEPT))
        assert played.items == [[RESPONSE]]

    played = Played(app)
    assert played.items == [[RESPONSE], [BODY], [DONE]]
    assert body_of(played.script.posted) == b"hello"
    assert trouble(played.script.posted) is None


def test_nothing_is_kept_after_a_release_that_came_first():
    """The main interpreter has asked once, and does not ask again."""

    def app(played, environ, start_response):
        aside(lambda: played.end.release(NONE_KEPT))
        return hello(played, environ, start_response)

    assert Played(app, 2).items == [[RESPONSE], [DONE], [RESPONSE], [DONE]]


def test_answers_are_kept_again_when_that_is_said():
    def app(played, environ, start_response):
        played.end.release(NUMBER)
        return hello(played, environ, start_response)

    assert Played(app, 3, released=NONE_KEPT).items == [[RESPONSE], [DONE], [ANSWER], [ANSWER]]

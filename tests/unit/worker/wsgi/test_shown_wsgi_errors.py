"""worker.wsgi.exchange with `--debug`: which exceptions are shown."""

import error_pages
import pytest
from wsgi_side import NUMBER, Script, request, run

from snakepit.errors import ClientDisconnected, RequestTimeout
from snakepit.wire import envelopes
from snakepit.wire.envelopes import DONE, RESPONSE


def serve(app, debug=True, method="GET"):
    script = Script([[request(method=method)], [envelopes.retire()]])
    run(app, script, error_pages=error_pages.make("wsgi", debug=debug))
    return script.posted


def fails(environ, start_response):
    raise ValueError("<oh>")


def fails_after_head(environ, start_response):
    start_response("200 OK", [("X-A", "b")])
    raise ValueError("<oh>")


def fails_at_first(environ, start_response):
    start_response("200 OK", [])
    raise ValueError("<oh>")
    yield b""


@pytest.mark.parametrize("app", [fails, fails_after_head, fails_at_first])
def test_what_is_shown(app):
    response, done = serve(app)
    assert response[:3] == (RESPONSE, NUMBER, 500)
    assert b"text/plain" in response[3][0]  # the request has no Accept
    assert b"x-a" not in response[3][0].lower()
    assert b"ValueError: <oh>\n\nGET / HTTP/1.1\napp: main:app, WSGI" in response[4]
    assert done[0] == DONE
    assert done[2].endswith("ValueError: <oh>")


def test_head_gets_the_length_only():
    response, _ = serve(fails, method="HEAD")
    assert response[3][2] > 100
    assert response[4] == b""


def test_an_answer_that_has_begun_stays():
    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"some"
        raise ValueError("oh")

    first, done = serve(app)
    assert (first[2], first[4]) == (200, b"some")
    assert "ValueError" in done[2]


@pytest.mark.parametrize("app", [fails, fails_after_head])
def test_nothing_without_the_option(app):
    (done,) = serve(app, debug=False)
    assert "ValueError" in done[2]


@pytest.mark.parametrize("error", [RequestTimeout, ClientDisconnected])
def test_nothing_for_what_is_no_error_of_the_app(error):
    def app(environ, start_response):
        raise error

    (done,) = serve(app)
    assert error.__name__ in done[2]


def test_an_environ_that_is_not_what_it_was():
    def app(environ, start_response):
        environ.clear()
        raise ValueError("oh")

    response, _ = serve(app)
    assert b"the app has changed what it was given" in response[4]

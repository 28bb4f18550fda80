"""worker.error_page.answers: an answer for any exception, or none."""

import error_pages
import pytest

from snakepit.errors import AppImportError, LifespanError
from snakepit.worker.error_page import answers

SCOPE = {
    "method": "GET",
    "raw_path": b"/a",
    "query_string": b"",
    "http_version": "1.1",
    "client": None,
    "scheme": "http",
    "headers": [(b"accept", b"text/html")],
}
TEXT = SCOPE | {"headers": [(b"accept", b"*/*")]}


def raised(message="oh"):
    try:
        raise ValueError(message)
    except ValueError as error:
        return error


def test_a_page_for_browsers():
    (lines, _, length), body = error_pages.make().for_scope(raised(), SCOPE, False)
    assert length == len(body)
    assert b"content-type: text/html; charset=utf-8" in lines
    assert b"default-src 'none'" in lines
    assert b"script-src" not in lines
    for part in (b"ValueError", b"GET /a HTTP/1.1", b"main:app, ASGI", b"3, runtime interpreter"):
        assert part in body


def test_text_for_others():
    (lines, _, length), body = error_pages.make().for_scope(raised("<b>"), TEXT, False)
    assert length == len(body)
    assert b"content-type: text/plain; charset=utf-8" in lines
    assert b"ValueError: <b>\n\nGET /a HTTP/1.1\napp: main:app, ASGI" in body


@pytest.mark.parametrize("scope", [SCOPE, TEXT])
def test_nothing_but_the_head_for_head(scope):
    (_, _, length), body = error_pages.make().for_scope(raised(), scope, True)
    assert length > 100
    assert body == b""


def test_the_script_that_reloads_the_page():
    (lines, _, _), body = error_pages.make(page_script="/reload.js?1").for_scope(raised(), SCOPE, False)
    assert b"script-src 'self'; connect-src 'self'" in lines
    assert body.endswith(b'<script src="/reload.js?1" async></script>\n')


@pytest.mark.parametrize("scope", [{}, {"headers": 3}, SCOPE | {"raw_path": None}])
def test_a_scope_that_is_not_what_it_was(scope):
    _, body = error_pages.make().for_scope(raised(), scope, False)
    assert b"ValueError: oh" in body
    assert b"the app has changed what it was given" in body


def test_less_where_variables_can_not_be_shown(monkeypatch):
    real, asked = answers.page, []

    def page(error, *, variables=True, **other):
        asked.append(variables)
        if variables:
            raise RecursionError
        return real(error, variables=variables, **other)

    monkeypatch.setattr(answers, "page", page)
    _, body = error_pages.make().for_scope(raised(), SCOPE, False)
    assert asked == [True, False]
    assert b"ValueError" in body
    assert b"Variables" not in body


def test_none_where_none_can_be_made(monkeypatch):
    def page(error, **other):
        raise SystemExit

    monkeypatch.setattr(answers, "page", page)
    assert error_pages.make().for_scope(raised(), SCOPE, False) is None
    assert error_pages.make().of_failure(AppImportError("no")) == b""


def test_what_kept_an_app_from_being_served():
    error = LifespanError("the app's lifespan start-up failed\nTraceback of it")
    error.__cause__ = raised("<start>")
    text = error_pages.make().of_failure(error).decode()
    assert "The app can&#x27;t be started: the app&#x27;s lifespan start-up failed</p>" in text
    assert '<h1><b class="kind">ValueError</b>: &lt;start&gt;</h1>' in text
    assert "Traceback of it" in text


def test_a_failure_without_an_exception_of_the_app():
    text = error_pages.make().of_failure(AppImportError("module has no attribute 'app'")).decode()
    assert "module has no attribute &#x27;app&#x27;</h1>" in text

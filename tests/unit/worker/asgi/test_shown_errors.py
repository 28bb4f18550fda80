"""worker.asgi.exchange with `--debug`: which exceptions are shown, and in place of which answers."""

import asyncio

import error_pages
import pytest
from waiting import PATIENCE
from worker_side import NUMBER, FakeWorker

from snakepit.errors import RequestTimeout
from snakepit.wire import envelopes
from snakepit.wire.envelopes import DONE, RESPONSE
from snakepit.worker.asgi.exchange import AsgiExchange
from snakepit.worker.asgi.websocket import AsgiWebSocket

START = {"type": "http.response.start", "status": 200, "headers": []}
PLAIN = b"Internal Server Error"


def serve(app, method="GET", scheme="http", debug=True, kind=AsgiExchange, before=lambda exchange: None):
    """Run an app over one exchange; returns what was posted."""

    async def main():
        worker = FakeWorker(app)
        worker.ws_max_queue = 32
        worker.error_pages = error_pages.make(debug=debug)
        headers = [(b"accept", b"text/html")]
        exchange = kind(
            worker,
            envelopes.request(NUMBER, method, b"/a?b", "1.1", headers, None, None, scheme, b"", False, False),
        )
        before(exchange)
        async with asyncio.timeout(PATIENCE):
            task = asyncio.Task(exchange.run(), loop=worker.loop, eager_start=True)
            if not task.done():
                exchange.goes_on(task)
            await task
        return worker.end

    return asyncio.run(main())


def page_in(end):
    """The body of the page that was posted, before the fault."""
    response, done = end.posted
    kind, number, status, (lines, _, length), body, more = response
    assert (kind, number, status, more) == (RESPONSE, NUMBER, 500, False)
    assert b"content-security-policy" in lines
    assert done[0] == DONE
    assert done[2].endswith("ValueError: oh")
    assert length >= len(body)
    return body


async def fails(scope, receive, send):
    raise ValueError("oh")


async def fails_after_head(scope, receive, send):
    await send(START)
    raise ValueError("oh")


async def fails_after_waiting(scope, receive, send):
    await asyncio.sleep(0)
    raise ValueError("oh")


async def as_starlette_does(scope, receive, send):
    await asyncio.sleep(0)
    await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"21")]})
    await send({"type": "http.response.body", "body": PLAIN})
    raise ValueError("oh")


@pytest.mark.parametrize("app", [fails, fails_after_head, fails_after_waiting, as_starlette_does])
def test_what_is_shown(app):
    end = serve(app)
    body = page_in(end)
    assert b'<b class="kind">ValueError</b>: oh' in body
    assert b"GET /a?b HTTP/1.1" in body
    assert (end.large == end.posted[:1]) is (len(body) > envelopes.LARGE)


@pytest.mark.parametrize("app", [fails, as_starlette_does])
def test_head_gets_the_length_only(app):
    assert page_in(serve(app, "HEAD")) == b""


@pytest.mark.parametrize(
    ("status", "data", "more"), [(200, PLAIN, False), (500, b'{"detail": "mine"}', False), (500, PLAIN, True)]
)
def test_an_answer_of_the_app_stays(status, data, more):
    async def app(scope, receive, send):
        await send(START | {"status": status})
        await send({"type": "http.response.body", "body": data, "more_body": more})
        raise ValueError("oh")

    response, done = serve(app).posted
    assert (response[2], response[4], response[5]) == (status, data, more)
    assert done[2].endswith("ValueError: oh")


@pytest.mark.parametrize("app", [fails, fails_after_head])
def test_nothing_without_the_option(app):
    (done,) = serve(app, debug=False).posted
    assert done[:2] == (DONE, NUMBER)
    assert "ValueError" in done[2]


def test_starlettes_answer_without_the_option():
    response, _ = serve(as_starlette_does, debug=False).posted
    assert response[4] == PLAIN


def test_nothing_for_a_client_that_has_left():
    (done,) = serve(fails, before=AsgiExchange.disconnect).posted
    assert "ValueError" in done[2]


def test_nothing_where_the_request_was_ended():
    async def app(scope, receive, send):
        raise RequestTimeout

    (done,) = serve(app).posted
    assert "RequestTimeout" in done[2]


def test_nothing_where_no_page_can_be_made(monkeypatch):
    monkeypatch.setattr("snakepit.worker.error_page.answers.names", None)
    (done,) = serve(fails).posted
    assert "ValueError" in done[2]


def test_nothing_of_a_handshake():
    (done,) = serve(fails, scheme="ws", kind=AsgiWebSocket).posted
    assert "ValueError" in done[2]


def test_reprs_that_fail_or_are_long():
    class Hostile:
        def __repr__(self):
            raise SystemExit

    class Long:
        def __repr__(self):
            return "x" * 10_000_000

    async def app(scope, receive, send):
        mine = Hostile(), Long(), [Long()] * 50
        raise ValueError("oh") from RuntimeError(len(mine))

    body = page_in(serve(app))
    assert b"its repr raises SystemExit" in body
    assert len(body) < 100_000

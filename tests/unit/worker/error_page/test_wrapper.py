"""snakepit.worker.error_page.wrapper: what is shown to whom, and when."""

import asyncio
import sys
from wsgiref.util import FileWrapper

import pytest

from snakepit.errors import ClientDisconnected, WorkerStopping
from snakepit.worker.error_page import wrapper
from snakepit.worker.error_page.wrapper import page_of_failure, with_error_page

SETTINGS = {"number": 3, "module": "shop", "attribute": "app"}
HTML = [(b"accept", b"text/html,*/*"), (b"cookie", b"session=abc"), (b"x-evil", b"<script>")]
START, BODY = "http.response.start", "http.response.body"


def ask(app, headers=HTML):
    """Call an ASGI app; returns what was sent, and what it raised."""
    sent = []
    scope = {"type": "http", "method": "GET", "path": "/a", "query_string": b"b=c", "headers": headers}
    scope["client"] = ("10.0.0.1", 5000)

    async def main():
        async def send(message):
            sent.append(message)

        try:
            await with_error_page(app, "asgi", SETTINGS)(scope, None, send)
        except BaseException as error:
            return error
        finally:
            await asyncio.sleep(0)

    return sent, asyncio.run(main())


def shown(sent):
    start, body = sent
    assert (start["type"], start["status"], body["type"]) == (START, 500, BODY)
    fields = dict(start["headers"])
    assert fields[b"content-length"] == b"%d" % len(body["body"])
    assert b"default-src 'none'" in fields[b"content-security-policy"]
    return fields[b"content-type"].decode(), body["body"].decode()


async def failing(scope, receive, send):
    price = 1234567
    raise ValueError(f"<b>{price - 1}</b>")


def test_a_browser_gets_a_page():
    sent, error = ask(failing)
    kind, page = shown(sent)
    assert isinstance(error, ValueError), "which is logged"
    assert kind.startswith("text/html")
    assert "&lt;b&gt;1234566&lt;/b&gt;" in page
    assert "1234567" in page, "a variable"
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "session=abc" not in page
    for part in ("GET /a?b=c", "shop:app", "10.0.0.1", "x-evil"):
        assert part in page
    assert "error_page/wrapper.py" not in page


@pytest.mark.parametrize("headers", [[], [(b"accept", b"*/*")], [(b"accept", b"application/json")]])
def test_others_get_text(headers):
    kind, text = shown(ask(failing, headers)[0])
    assert kind.startswith("text/plain")
    assert "ValueError: <b>1234566</b>" in text
    assert "1234567" not in text, "no variables"
    assert "GET /a?b=c" in text


async def as_starlette(scope, receive, send):
    await send({"type": START, "status": 500, "headers": []})
    await send({"type": BODY, "body": b"Internal Server Error"})
    raise KeyError("tea")


def test_a_500_before_the_exception_is_replaced():
    sent, error = ask(as_starlette)
    assert "KeyError" in shown(sent)[1]
    assert isinstance(error, KeyError)


async def deliberate(scope, receive, send):
    await send({"type": START, "status": 500, "headers": [(b"a", b"b")]})
    await send({"type": BODY, "body": b"mine"})


async def deliberate_in_parts(scope, receive, send):
    await send({"type": START, "status": 500, "headers": [(b"a", b"b")]})
    await send({"type": BODY, "body": b"mi", "more_body": True})
    await send({"type": BODY, "body": b"ne"})


async def head_alone(scope, receive, send):
    await send({"type": START, "status": 500, "headers": [(b"a", b"b")]})


@pytest.mark.parametrize("app", [deliberate, deliberate_in_parts, head_alone])
def test_a_500_without_an_exception_goes_through(app):
    sent, error = ask(app)
    assert error is None
    assert sent[0] == {"type": START, "status": 500, "headers": [(b"a", b"b")]}
    assert b"".join(each["body"] for each in sent[1:]) == (b"" if app is head_alone else b"mine")


def test_a_500_does_not_wait_for_what_the_app_does_afterwards():
    async def app(scope, receive, send):
        await deliberate(scope, receive, send)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(sent) == 2
        raise ValueError("too late")

    sent = []
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": HTML, "client": None}

    async def main():
        async def send(message):
            sent.append(message)

        with pytest.raises(ValueError, match="too late"):
            await with_error_page(app, "asgi", SETTINGS)(scope, None, send)

    asyncio.run(main())
    assert [each.get("body") for each in sent] == [None, b"mine"]


def test_what_has_begun_is_not_replaced():
    async def app(scope, receive, send):
        await send({"type": START, "status": 200, "headers": []})
        raise ValueError

    sent, error = ask(app)
    assert [each["status"] for each in sent] == [200]
    assert isinstance(error, ValueError)


@pytest.mark.parametrize("kind", [ClientDisconnected, WorkerStopping, asyncio.CancelledError])
def test_what_comes_from_outside_is_not_shown(kind):
    async def app(scope, receive, send):
        raise kind

    sent, error = ask(app)
    assert sent == []
    assert isinstance(error, kind)


def test_an_exception_that_can_not_be_shown(monkeypatch):
    def page(*_):
        raise RuntimeError

    monkeypatch.setattr(wrapper, "page", page)
    sent, error = ask(failing)
    assert sent == []
    assert isinstance(error, ValueError)
    sent, _ = ask(as_starlette)
    assert sent[1]["body"] == b"Internal Server Error"


class Angry(Exception):
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


def test_an_exception_without_a_text():
    async def app(scope, receive, send):
        value = Angry()
        raise value

    for headers in (HTML, []):
        assert "Angry" in shown(ask(app, headers)[0])[1]


def test_websockets_are_left_alone():
    async def app(scope, receive, send):
        raise ValueError(receive, send)

    async def main():
        with pytest.raises(ValueError, match="1, 2"):
            await with_error_page(app, "asgi", SETTINGS)({"type": "websocket"}, 1, 2)

    asyncio.run(main())


# -- WSGI ------------------------------------------------------------------------------------------------------------


class Server:
    """What a server does with a WSGI app."""

    def __init__(self):
        self.status = None
        self.fields = {}
        self.body = b""

    def start_response(self, status, headers, exc_info=None):
        assert self.status is None or exc_info is not None
        assert not self.body
        self.status, self.fields = status, dict(headers)
        return self.write

    def write(self, data):
        self.body += data

    def call(self, app, accept="text/html"):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a", "HTTP_ACCEPT": accept, "HTTP_COOKIE": "session=abc"}
        self.result = with_error_page(app, "wsgi", SETTINGS)(environ, self.start_response)
        try:
            for piece in self.result:
                self.write(piece)
        finally:
            close = getattr(self.result, "close", None)
            if close is not None:
                close()
        return self.result


def at_once(environ, start_response):
    raise ValueError("at once")


def after_start(environ, start_response):
    start_response("200 OK", [("a", "b")])
    raise ValueError("after the start")


def at_the_first_piece(environ, start_response):
    start_response("200 OK", [("a", "b")])
    yield b""
    raise ValueError("at the first piece")


@pytest.mark.parametrize("app", [at_once, after_start, at_the_first_piece])
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_wsgi(app, accept):
    server = Server()
    with pytest.raises(ValueError, match=app.__name__.replace("_", " ").replace("after", "after the")):
        server.call(app, accept)
    assert server.status.startswith("500 ")
    assert server.fields["content-length"] == str(len(server.body))
    assert server.fields["content-type"].startswith("text/html" if accept == "text/html" else "text/plain")
    assert b"session=abc" not in server.body
    assert b"GET /a" in server.body
    assert b"ValueError" in server.body


def within(environ, start_response):
    start_response("200 OK", [])
    yield b"begun"
    raise ValueError("within")


def written(environ, start_response):
    start_response("200 OK", [])(b"begun")
    raise ValueError("within")


@pytest.mark.parametrize("app", [within, written])
def test_a_wsgi_response_that_has_begun(app):
    server = Server()
    with pytest.raises(ValueError, match="within"):
        server.call(app)
    assert (server.status, server.body) == ("200 OK", b"begun")


def test_what_wsgi_apps_return_is_left_as_it_is(tmp_path):
    def listed(environ, start_response):
        start_response("200 OK", [])
        return [b"a"]

    path = tmp_path / "file"
    path.write_bytes(b"content")

    def wrapped(environ, start_response):
        start_response("200 OK", [])
        return FileWrapper(path.open("rb"))

    assert Server().call(listed) == [b"a"]
    assert type(Server().call(wrapped)) is FileWrapper


def test_a_generator_is_closed():
    closed = []

    class Pieces:
        def __iter__(self):
            return iter([b"a"])

        def close(self):
            closed.append(True)

    def app(environ, start_response):
        start_response("200 OK", [])
        return Pieces()

    server = Server()
    server.call(app)
    assert (server.body, closed) == (b"a", [True])


# -- apps that can't be started --------------------------------------------------------------------------------------


def test_the_page_of_an_app_that_can_not_be_imported():
    try:
        raise SyntaxError("<odd>")
    except SyntaxError as error:
        page = page_of_failure(error, SETTINGS)
    assert "The app can&#x27;t be started" in page
    assert "&lt;odd&gt;" in page
    assert "shop:app" in page


def test_the_page_of_a_lifespan_that_failed(monkeypatch):
    monkeypatch.setattr(wrapper, "_failed", [])
    assert page_of_failure(None, SETTINGS) == ""

    async def app(scope, receive, send):
        database = "nowhere"
        raise OSError(database)

    with pytest.raises(OSError, match="nowhere"):
        asyncio.run(with_error_page(app, "asgi", SETTINGS)({"type": "lifespan"}, None, None))
    assert "OSError: nowhere" in page_of_failure(None, SETTINGS)
    assert sys.exception() is None

"""snakepit.worker.page_injection: pages get the script, and everything else stays as it is."""

import asyncio
import io
from wsgiref.util import FileWrapper

import pytest

from snakepit.wire.page_script import address, tag
from snakepit.worker.page_injection import with_script

SCRIPT = address("/root", "abcd") + "1"
TAG = tag(SCRIPT)
HTML = [("Content-Type", "text/html; charset=utf-8")]
PIECES = [b"<p>one", b"", b" two</p>"]


def asgi(status, headers, pieces, method="GET", request=(), seen=None):
    """What an app's response becomes: status, headers, the chunks of the body."""
    sent = []

    async def app(scope, receive, send):
        if seen is not None:
            seen.update(scope["headers"])
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "headers": [(n.lower().encode(), v.encode()) for n, v in request]}
    asyncio.run(with_script(app, "asgi", SCRIPT)(scope, None, send))
    start, *bodies = sent
    assert [message.get("more_body", False) for message in bodies] == [True] * (len(bodies) - 1) + [False]
    fields = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], fields, b"".join(message.get("body", b"") for message in bodies)


def wsgi(status, headers, pieces, method="GET", request=(), seen=None, result=list):
    """The same for WSGI."""
    started = []

    def app(environ, start_response):
        if seen is not None:
            prefix = "HTTP_"
            seen.update({n.removeprefix(prefix).lower().replace("_", "-").encode(): v.encode()
                         for n, v in environ.items() if n.startswith(prefix)})  # fmt: skip
        start_response(f"{status} Reason", headers)
        return result(pieces)

    environ = {"REQUEST_METHOD": method} | {f"HTTP_{n.upper().replace('-', '_')}": v for n, v in request}
    body = b"".join(with_script(app, "wsgi", SCRIPT)(environ, lambda *args: started.append(args)))
    [(line, fields, _)] = started if len(started[0]) == 3 else [(*started[0], None)]
    return int(line[:3]), {name.lower(): value for name, value in fields}, body


both = pytest.mark.parametrize("respond", [asgi, wsgi])


@both
def test_a_page_ends_with_the_script(respond):
    length = ("Content-Length", str(sum(map(len, PIECES))))
    status, fields, body = respond(200, [*HTML, length, ("ETag", "x"), ("Cache-Control", "max-age=9")], PIECES)
    assert status == 200
    assert body == b"".join(PIECES) + TAG
    assert fields == {
        "cache-control": "no-store",
        "content-type": "text/html; charset=utf-8",
        "content-length": str(len(body)),
    }
    assert b'src="/root/__snakepit__/reload.js?abcd.1"' in body


@both
@pytest.mark.parametrize("status", [404, 500])
def test_so_does_one_that_tells_of_an_error(respond, status):
    assert respond(status, HTML, PIECES)[2].endswith(TAG)


@both
@pytest.mark.parametrize(
    ("status", "headers", "method", "request_headers"),
    [
        (200, [("Content-Type", "application/json")], "GET", ()),
        (200, [], "GET", ()),
        (200, [*HTML, ("Content-Encoding", "gzip")], "GET", ()),
        (206, HTML, "GET", ()),
        (304, HTML, "GET", ()),
        (204, HTML, "GET", ()),
        (200, [*HTML, ("ETag", "x")], "HEAD", ()),
        (200, HTML, "GET", [("Sec-Fetch-Dest", "empty")]),
        (200, HTML, "GET", [("Sec-Fetch-Dest", "script")]),
    ],
)
def test_what_is_left_alone(respond, status, headers, method, request_headers):
    expected = status, {name.lower(): value for name, value in headers}, b"".join(PIECES)
    assert respond(status, headers, PIECES, method, request_headers) == expected


@both
def test_the_app_does_not_hear_what_the_browser_can_decompress_or_has(respond):
    asked = [("Accept-Encoding", "gzip"), ("If-None-Match", "x"), ("If-Modified-Since", "y"), ("Accept", "z")]
    seen = {}
    respond(200, HTML, PIECES, request=asked, seen=seen)
    assert seen == {b"accept": b"z"}
    respond(200, HTML, PIECES, request=[*asked, ("Sec-Fetch-Dest", "image")], seen=seen)
    assert len(seen) == 5


@both
def test_the_nonce_of_the_policy_is_the_scripts(respond):
    policy = ("Content-Security-Policy", "default-src 'self'; script-src 'nonce-Ab+/9=' 'strict-dynamic'")
    body = respond(200, [*HTML, policy, ("Content-Length", "12")], PIECES)[2]
    assert body.endswith(tag(SCRIPT, "Ab+/9="))
    assert b'nonce="Ab+/9="' in body


@both
def test_a_wrong_response_goes_to_who_says_what_is_wrong(respond):
    assert respond(200, [*HTML, ("Content-Length", "many")], PIECES)[1]["content-length"] == "many"


def test_what_is_no_request_passes():
    got = []

    async def app(scope, receive, send):
        got.append((scope, receive, send))

    asyncio.run(with_script(app, "asgi", SCRIPT)({"type": "lifespan"}, 1, 2))
    assert got == [({"type": "lifespan"}, 1, 2)]


@pytest.mark.parametrize("headers", [None, 5, [("text", "text")], [(b"only",)]])
def test_headers_that_are_none_pass(headers):
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send(message):
        sent.append(message["headers"])

    asyncio.run(with_script(app, "asgi", SCRIPT)({"type": "http", "method": "GET", "headers": []}, None, send))
    assert sent == [headers]


def test_an_iterable_stays_one_and_is_closed():
    class Result:
        closed = False

        def __iter__(self):
            return iter(PIECES)

        def close(self):
            self.closed = True

    made = Result()

    def app(environ, start_response):
        return made

    result = with_script(app, "wsgi", SCRIPT)({"REQUEST_METHOD": "GET"}, None)
    assert list(result) == [*PIECES, b""], "it has not called start_response"
    assert not made.closed
    result.close()
    assert made.closed


FILE = b"<p>one</p><p>that was written while the page was sent"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([*HTML, ("Content-Length", "10")], b"<p>one</p>" + TAG),
        ([*HTML, ("Content-Length", "0")], TAG),
        (HTML, FILE + TAG),
        ([*HTML, ("Content-Length", "many")], FILE + TAG),
    ],
)
def test_a_file_that_is_longer_than_announced_is_cut_before_the_script(headers, body):
    def app(environ, start_response):
        start_response("200 OK", headers)
        return FileWrapper(io.BytesIO(FILE), 8)

    result = with_script(app, "wsgi", SCRIPT)({"REQUEST_METHOD": "GET"}, lambda *args: None)
    assert b"".join(result) == body


def test_a_file_that_is_no_page_stays_one():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return file

    file = FileWrapper(io.BytesIO(FILE))
    assert with_script(app, "wsgi", SCRIPT)({"REQUEST_METHOD": "GET"}, lambda *args: None) is file


def test_an_app_that_starts_late_and_writes():
    written = []

    def app(environ, start_response):
        start_response("200 OK", HTML)(b"<p>")
        yield b"</p>"

    result = with_script(app, "wsgi", SCRIPT)({"REQUEST_METHOD": "GET"}, lambda *args: written.append)
    assert list(result) == [b"</p>", TAG]
    assert written == [b"<p>"]


def test_an_error_after_the_start_replaces_the_fields():
    started = []

    def app(environ, start_response):
        start_response("200 OK", HTML)
        start_response("500 Oh", [("Content-Type", "text/plain")], (None, None, None))
        return [b"oh"]

    result = with_script(app, "wsgi", SCRIPT)({"REQUEST_METHOD": "GET"}, lambda *args: started.append(args))
    assert result == [b"oh"]
    assert started[1] == ("500 Oh", [("Content-Type", "text/plain")], (None, None, None))

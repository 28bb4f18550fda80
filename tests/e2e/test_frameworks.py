"""Real apps of real frameworks, each with what it usually does: routes, forms, templates, streaming, state."""

import http.client
import json
from urllib.parse import urlencode

import pytest
from support import PATIENCE, running

FRAMEWORKS = {
    "flask": ("frameworks.flask_app:app", "WSGI"),
    "django-wsgi": ("frameworks.django_app:application", "WSGI"),
    "django-asgi": ("frameworks.django_app:asgi", "ASGI"),
    "starlette": ("frameworks.starlette_app:app", "ASGI"),
    "quart": ("frameworks.quart_app:app", "ASGI"),
    "bottle": ("frameworks.bottle_app:app", "WSGI"),
    "falcon-wsgi": ("frameworks.falcon_app:app", "WSGI"),
    "falcon-asgi": ("frameworks.falcon_app:asgi", "ASGI"),
}


@pytest.fixture(scope="module", params=FRAMEWORKS)
def site(request):
    app, interface = FRAMEWORKS[request.param]
    with running(app) as server:
        assert f"ready: {interface}" in server.err
        yield server
        assert server.stop() == 0
        assert "Traceback" not in server.err, server.err


@pytest.fixture
def connection(site):
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE)
    yield connection
    connection.close()


def call(connection, method, path, body=None, headers=None):
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    return response.status, response.read()


def test_get(connection):
    for _ in range(5):
        assert call(connection, "GET", "/hello/w%C3%B6rld?greeting=hi") == (200, "hi wörld".encode())


def test_form(connection):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for size in (1, 100_000):
        text = "ü" * size
        status, body = call(connection, "POST", "/form", urlencode({"text": text}), form)
        assert (status, json.loads(body)) == (200, {"length": size})


def test_stream(connection):
    assert call(connection, "GET", "/stream") == (200, b"".join(b"line %d\n" % n for n in range(100)))


def test_unknown_path(connection):
    assert call(connection, "GET", "/nowhere")[0] == 404


def test_head(connection):
    assert call(connection, "HEAD", "/hello/x?greeting=hi") == (200, b"")


HEADS = {
    "length": b"Content-Length: 1000000\r\n\r\n" + b"x" * 300_000,
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % 300_000 + b"x" * 300_000,
}
QUIET = {"flask": True, "bottle": True, "django-wsgi": True, "falcon-wsgi": False}
"""The WSGI ones, and whether they take an upload that is broken off for what it is."""


@pytest.mark.parametrize("parts", [(), ("--http", "h11")], ids=["installed", "h11"])
@pytest.mark.parametrize("framework", QUIET)
def test_an_upload_that_is_broken_off(framework, parts):
    framings = ["length"] if framework in ("django-wsgi", "falcon-wsgi") else HEADS  # they read no chunked ones
    # otherwise the app would not hear of it before its body is there
    with running(FRAMEWORKS[framework][0], *parts, "--buffer-request-body", "0", workers=1) as server:
        for times, framing in enumerate(framings, start=1):
            with server.connect() as upload:
                upload.sendall(b"POST /upload HTTP/1.1\r\nHost: test\r\n" + HEADS[framing])
                server.wait_logged("reading", times)
        assert server.stop() == 0
        assert "POST /upload" not in server.out  # nothing was answered, for a part taken for the whole
        if QUIET[framework]:
            assert "Traceback" not in server.err + server.out
            assert "ERROR" not in server.err + server.out
        else:
            assert server.err.count("Traceback") == len(framings)
            assert "failed in worker" not in server.err  # that is the framework's own log

"""snakepit.worker.request_ids: where apps find the ID of a request."""

import asyncio
import contextvars

import pytest

from snakepit.worker.request_ids import KEY, current, with_request_ids


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_asgi(kind):
    found = []

    async def app(scope, receive, send):
        found.append((scope.get("extensions"), current.get()))

    async def main():
        shared = {"tls": {}}
        wrapped = with_request_ids(app, "asgi")
        await wrapped({"type": "lifespan"}, None, None)
        await wrapped({"type": kind, "headers": [(b"x-request-id", b"abc")], "extensions": shared}, None, None)
        await wrapped({"type": kind, "headers": [(b"a", b"b"), (b"x-request-id", b"def")]}, None, None)
        assert shared == {"tls": {}}

    asyncio.run(main())
    assert found == [(None, ""), ({"tls": {}, KEY: {"id": "abc"}}, "abc"), ({KEY: {"id": "def"}}, "def")]


def test_wsgi():
    def app(environ, start_response):
        return [environ[KEY].encode(), current.get().encode()]

    def call():
        return with_request_ids(app, "wsgi")({"HTTP_X_REQUEST_ID": "abc"}, None)

    assert contextvars.copy_context().run(call) == [b"abc", b"abc"]

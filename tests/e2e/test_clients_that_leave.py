"""Clients that leave do not disturb the app: unread streams end, the app finishes its work, and the log has no line
about it."""

import json
import re
from contextlib import ExitStack

import pytest
from support import Client, running, wait_until

CLIENTS = 10
APPS = ["raw", "restless", "wsgi", "starlette", "fastapi", "quart", "django", "falcon", "litestar"]
ABOVE_INFO = re.compile(
    r"^(?!.*refuses to run in several).*(?:Traceback| (?:WARNING|ERROR|CRITICAL) ).*$", re.MULTILINE
)


@pytest.fixture(scope="module", params=APPS)
def site(request):
    factory = [] if request.param in ("raw", "restless", "wsgi") else ["--factory"]
    with running(f"leaving:{request.param}", *factory, "--threads", str(CLIENTS + 1), workers=1) as server:
        server.name = request.param
        yield server
        assert server.stop() == 0
        assert not ABOVE_INFO.findall(server.err), server.err


def told(server):
    return json.loads(server.get("/running").body)


def test_endless_streams_end(site):
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(site)) for _ in range(CLIENTS)]
        for client in clients:
            client.send(b"GET /stream HTTP/1.1\r\nHost: t\r\n\r\n")
        wait_until(lambda: told(site)["running"] == CLIENTS, "all streams go on")
    wait_until(lambda: told(site)["running"] == 0, "all streams have ended")


@pytest.fixture
def shop():
    with running("leaving:fastapi", "--factory", workers=1) as server:
        yield server
        assert server.stop() == 0
        assert not ABOVE_INFO.findall(server.err), server.err


def test_what_was_ordered_is_committed_and_mailed(shop):
    with Client(shop) as client:
        client.send(b"GET /order HTTP/1.1\r\nHost: t\r\n\r\n")
        shop.get("/running")
    wait_until(lambda: sorted(told(shop)["done"]) == ["committed", "mailed"], "all is done")


def test_an_upload_that_is_broken_off(shop):
    with Client(shop) as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nabc")
        wait_until(lambda: told(shop)["running"] == 1, "it has begun")
    wait_until(lambda: told(shop)["done"] == ["upload is over"], "it has ended")

"""Several apps in one server: what one of them has too much of does not concern the others."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from support import RUNTIME, Client, Held, Load, running
from waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(RUNTIME == "thread", reason="several apps can't share the main interpreter")

BUSY = """
import os
import threading


def app(environ, start_response):
    if environ["PATH_INFO"] == "/hold":
        while not os.path.exists(environ["QUERY_STRING"]):
            threading.Event().wait(0.01)
    else:
        for _ in range(20_000):
            pass
    start_response("200 OK", [("Content-Length", "4")])
    return [b"busy"]
"""

QUIET = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"quiet"})
"""

APPS = """
interpreters = 1
lifespan = "off"

[[apps]]
app = "quiet:app"

[[apps]]
path = "/busy"
app = "busy:app"
threads = 1
"""


@pytest.fixture
def site(tmp_path):
    """A folder with two apps."""
    for name, text in {"busy.py": BUSY, "quiet.py": QUIET, "snakepit.toml": APPS}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_during_a_flood_of_one_app_the_other_answers(site):
    with running(cwd=site, workers=1) as server:
        with Load(server, 16, "/busy/") as flood, Client(server) as client:
            flood.wait_for_more(50)
            for _ in range(10):
                before = flood.answers
                assert [client.request("/").body for _ in range(10)] == [b"quiet"] * 10
                wait_until(lambda before=before: flood.answers > before or flood.troubles, "the flood goes on")
        assert flood.troubles == []
        assert server.stop() == 0


@pytest.mark.parametrize("limit", ["limit-waiting = 2", "limit-concurrency = 3"])
def test_refusals_concern_the_flooded_app_alone(site, limit):
    (site / "snakepit.toml").write_text(f"{APPS}{limit}\n", encoding="utf-8")
    held = Held(site)
    hold = held.request("/busy/hold").replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    with running(cwd=site, workers=1) as server, ThreadPoolExecutor(3) as pool:
        try:
            accepted = [pool.submit(server.exchange, hold) for _ in range(3)]
            wait_until(lambda: _counts(server)["/busy"] == (3, 2), "one request is served, and two wait")
            with Client(server) as busy, Client(server) as quiet:
                for _ in range(10):
                    refused = busy.request("/busy/")
                    assert (refused.status, "retry-after" in refused.headers) == (503, True)
                    assert quiet.request("/").body == b"quiet"
                assert _counts(server) == {"/": (0, 0), "/busy": (3, 2)}
        finally:
            held.release()
        assert [each.result(PATIENCE).startswith(b"HTTP/1.1 200 ") for each in accepted] == [True] * 3
        with Client(server) as busy:
            assert busy.request("/busy/").body == b"busy"


def _counts(server):
    """Return the requests in progress and those that wait, by app."""
    apps = json.loads(server.command("apps", "--json").stdout)
    return {app["name"]: (app["in_progress"], app["waiting"]) for app in apps}

"""Health checks: whether the server runs, and whether each app has a worker that reacts."""

import json
import time
from contextlib import contextmanager

import pytest
from support import ONE_RUNTIME, RUNTIME, Client, running, wait_until, workers_of

TOLD = 2.0
"""Seconds within which a hang has to be told."""


@contextmanager
def holding(server, held, path, count):
    """So many requests that are held, each on a connection of its own."""
    clients = [Client(server) for _ in range(count)]
    for number, client in enumerate(clients, 1):
        client.send(held.request(path))
        server.wait_logged("holding", times=number)
    try:
        yield
    finally:
        held.release()
        for client in clients:
            assert client.read().status == 200
            client.close()


def assert_stays_ready(server):
    """For longer than it takes until workers are asked, and a hang is told."""
    end = time.monotonic() + 1.5 * TOLD
    while time.monotonic() < end:
        assert server.get("/readyz").status == 200


def readiness(server, path="/readyz"):
    answer = server.get(path, "Accept: application/json")
    assert answer.headers["content-type"] == "application/json"
    found = json.loads(answer.body)
    assert (answer.status == 200) is (found["status"] == "ready")
    return answer.status, found


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_a_server_is_alive_and_ready(app, parts):
    with running(app, *parts, "--health") as server:
        for path, text in (("/livez", "alive\n"), ("/readyz", "ready\n"), ("/readyz?verbose", "ready\n")):
            answer = server.get(path)
            assert (answer.status, answer.text) == (200, text)
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"
            assert answer.headers["cache-control"] == "no-store"
        answer = server.get("/readyz", method="HEAD")
        assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "6")
        assert server.get("/readyz", method="POST").status == 405
        assert json.loads(server.get("/livez", "Accept: text/html, application/json;q=0.5").body) == {"status": "alive"}
        assert readiness(server) == (
            200,
            {"status": "ready", "reason": "", "apps": [{"name": app, "ready": True, "reason": ""}]},
        )
        assert server.get("/one-body?3").body == b"xxx", "the rest is the app's"
        assert server.stop() == 0


def test_paths_of_ones_own_and_none_without_the_option(asgi):
    assert asgi.get("/readyz").status == 500, "it is the app's, which has no such path"
    with running("behaviors:app", "--readyz", "/ready", "--livez", "/alive", workers=1) as server:
        assert [server.get(path).status for path in ("/ready", "/alive", "/readyz")] == [200, 200, 500]
    with running("behaviors:app", "--readyz", "/ready", workers=1) as server:
        assert [server.get(path).status for path in ("/ready", "/livez")] == [200, 500]


def test_all_workers_are_busy_and_react(held):
    options = ("--health", "--limit-worker-concurrency", "1")
    with running("behaviors:app", *options) as server, holding(server, held, "/hold", workers_of(2)):
        assert_stays_ready(server)


def test_a_thread_that_is_free_is_enough(held):
    options = ("--health", "--threads", "2")
    with running("wsgi_behaviors:app", *options, workers=1) as server, holding(server, held, "/hold", 1):
        assert_stays_ready(server)


@pytest.mark.parametrize(
    ("app", "path", "options"),
    [("behaviors:app", "/hold-loop", ()), ("wsgi_behaviors:app", "/hold", ("--threads", "1"))],
)
def test_no_worker_reacts(app, path, options, held):
    with running(app, "--health", *options) as server:
        with holding(server, held, path, workers_of(2)):
            began = time.monotonic()
            wait_until(lambda: server.get("/readyz").status == 503, "the hang is told")
            assert time.monotonic() - began < TOLD
            assert server.get("/readyz").text == f"not ready\n{app}: no worker reacts\n"
            assert server.get("/livez").status == 200
            assert readiness(server) == (
                503,
                {
                    "status": "not ready",
                    "reason": "",
                    "apps": [{"name": app, "ready": False, "reason": "no worker reacts"}],
                },
            )
        assert server.get("/readyz").status == 200


@pytest.mark.skipif(RUNTIME == "thread", reason="the main interpreter has one worker")
def test_one_worker_that_reacts_is_enough(held):
    with running("behaviors:app", "--health") as server, holding(server, held, "/hold-loop", 1):
        assert_stays_ready(server)


def test_many_who_ask_at_once_get_the_same_answer(held):
    with running("behaviors:app", "--health", workers=1) as server:
        with holding(server, held, "/hold-loop", 1):
            wait_until(lambda: server.get("/readyz").status == 503, "the hang is told")
            clients = [Client(server) for _ in range(20)]
            began = time.monotonic()
            for client in clients:
                client.send(b"GET /readyz HTTP/1.1\r\nHost: t\r\n\r\n")
            clients.pop().close()  # does not wait for its answer
            assert [client.read().status for client in clients] == [503] * 19
            assert time.monotonic() - began < TOLD
            for client in clients:
                client.close()
        assert server.get("/readyz").status == 200
        assert "Traceback" not in server.err


@ONE_RUNTIME
def test_an_app_that_can_not_start_and_one_that_was_stopped(tmp_path):
    (tmp_path / "broken.py").write_text("import this_is_not_there\n")
    (tmp_path / "site_app.py").write_text("async def app(scope, receive, send): raise RuntimeError\n")
    mounts = ("--mount", "/=site_app:app", "--mount", "/shop=broken:app")
    with running(*mounts, "--health", workers=1, cwd=tmp_path) as server:
        assert server.get("/readyz").text == "not ready\n/shop: it can't be started\n"
        assert "this_is_not_there" not in server.get("/readyz").text, "strangers may ask"
        status, found = readiness(server)
        assert (status, [app["ready"] for app in found["apps"]]) == (503, [True, False])
        assert server.get("/livez").status == 200
        assert server.command("apps", "stop", "/shop").returncode == 0
        assert server.get("/readyz").text == "ready\n", "it is not to run"
        assert server.command("apps", "stop", "/").returncode == 0
        assert server.get("/readyz").text == "not ready\nevery app is stopped\n"
        assert server.command("apps", "start", "/").returncode == 0
        assert server.get("/readyz").text == "ready\n"


@ONE_RUNTIME
def test_apps_of_placeholders_come_and_go_with_requests(tmp_path):
    for name, code in (
        ("good", "async def app(scope, receive, send): raise RuntimeError\n"),
        ("bad", "import nothing\n"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "main.py").write_text(code)
    options = ("--mount", "/{tenant}=main:app", "--app-dir", str(tmp_path / "{tenant}"))
    with running(*options, "--health", workers=0, cwd=tmp_path) as server:
        assert server.get("/readyz").text == "ready\n"
        assert server.get("/bad/").status == 502
        assert server.get("/readyz").text == "ready\n"


def test_a_server_that_stops_is_not_ready(held):
    with running("behaviors:app", "--health", workers=1) as server:
        with Client(server) as client, Client(server) as late:
            client.send(held.request())
            server.wait_logged("holding")
            late.send(b"GET /readyz HTTP/1.1\r\n")
            assert server.get("/livez").status == 200  # so the beginning of the other request has been read
            server.process.terminate()
            server.wait_logged("Stopping")
            late.send(b"Host: t\r\n\r\n")
            answer = late.read()
            assert (answer.status, answer.text) == (503, "not ready\nthe server is stopping\n")
            held.release()
            assert client.read().status == 200
        assert server.wait_ended() == 0

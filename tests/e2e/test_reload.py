"""Workers come and go while clients keep their connections: signals, recycling, --reload."""

import os
import signal
import sys

import pytest
from support import BROKEN, NEEDS_TWO_WORKERS, RUNTIME, Client, Load, Server, reloading, running, wait_until

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

pytestmark = NEEDS_TWO_WORKERS  # --runtime thread replaces nothing

ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"{body}"}})
"""

WSGI = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", str(len(b"{body}")))])
    return [b"{body}"]
"""


def workers_log(server):
    return server.err.count(" ready:")


@POSIX
@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_sighup_under_load_fails_no_request_and_closes_no_connection(app):
    with running(app, "--no-access-log", "--timeout-keep-alive", "60") as server:
        with Load(server) as load:
            for round_ in range(1, 4):
                server.process.send_signal(signal.SIGHUP)
                server.wait_logged("Reloaded", times=round_)
                load.wait_for_more()
        assert load.troubles == []
        assert workers_log(server) == 2 * 4
        assert server.stop() == 0
        assert "Traceback" not in server.err


@POSIX
def test_sighup_again_and_again(tmp_path):
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(0.3)\n" + ASGI.format(body="1"), encoding="utf-8")
    server = Server("slow:app", "--port", "0", "-n", "2", cwd=tmp_path)
    try:
        server.wait_listening(0)
        server.process.send_signal(signal.SIGHUP)
        server.wait_listening(2)
        for _ in range(3):
            server.process.send_signal(signal.SIGHUP)
        server.wait_logged("Reloaded")
        assert server.get("/").body == b"1"
        assert server.stop() == 0
        assert "Traceback" not in server.err
    finally:
        server.kill()


@POSIX
def test_sighup_with_a_broken_app_keeps_the_old_one(tmp_path):
    app = tmp_path / "site_app.py"
    app.write_text(WSGI.format(body="good"), encoding="utf-8")
    with running("site_app:app", cwd=tmp_path) as server, Client(server) as client:
        app.write_text(BROKEN, encoding="utf-8")
        server.process.send_signal(signal.SIGHUP)
        server.wait_logged("Not reloaded; still serving the previous version")
        assert "SyntaxError" in server.err
        assert client.request("/").body == b"good"
        app.write_text(WSGI.format(body="better, and longer"), encoding="utf-8")
        server.process.send_signal(signal.SIGHUP)
        server.wait_logged("Reloaded")
        assert client.request("/").body == b"better, and longer"


@POSIX
def test_one_worker_more_and_one_less_under_load():
    with running("behaviors:app", "--no-access-log", "--timeout-keep-alive", "60", workers=1) as server:
        with Load(server) as load:
            server.process.send_signal(signal.SIGTTIN)
            server.wait_logged("Workers: 2, were 1")
            server.wait_logged("Worker 2 ready")
            load.wait_for_more()
            server.process.send_signal(signal.SIGTTOU)
            server.wait_logged("Workers: 1, were 2")
            if RUNTIME == "process":
                wait_until(lambda: len(server.children()) == 1, "one process is left")
            server.process.send_signal(signal.SIGTTOU)
            server.wait_logged("Workers: 1, were 1")
            load.wait_for_more()
        assert load.troubles == []
        assert server.stop() == 0


@POSIX
def test_a_retiring_worker_finishes_a_slow_request(held):
    with running("behaviors:app", workers=1) as server, Client(server) as slow, Client(server) as other:
        slow.send(held.request())
        server.wait_logged("holding")
        server.process.send_signal(signal.SIGHUP)
        server.wait_logged("Reloaded")
        assert other.request("/").status == 200
        held.release()
        assert slow.read().status == 200
        assert slow.request("/").status == 200, "its connection lives on"


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_recycling_under_load_loses_nothing(app):
    options = ("--limit-max-requests", "100", "--limit-max-requests-jitter", "50", "--timeout-keep-alive", "60")
    with running(app, "--no-access-log", *options) as server:
        with Load(server) as load:
            wait_until(lambda: workers_log(server) >= 8 or load.troubles, "workers are replaced")
        assert load.troubles == []
        assert server.get("/").status == 200


@POSIX
def test_in_a_thread_signals_change_nothing():
    with running("behaviors:app", "--runtime", "thread", workers=1) as server, Client(server) as client:
        for times, number in enumerate((signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU), start=1):
            server.process.send_signal(number)
            server.wait_logged("whose modules are imported once: nothing changes", times)
            assert client.request("/").status == 200
        assert workers_log(server) == 1
        assert server.stop() == 0


@POSIX
def test_sighup_while_workers_start_changes_nothing(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import os, time\nfrom pathlib import Path\n"
        "try:\n    Path('first').mkdir()\nexcept FileExistsError:\n"
        "    while not Path('go').exists():\n        time.sleep(0.01)\n" + ASGI.format(body="1"),
        encoding="utf-8",
    )
    server = Server("slow:app", "--port", "0", "-n", "2", cwd=tmp_path)
    try:
        server.wait_listening(1)
        server.process.send_signal(signal.SIGHUP)
        server.wait_logged("Workers are still starting: nothing changes")
        (tmp_path / "go").touch()
        server.wait_listening(2)
        assert server.get("/").body == b"1"
    finally:
        server.kill()


# -- --reload --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [ASGI, WSGI], ids=["asgi", "wsgi"])
def test_what_is_saved_answers_on_the_same_connection(site_app, source):
    site_app.save(source.format(body="1"))
    with reloading(site_app.folder, "--timeout-keep-alive", "60") as server, Client(server) as client:
        assert client.request("/").body == b"1"
        for version in (b"2", b"3", b"4"):
            site_app.save(source.format(body=version.decode()))  # of the same size, within a second
            wait_until(lambda: client.request("/").body == version, "the new version answers")  # noqa: B023
        assert "site_app.py" in server.err.partition("Changed: ")[2]
        assert server.stop() == 0
        assert "Traceback" not in server.err


def test_a_broken_version_changes_nothing(site_app):
    site_app.save(ASGI.format(body="good"))
    with reloading(site_app.folder, "--timeout-keep-alive", "60") as server, Client(server) as client:
        site_app.save(BROKEN)
        server.wait_logged("Not reloaded; still serving the previous version")
        assert client.request("/").body == b"good"
        assert server.err.count("SyntaxError") == 1, "told once, not by each worker"
        site_app.save(ASGI.format(body="mended"))
        wait_until(lambda: client.request("/").body == b"mended", "the new version answers")


def test_where_no_version_works_yet_every_request_shows_why(site_app):
    site_app.save(BROKEN)
    with reloading(site_app.folder, "--timeout-keep-alive", "60", ready=0) as server, Client(server) as client:
        answer = client.request("/")
        assert answer.status == 500
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "SyntaxError" in answer.text
        assert "&lt;script&gt;" in answer.text
        assert "<script>" not in answer.text
        assert "tries again when a file changes" in answer.text
        assert client.request("/", method="POST", body=b"x" * 200_000).status == 500
        site_app.save(BROKEN.replace("script", "other"))
        wait_until(lambda: "&lt;other&gt;" in client.request("/").text, "the page shows the new error")
        site_app.save(ASGI.format(body="good"))
        wait_until(lambda: client.request("/").body == b"good", "the mended version answers")
        site_app.save(BROKEN)
        server.wait_logged("Not reloaded; still serving the previous version")
        assert client.request("/").body == b"good"
        assert server.stop() == 0


def test_a_server_with_a_broken_app_stops(site_app):
    site_app.save(BROKEN)
    with reloading(site_app.folder, ready=0) as server:
        assert server.get("/").status == 500
        assert server.stop() == 0


def test_an_import_that_hangs_is_given_up_for_the_next_version(site_app):
    site_app.save(ASGI.format(body="1"))
    with reloading(site_app.folder, "--timeout-keep-alive", "60") as server, Client(server) as client:
        site_app.save("import sys, time\nprint('hangs', file=sys.stderr, flush=True)\ntime.sleep(5)\n")
        server.wait_logged("hangs")
        site_app.save(ASGI.format(body="2"))
        wait_until(lambda: client.request("/").body == b"2", "the new version answers")


def test_what_is_watched(site_app):
    site_app.save(ASGI.format(body="1"))
    for name in (".hidden", "__pycache__", "made", "site"):
        (site_app.folder / name).mkdir()
    (site_app.folder / "made" / "pyvenv.cfg").touch()
    other = ("--reload-include", "*.py", "--reload-include", "*.html", "--reload-exclude", "gen_*")
    with reloading(site_app.folder, *other) as server:
        for name in (".hidden/a.py", "__pycache__/a.py", "made/a.py", "site/a.txt", "site/gen_a.py"):
            (site_app.folder / name).write_text("skipped", encoding="utf-8")
        (site_app.folder / "site" / "a.html").write_text("<p>", encoding="utf-8")
        server.wait_logged("Reloaded in")
        changed = [line for line in server.err.splitlines() if "Changed: " in line]
        assert [line.partition("Changed: ")[2] for line in changed] == [os.path.join("site", "a.html") + "; reloading"]


def test_what_has_changed_is_named_from_where_the_server_was_started(site_app):
    away = "import os\nos.chdir('/')\n" + ASGI
    site_app.save(away.format(body="1"))
    with reloading(site_app.folder) as server:
        assert server.get("/").body == b"1"
        site_app.save(away.format(body="2"))
        server.wait_logged("Changed: site_app.py; reloading")


def test_without_watchfiles(site_app, tmp_path):
    site_app.save(ASGI.format(body="1"))
    (tmp_path / "watchfiles.py").write_text("raise ImportError('hidden')", encoding="utf-8")
    server = Server("site_app:app", "--reload", "--port", "0", cwd=tmp_path)
    try:
        assert server.wait_ended() == 2
        assert server.err.strip() == "Error: --reload needs the package watchfiles: hidden; pip install watchfiles"
    finally:
        server.kill()


def test_in_a_thread_there_is_no_reload():
    server = Server("behaviors:app", "--reload", "--runtime", "thread", "--port", "0")
    try:
        assert server.wait_ended() == 2
        assert server.err == "Error: reload can't be used with runtime thread, where modules are imported once\n"
    finally:
        server.kill()

"""snakepit events, with real servers: what is told of reloads, crashes, refusals and restarts, also as it happens."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from support import NEEDS_TWO_WORKERS, RUNTIME, Client, Server, running, wait_until

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
SUPERVISED = pytest.mark.skipif(RUNTIME == "thread", reason="has no supervisor")

APP = """
import os, pathlib, time

if pathlib.Path("broken").exists():
    raise RuntimeError("this version is broken")


def app(environ, start_response):
    if environ["PATH_INFO"] == "/die":
        os._exit(7)
    while environ["PATH_INFO"] == "/hold" and not pathlib.Path("go").exists():
        time.sleep(0.01)
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.fixture
def site(tmp_path):
    (tmp_path / "site_app.py").write_text(APP, encoding="utf-8")
    return tmp_path


def serving(site, *options, workers=1):
    return running("site_app:app", "--no-access-log", *options, workers=workers, cwd=site)


def told(server, *options):
    done = server.command("events", "--json", *options)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def of(events, *kinds):
    return [(event["kind"], event["reason"], event["worker"]) for event in events if event["kind"] in kinds]


def eventually(server, kind, count=1):
    wait_until(lambda: sum(event["kind"] == kind for event in told(server)) >= count, f"{kind} is told")
    return [event for event in told(server) if event["kind"] == kind]


class Follower:
    """`snakepit events --follow`, and what it has printed."""

    def __init__(self, server, *options):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "snakepit", "events", "--follow", *options],
            cwd=server.cwd, env=server.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            encoding="utf-8", creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )  # fmt: skip
        self.lines = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        self.process.kill()
        self.process.wait()
        self._thread.join()
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line)

    def wait_for(self, text, count=1):
        wait_until(lambda: sum(text in line for line in self.lines) >= count, f"{text!r} is printed")

    def ended(self, patience):
        self.process.wait(patience)
        self._thread.join()
        return self.process.returncode, self.process.stderr.read()


def test_the_start(site):
    with serving(site) as server:
        found = told(server)
        assert [event["kind"] for event in found][:1] == ["start"]
        assert {"start", "worker-ready", "listening"} <= {event["kind"] for event in found}
        assert [event["number"] for event in found] == list(range(1, len(found) + 1))
        assert f"as process {server.pid}, with 1 {RUNTIME}" in found[0]["text"]
        assert (found[0]["app"], found[1]["app"]) == (None, "site_app:app")
        done = server.command("events", "-n", "1")
        assert (done.returncode, done.stdout.count("\n")) == (0, 1)
        assert told(server, "--since", "1h") == found
        assert told(server, "--since", "2999-01-01") == []
        assert server.command("events", "--since", "2999-01-01").stdout == "No events\n"
        done = server.command("events", "--since", "tomorrow")
        assert (done.returncode, done.stdout) == (2, "")
        assert "since: 'tomorrow' is no moment" in done.stderr


@NEEDS_TWO_WORKERS
def test_who_asked_for_a_reload_and_what_came_of_it(site):
    with serving(site, workers=2) as server:
        server.wait_listening(2)
        assert server.command("reload").returncode == 0
        kinds = "reload", "reloaded", "not-reloaded"
        assert of(told(server), *kinds) == [("reload", "command", None), ("reloaded", "command", None)]
        (site / "broken").touch()
        assert server.command("reload").returncode == 1
        failed = [event for event in told(server) if event["kind"] in ("not-reloaded", "worker-failed")]
        assert of(failed, "worker-failed", "not-reloaded") == [
            ("worker-failed", "import", 1), ("not-reloaded", "command", None),
        ]  # fmt: skip
        assert all(event["text"].endswith("RuntimeError: this version is broken") for event in failed)
        assert server.command("scale", "1").returncode == 0
        assert of(told(server), "scaled") == [("scaled", "command", None)]
        lately = server.command("status").stdout
        assert "Workers: 1, were 2, by a command" in lately
        assert "Load " in lately


@POSIX
@NEEDS_TWO_WORKERS
def test_a_signal(site):
    with serving(site) as server:
        server.process.send_signal(signal.SIGHUP)
        eventually(server, "reloaded")
        assert of(told(server), "reload", "reloaded") == [("reload", "signal", None), ("reloaded", "signal", None)]


def test_a_worker_that_dies(site):
    with serving(site, "--runtime", "process", workers=2) as server:
        server.wait_logged(" ready:", 2)
        assert server.get("/die").status == 500
        [lost] = eventually(server, "worker-lost")
        assert lost["reason"] == "ended"
        assert lost["level"] == "error"
        assert "exited with status 7" in lost["text"]
        eventually(server, "worker-ready", 3)
        found = json.loads(server.command("status", "--json").stdout)
        assert found["verdict"]["level"] == "well"
        assert "worker-lost" in [event["kind"] for event in found["events"]]
        assert found["load"]["busy"] >= 0.0


def test_a_worker_that_is_replaced(site):
    with serving(site, "--runtime", "process", "--limit-max-requests", "2") as server:
        for _ in range(2):
            assert server.get("/").status == 200
        [replaced] = eventually(server, "worker-replaced")
        assert (replaced["reason"], replaced["worker"], replaced["app"]) == ("requests", 1, "site_app:app")


def test_refusals_are_summed_up(site):
    options = "--threads", "1", "--limit-concurrency", "1"
    with serving(site, *options) as server, Client(server) as held:
        held.send(b"GET /hold HTTP/1.1\r\nHost: test\r\n\r\n")
        wait_until(lambda: json.loads(server.command("status", "--json").stdout)["in_progress"] == 1, "one is served")
        for _ in range(12):
            assert server.get("/").status == 503
        (site / "go").touch()
        assert held.read().status == 200
        [refused] = [event for event in told(server) if event["kind"] == "refused"]
        assert (refused["count"], refused["reason"], refused["app"]) == (12, "limit-concurrency", "site_app:app")
        assert refused["since"] <= refused["time"]
        assert refused["text"] == "12 requests refused: too many requests at once (--limit-concurrency)"
        assert "(--limit-concurrency) (since " in server.command("events").stdout


def test_a_request_that_hangs(site):
    with serving(site, "--timeout-request", "1") as server:
        assert server.get("/hold?secret").status == 504
        [interrupted] = [event for event in told(server) if event["kind"] == "interrupted"]
        assert interrupted["reason"] == "timeout-request"
        assert interrupted["text"] == "GET /hold in worker 1 is interrupted: no response after 1 s"
        (site / "go").touch()


@NEEDS_TWO_WORKERS
def test_following_until_the_server_stops(site):
    with serving(site) as server, Follower(server) as text, Follower(server, "--json") as as_json:
        for follower in (text, as_json):
            follower.wait_for("Listening on")
        assert server.command("reload").returncode == 0
        for follower in (text, as_json):
            follower.wait_for("Reloaded 1 worker")
        assert server.command("stop").returncode == 0
        for follower in (text, as_json):
            assert follower.ended(30) == (0, "The server has stopped\n")
            assert any("Stopping by a command" in line for line in follower.lines)
        assert [json.loads(line)["kind"] for line in as_json.lines[:1]] == ["start"]


@POSIX
def test_following_until_ctrl_c(site):
    with serving(site) as server, Follower(server) as follower:
        follower.wait_for("Listening on")
        follower.process.send_signal(signal.SIGINT)
        assert follower.ended(30) == (0, "")


@POSIX
@SUPERVISED
def test_following_a_server_that_is_killed_and_started_again(site):
    with serving(site, "--log-format", "json") as server, Follower(server) as follower:
        follower.wait_for("Listening on")
        [pid] = [json.loads(line)["pid"] for line in [server.command("status", "--json").stdout.replace("\n", "")]]
        os.kill(pid, signal.SIGKILL)
        follower.wait_for("restarted", 1)
        follower.wait_for("Listening on", 2)
        assert any(f"in place of one that died: process {pid} was ended by SIGKILL" in line for line in follower.lines)
        [said] = [json.loads(line) for line in server.err.splitlines() if '"snakepit.supervisor"' in line]
        assert said["level"] == "ERROR"
        assert said["message"].startswith(f"The server process {pid} was ended by SIGKILL; another one starts now")


@POSIX
@SUPERVISED
def test_following_a_hand_over(site):
    with serving(site) as server, Follower(server) as follower:
        follower.wait_for("Listening on")
        assert server.command("upgrade").returncode == 0
        follower.wait_for("Handed over to process")
        follower.wait_for("Listening on", 2)
        assert of(told(server), "start") == [("start", "hand-over", None)]
        assert server.command("stop").returncode == 0
        assert follower.ended(30) == (0, "The server has stopped\n")


@NEEDS_TWO_WORKERS
def test_apps_that_come_and_go_and_fail(site):
    mounted = "/{tenant}=site_app:app", "/broken=nothing:app", "/good=site_app:app"
    mounts = [argument for mount in mounted for argument in ("--mount", mount)]
    server = Server(*mounts, "--idle-timeout", "1", "--port", "0", "--no-access-log", cwd=site)
    try:
        server.wait_logged("Listening on")
        assert server.get("/one/").status == 200
        eventually(server, "app-retired")
        found = told(server)
        assert [event["app"] for event in found if event["kind"] == "app-started"] == ["/good", "/one"]
        assert [event["app"] for event in found if event["kind"] == "app-retired"] == ["/one"]
        [failed] = [event for event in found if event["kind"] == "app-failed"]
        assert failed["app"] == "/broken"
        assert "No module named 'nothing'" in failed["text"]
    finally:
        server.kill()

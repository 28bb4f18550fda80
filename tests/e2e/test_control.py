"""snakepit status, reload, scale, stop and upgrade: the real commands, for the real server."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import (
    NEEDS_TWO_WORKERS,
    PATIENCE,
    RUNTIME,
    Client,
    Server,
    alone,
    run_command,
    running,
    wait_until,
    workers_of,
)

import snakepit

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and modes")

VERSION = """
import asyncio, os, time
text = open("version").read()
while text == "slow" and not os.path.exists("go"):
    time.sleep(0.01)
if text == "broken":
    raise RuntimeError("this version is broken")


def app(environ, start_response):
    while environ["PATH_INFO"] == "/wait" and not os.path.exists("go"):
        time.sleep(0.01)
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text.encode()]


async def asgi(scope, receive, send):
    if scope["type"] == "http":
        while scope["path"] == "/wait" and not os.path.exists("go"):
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})
"""

WAIT = b"GET /wait HTTP/1.1\r\nHost: test\r\n\r\n"


@pytest.fixture
def site(tmp_path):
    """An app that answers with its version; a function sets it for the workers that start from then on."""
    (tmp_path / "site_app.py").write_text(VERSION, encoding="utf-8")
    (tmp_path / "version").write_text("1")
    return tmp_path


@pytest.fixture(params=["unix", "port"])
def way(request, tmp_path):
    """Both ways to reach a server: the path of a Unix socket can be too long."""
    if request.param == "unix":
        return {}
    deep = tmp_path / ("d" * 100)
    deep.mkdir(mode=0o700)
    return {"XDG_RUNTIME_DIR": str(deep)}


def status_of(server, *arguments):
    done = server.command("status", "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def record_of(server):
    [record] = (Path(server.env["XDG_RUNTIME_DIR"]) / "snakepit").glob("*.json")
    return json.loads(record.read_text())


def said(done):
    """What a command printed, where it did what it was to do."""
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


# -- status ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_status(app, parts, way):
    with running(app, *parts, "--no-access-log", env=way) as server, Client(server) as client:
        for _ in range(5):
            client.request("/")
        found = status_of(server)
        assert (found["name"], found["state"], found["pid"]) == (None, "serving", server.pid)
        assert (found["app"], found["address"], found["runtime"]) == (app, server.address, RUNTIME)
        assert found["version"] == snakepit.__version__
        assert found["python"] == sys.version.split()[0]
        assert (found["connections"], found["open_connections"], found["requests"]) == (1, 1, 5)
        assert (found["in_progress"], found["waiting"], found["restarts"]) == (0, 0, 0)
        assert 0 < found["uptime"] < 1000
        assert found["memory"] > 2**20 if sys.platform == "linux" else True
        assert [worker["number"] for worker in found["workers"]] == [1, 2][: workers_of(2)]
        assert {worker["state"] for worker in found["workers"]} == {"ready"}
        assert {worker["interface"] for worker in found["workers"]} == {"wsgi" if "wsgi" in app else "asgi"}
        assert sum(worker["served"] for worker in found["workers"]) == 5
        assert sum(worker["exchanges"] for worker in found["workers"]) == 0
        assert all(worker["import_seconds"] > 0 for worker in found["workers"])
        assert bool(record_of(server)["token"]) is bool(way)

        lines = said(server.command("status")).splitlines()
        supervisor = "" if RUNTIME == "thread" else f", supervisor {server.process.pid}"
        assert found["supervisor"] == (server.process.pid if supervisor else None)
        assert lines[0] == "Verdict      all is well"
        assert lines[1] == f"Server       serving, pid {server.pid}{supervisor}"
        assert f"Address      {server.address}" in lines
        assert len(lines) == lines.index("") + 2 + workers_of(2)


def test_status_while_a_request_is_served_and_while_the_server_stops(site):
    with running("site_app:app", cwd=site) as server, Client(server) as client:
        client.send(WAIT)
        wait_until(lambda: status_of(server)["in_progress"] == 1, "the request is being served")
        found = status_of(server)
        assert [worker["exchanges"] for worker in found["workers"] if worker["exchanges"]] == [1]
        server.process.send_signal(signal.SIGTERM)
        server.wait_logged("Stopping")
        assert status_of(server)["state"] == "stopping"
        done = server.command("reload")
        assert (done.returncode, done.stderr) == (1, "Error: The server is stopping: nothing changes\n")
        (site / "go").touch()
        assert client.read().status == 200
        assert server.wait_ended() == 0


def test_status_while_workers_start(site):
    (site / "version").write_text("slow")
    server = Server("site_app:app", "--port", "0", "-n", "2", cwd=site)
    try:
        server.wait_logged("Snakepit ")
        wait_until(lambda: server.command("status").returncode == 0, "it is found")
        found = status_of(server)
        assert (found["state"], found["workers"][0]["state"]) == ("starting", "starting")
        for command in (["reload"], ["scale", "3"]):
            done = server.command(*command)
            assert done.returncode == 1
            assert done.stderr.endswith(": nothing changes\n")
        (site / "go").touch()
        server.wait_listening(2)
        assert said(server.command("stop")) == f"Stopped, pid {server.pid}\n"
        assert server.wait_ended() == 0
    finally:
        (site / "go").touch()
        server.kill()


# -- reload and scale ------------------------------------------------------------------------------------------------


@NEEDS_TWO_WORKERS
def test_reload(site, parts):
    with running("site_app:app", *parts, cwd=site) as server, Client(server) as client:
        (site / "version").write_text("2")
        assert said(server.command("reload")).startswith("Reloaded 2 workers in ")
        assert {client.request("/").text for _ in range(8)} == {"2"}
        server.wait_logged("Reloaded")

        (site / "version").write_text("broken")
        done = server.command("reload")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Error: not reloaded: Module 'site_app' can't be imported\n")
        assert "RuntimeError: this version is broken" in done.stderr
        assert client.request("/").text == "2"


@NEEDS_TWO_WORKERS
def test_a_reload_takes_the_place_of_one_that_hangs(site):
    with running("site_app:app", cwd=site) as server, Client(server) as client, ThreadPoolExecutor() as threads:
        (site / "version").write_text("slow")
        first = threads.submit(server.command, "reload")
        server.wait_logged("Reloading")
        (site / "version").write_text("3")
        second = threads.submit(server.command, "reload")
        for done in (first.result(), second.result()):
            assert said(done).startswith("Reloaded 2 workers in ")
        assert client.request("/").text == "3"
        (site / "go").touch()


@NEEDS_TWO_WORKERS
def test_the_server_is_killed_during_a_reload(site):
    with running("site_app:app", "--no-supervise", cwd=site) as server, ThreadPoolExecutor() as threads:
        (site / "version").write_text("slow")
        reload = threads.submit(server.command, "reload")
        server.wait_logged("Reloading")
        server.process.kill()
        done = reload.result()
        assert (done.returncode, done.stderr) == (1, f"Error: the server ended before it answered (pid {server.pid})\n")
        (site / "go").touch()


@NEEDS_TWO_WORKERS
def test_the_server_is_stopped_during_a_reload(site):
    with running("site_app:app", cwd=site) as server, ThreadPoolExecutor() as threads:
        (site / "version").write_text("slow")
        reload = threads.submit(server.command, "reload")
        server.wait_logged("Reloading")
        server.process.send_signal(signal.SIGTERM)
        done = reload.result()
        assert (done.returncode, done.stderr) == (1, "Error: not reloaded: the server is stopping\n")
        (site / "go").touch()
        assert server.wait_ended() == 0


@POSIX
@NEEDS_TWO_WORKERS
def test_ctrl_c_during_a_reload_ends_the_command_and_not_the_reload(site):
    with running("site_app:app", cwd=site) as server, Client(server) as client:
        (site / "version").write_text("slow")
        command = subprocess.Popen([sys.executable, "-m", "snakepit", "reload"], cwd=site, env=server.env)
        server.wait_logged("Reloading")
        command.send_signal(signal.SIGINT)
        assert command.wait(PATIENCE) != 0
        (site / "go").touch()
        server.wait_logged("Reloaded")
        assert client.request("/").text == "slow"


@NEEDS_TWO_WORKERS
def test_scale(site):
    with running("site_app:app", cwd=site) as server:
        assert said(server.command("scale", "4")) == "4 workers, 2 before\n"
        found = status_of(server)["workers"]
        assert [(worker["number"], worker["state"]) for worker in found] == [(n, "ready") for n in (1, 2, 3, 4)]
        assert said(server.command("scale", "1")) == "1 worker, 4 before\n"
        assert [worker["number"] for worker in status_of(server)["workers"]] == [1]
        (site / "version").write_text("broken")
        done = server.command("scale", "2")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("Error: there are not 2 workers: Module 'site_app' can't be imported\n")
        assert "RuntimeError: this version is broken" in done.stderr
        assert server.get("/").text == "1"


@pytest.mark.skipif(RUNTIME != "thread", reason="the others can")
def test_nothing_changes_in_a_thread():
    with running("behaviors:app") as server:
        for command in (["reload"], ["scale", "2"]):
            done = server.command(*command)
            assert done.returncode == 1
            assert "modules are imported once: nothing changes" in done.stderr
        assert status_of(server)["workers"][0]["state"] == "ready"


# -- stop and upgrade ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", ["site_app:app", "site_app:asgi"])
def test_stop_waits_for_the_end(app, site, parts):
    with running(app, *parts, cwd=site) as server:
        folder = Path(server.env["XDG_RUNTIME_DIR"]) / "snakepit"
        with Client(server) as client, ThreadPoolExecutor() as threads:
            client.send(WAIT)
            wait_until(lambda: status_of(server)["in_progress"] == 1, "the request is being served")
            stopping = threads.submit(server.command, "stop")
            server.wait_logged("Stopping")
            assert not stopping.done()
            (site / "go").touch()
            assert client.read().status == 200
            assert said(stopping.result()) == f"Stopped, pid {server.pid}\n"
        assert [path.name for path in folder.iterdir()] == ["lock"]
        assert server.wait_ended() == 0
        assert "Traceback" not in server.err


def test_upgrade_without_a_supervisor():
    with running("behaviors:app", "--no-supervise", workers=1) as server:
        done = server.command("upgrade")
        assert (done.returncode, done.stdout) == (1, "")
        assert "only the supervisor can start another process, and this server has none" in done.stderr


@NEEDS_TWO_WORKERS
def test_upgrade(site):
    with running("site_app:app", "--name", "shop", cwd=site) as server:
        (site / "version").write_text("2")
        for _ in range(2):
            first = server.pid
            answer = said(server.command("upgrade"))
            assert re.fullmatch(rf"Upgraded in .* s: pid {server.pid} serves now, in place of {first}\n", answer)
            assert server.pid != first
            found = status_of(server, "--name", "shop")  # the new one, at once
            assert (found["pid"], found["supervisor"]) == (server.pid, server.process.pid)
        assert server.get("/").text == "2"
        assert said(server.command("stop")) == f"Stopped, pid {server.pid}\n"
        assert server.wait_ended() == 0


@NEEDS_TWO_WORKERS
def test_an_upgrade_that_fails(site):
    with running("site_app:app", cwd=site) as server:
        first = server.pid
        (site / "version").write_text("broken")
        done = server.command("upgrade")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "Error: the new server process exited with status 3; the log says more\n"
        assert status_of(server)["pid"] == first  # it is found still
        assert server.stop() == 0


@NEEDS_TWO_WORKERS
def test_another_process_has_as_many_workers():
    with running("behaviors:app") as server:
        assert said(server.command("scale", "3")) == "3 workers, 2 before\n"
        said(server.command("upgrade"))
        assert len(status_of(server)["workers"]) == 3
        first = server.pid
        os.kill(first, getattr(signal, "SIGKILL", signal.SIGTERM))
        wait_until(lambda: server.pid != first and server.err.count("Listening on") == 3, "another one serves")
        assert len(status_of(server)["workers"]) == 3


@NEEDS_TWO_WORKERS
def test_restarts_are_counted():
    with running("behaviors:app") as server:
        first = server.pid
        os.kill(first, getattr(signal, "SIGKILL", signal.SIGTERM))
        wait_until(lambda: server.pid != first and server.err.count("Listening on") == 2, "another one serves")
        found = status_of(server)
        assert (found["pid"], found["restarts"]) == (server.pid, 1)


# -- which server ----------------------------------------------------------------------------------------------------


def test_no_server(tmp_path):
    env = {**os.environ, **alone(tmp_path)}
    for command in (["status"], ["status", "--json"], ["reload"], ["scale", "2"], ["stop"], ["upgrade"]):
        done = run_command(*command, cwd=tmp_path, env=env)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"Error: no server runs for this folder ({tmp_path})\n"


def test_two_servers_in_one_folder(tmp_path, way):
    env = {"XDG_RUNTIME_DIR": str(tmp_path), **way}
    with running("behaviors:app", workers=1, env=env) as one, running("behaviors:app", workers=1, env=env) as two:
        done = one.command("stop")
        assert done.returncode == 2
        assert done.stderr.startswith("Error: 2 servers run for this folder (")
        for server in (one, two):
            assert f"  pid {server.pid}, {server.address}, app behaviors:app, in " in done.stderr
            assert status_of(server, "--pid", str(server.pid))["address"] == server.address
        assert said(one.command("stop", "--pid", str(two.pid))) == f"Stopped, pid {two.pid}\n"
        assert two.wait_ended() == 0
        assert status_of(one)["pid"] == one.pid


def test_names(tmp_path, way):
    env = {"XDG_RUNTIME_DIR": str(tmp_path), **way}
    with (
        running("behaviors:app", "--name", "shop", workers=1, env=env) as one,
        running("behaviors:app", workers=1, env={**env, "SNAKEPIT_NAME": "blog"}) as two,
    ):
        one.cwd = tmp_path
        assert status_of(one, "--name", "shop")["name"] == "shop"
        assert status_of(one, "--name", "blog")["pid"] == two.pid
        assert status_of(two)["name"] == "blog", "the variable is for the commands, too"
        third = Server("behaviors:app", "--port", "0", "--name", "shop", env=env)
        try:
            assert third.wait_ended() == 2
            assert f"Error: a server with the name 'shop' runs already, pid {one.pid};" in third.err
        finally:
            third.kill()
        one.kill()
        with running("behaviors:app", "--name", "shop", workers=1, env=env) as fourth:
            assert status_of(fourth, "--name", "shop")["pid"] == fourth.pid


def test_a_killed_server_is_not_found_any_more(tmp_path, way):
    env = {"XDG_RUNTIME_DIR": str(tmp_path), **way}
    folder = Path(env["XDG_RUNTIME_DIR"]) / "snakepit"
    with running("behaviors:app", workers=1, env=env) as server:
        for pid in (server.process.pid, server.pid):
            os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        server.process.wait()
        assert len(list(folder.iterdir())) > 1
        assert server.command("status").returncode == 2
        assert [path.name for path in folder.iterdir()] == ["lock"]


@POSIX
def test_only_the_user_can_reach_it():
    with running("behaviors:app", workers=1) as server:
        folder = Path(server.env["XDG_RUNTIME_DIR"]) / "snakepit"
        modes = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert modes[".json"] == modes[".sock"] == 0o600


# -- where there is none ---------------------------------------------------------------------------------------------


@POSIX
@pytest.mark.parametrize("named", [False, True])
def test_no_folder_can_be_made(tmp_path, named):
    (tmp_path / "snakepit").mkdir(mode=0o755)
    (tmp_path / f"snakepit-{os.geteuid()}").symlink_to(tmp_path)
    env = alone(tmp_path)
    server = Server("behaviors:app", "--port", "0", *(["--name", "shop"] if named else []), env=env)
    try:
        if named:
            assert server.wait_ended() == 2
            assert "Error: no folder for control sockets: " in server.err
        else:
            server.wait_listening()
            assert "Commands such as snakepit status won't find this server: no folder" in server.err
            assert server.get("/").status == 200
            done = server.command("status")
            assert done.returncode == 2
            assert "is open to other users (mode 755): chmod 700 it" in done.stderr
        assert "is a symbolic link; remove it" in server.err
    finally:
        server.kill()


EMBEDDED = """
import asyncio
import snakepit


def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]


async def main():
    options = {options}
    server = snakepit.Server(snakepit.Config("embedded:app", port=0, interpreters=1), **options)
    serving = asyncio.ensure_future(server.serve())
    while not server.statistics().state == "serving":
        await asyncio.sleep(0.01)
    print("Serving", flush=True)
    await serving


if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("control", [False, True])
def test_embedded_only_when_asked_to(tmp_path, control):
    code = EMBEDDED.format(options={"control": True} if control else {})
    (tmp_path / "embedded.py").write_text(code, encoding="utf-8")
    server = Server("embedded.py", script=True, cwd=tmp_path)
    try:
        server.wait_logged("Serving")
        if control:
            assert said(server.command("stop")).startswith("Stopped")
            assert server.wait_ended() == 0
        else:
            assert server.command("stop").returncode == 2
    finally:
        server.kill()

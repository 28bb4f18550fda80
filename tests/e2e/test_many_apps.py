"""Several apps in one server: routes, isolation, tenants, and what is done to one of them."""

import json
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from clients import answers
from support import ONE_RUNTIME, RUNTIME, Answer, Server, running
from waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(RUNTIME == "thread", reason="several apps can't share the main interpreter")

FLASK = """
from flask import Flask, request, session, url_for

app = Flask(__name__)
kept = []


@app.route("/")
@app.route("/<path:path>")
def show(path=""):
    kept.append(path)
    return {"app": NAME, "path": path, "root": request.script_root, "url": url_for("show", path="x"), "kept": len(kept)}
"""

STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute


async def show(request):
    url = request.url_for("show", path="x").path
    return JSONResponse(
        {"app": NAME, "path": request.path_params["path"], "root": request.scope["root_path"], "url": url}
    )


async def echo(websocket):
    await websocket.accept()
    await websocket.send_text(f"{NAME} {websocket.scope['root_path']} {await websocket.receive_text()}")
    await websocket.close()


app = Starlette(routes=[WebSocketRoute("/echo", echo), Route("/{path:path}", show, name="show")])
"""


def write(folder, name, code, module="main"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(f"NAME = {name!r}\n{code}", encoding="utf-8")


def configure(folder, text):
    (folder / "snakepit.toml").write_text(text, encoding="utf-8")


SITE = """
interpreters = 1

[[apps]]
app = "main:app"
app-dir = "site"

[[apps]]
app = "main:app"
app-dir = "api"
path = "/api"

[[apps]]
app = "main:app"
app-dir = "shop"
path = "/shop"
host = "shop.example.com"
"""


@pytest.fixture
def site(tmp_path):
    """A folder with three apps, whose modules have one name."""
    write(tmp_path / "site", "site", STARLETTE)
    write(tmp_path / "api", "api", FLASK)
    write(tmp_path / "shop", "shop", STARLETTE)
    configure(tmp_path, SITE)
    return tmp_path


def get(server, path, host="a"):
    request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    return Answer(server.exchange(request.encode("latin-1")))


def asked(server, path, host="a"):
    response = get(server, path, host)
    assert response.status == 200, response.text
    return json.loads(response.text)


def test_each_request_gets_its_app_and_each_app_its_path(site):
    with running(cwd=site, workers=1) as server:
        assert asked(server, "/a/b") == {"app": "site", "path": "a/b", "root": "", "url": "/x"}
        assert asked(server, "/api/a/b") == {
            "app": "api", "path": "a/b", "root": "/api", "url": "/api/x", "kept": 1,
        }  # fmt: skip
        assert asked(server, "/%61pi/c")["app"] == "api"
        assert asked(server, "/shop/a", "shop.example.com") == {
            "app": "shop", "path": "a", "root": "/shop", "url": "/shop/x",
        }  # fmt: skip
        assert asked(server, "/shop/a")["app"] == "site"
        assert asked(server, "/apix")["app"] == "site"
        assert server.stop() == 0
        assert "apps /, /api, shop.example.com/shop" in server.err


def test_a_keep_alive_connection_goes_from_app_to_app(site):
    with running(cwd=site, workers=1) as server, socket.create_connection(("127.0.0.1", server.port)) as sock:
        sock.settimeout(PATIENCE)
        paths = ["/x", "/api/x", "/x", "/api/y", "/nothing"] * 3
        sock.sendall(b"".join(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for path in paths))
        sock.sendall(b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        got = b""
        while data := sock.recv(65536):
            got += data
        bodies = [json.loads(body) for _, _, body in answers(got)]
        assert [body["app"] for body in bodies] == ["site", "api", "site", "api", "site"] * 3 + ["site"]


def test_a_websocket_gets_its_app(site):
    from websockets.sync.client import connect

    with running(cwd=site, workers=1) as server:
        for path, said in [("/echo", "site  hello"), ("/api/echo", None)]:
            if said is None:
                with pytest.raises(Exception, match="HTTP"):
                    connect(f"ws://127.0.0.1:{server.port}{path}", open_timeout=PATIENCE).close()
                continue
            with connect(f"ws://127.0.0.1:{server.port}{path}", open_timeout=PATIENCE) as websocket:
                websocket.send("hello")
                assert websocket.recv(PATIENCE) == said


def test_mounts_on_the_command_line(site):
    arguments = ["main:app", "--no-config", "--mount", "/flask=flask_main:app", "--mount", "b.example/x=main:app"]
    write(site / "site", "mounted", FLASK, "flask_main")
    with running(*arguments, cwd=site / "site", workers=1) as server:
        assert asked(server, "/")["app"] == "site"
        assert asked(server, "/flask/y")["root"] == "/flask"
        assert asked(server, "/x/y", "b.example")["root"] == "/x"


@pytest.mark.parametrize(("strict", "status"), [("false", 404), ("true", 421)])
def test_no_route(site, strict, status):
    configure(site, f'strict-host = {strict}\n[[apps]]\nhost = "a"\npath = "/x"\napp-dir = "site"\napp = "main:app"')
    with running(cwd=site, workers=1) as server:
        assert get(server, "/x", "b").status == status
        assert get(server, "/y", "a").status == 404
        assert get(server, "/x/y", "a").status == 200


def test_each_app_has_its_own_limit_of_bodies(site):
    configure(
        site, f"limit-request-body = 10\n{SITE.replace('path = "/api"', 'path = "/api"\nlimit-request-body = 100')}"
    )

    def post(path, size, *fields):
        body = b"x" * size
        if fields:
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (size, body)
        lines = [
            f"POST {path} HTTP/1.1",
            "Host: a",
            "Connection: close",
            *(fields or [f"Content-Length: {size}"]),
            "",
            "",
        ]
        return Answer(server.exchange("\r\n".join(lines).encode() + body)).status

    with running(cwd=site, workers=1) as server:
        for kind in ((), ("Transfer-Encoding: chunked",)):
            assert post("/api/x", 101, *kind) == 413
            assert post("/api/x", 100, *kind) == 405  # from the app
            assert post("/x", 11, *kind) == 413
            assert post("/x", 10, *kind) == 405


def test_an_app_that_cannot_start_fails_alone(site):
    write(site / "api", "api", "import this_is_not_there")
    with running(cwd=site, workers=1) as server:
        response = get(server, "/api/x")
        assert (response.status, response.text) == (502, "This app can't be started\n")
        assert 1 <= int(response.headers["retry-after"]) <= 5
        assert asked(server, "/")["app"] == "site"
        assert "App /api can't be started; it is tried again after 5 s: Module 'main' can't be imported" in server.err
        assert "No module named 'this_is_not_there'" in server.err
        write(site / "api", "api", FLASK)
        done = server.command("apps", "reload", "/api")
        assert (done.returncode, done.stderr) == (0, "")
        assert asked(server, "/api/x")["app"] == "api"


def test_all_requests_of_an_app_that_cannot_start_are_counted_as_its_own(site):
    write(site / "api", "api", "import this_is_not_there")
    with running("--metrics", "/metrics", cwd=site, workers=1) as server:
        server.wait_logged("App /api can't be started; it is tried again after 5 s")
        time.sleep(5)  # the first request starts it once more
        for _ in range(2):
            assert get(server, "/api/x").status == 502
        counted = [line for line in get(server, "/metrics").text.splitlines() if 'status="5xx"' in line]
        assert counted == ['snakepit_requests_total{app="/api",method="GET",status="5xx"} 2.0']


def test_no_app_can_start(site):
    for name in ("site", "api", "shop"):
        write(site / name, name, f"raise RuntimeError('trouble in {name}')")
    server = Server(cwd=site)
    assert server.wait_ended() == 3
    for name in ("site", "api", "shop"):
        assert f"trouble in {name}" in server.err


def test_one_app_is_stopped_started_and_reloaded(site):
    with running(cwd=site, workers=1) as server:
        shown = json.loads(server.command("apps", "--json").stdout)
        assert [(app["name"], app["state"], len(app["workers"])) for app in shown] == [
            ("/", "serving", 1),
            ("/api", "serving", 1),
            ("shop.example.com/shop", "serving", 1),
        ]
        assert server.command("apps", "stop", "/api").stdout == "Stopped /api; its requests get 503\n"
        assert get(server, "/api/x").status == 503
        assert asked(server, "/")["app"] == "site"
        assert "/api" in server.command("apps").stdout
        again = server.command("apps", "stop", "/api")
        assert (again.returncode, again.stderr) == (1, "Error: App /api is stopped already\n")
        assert server.command("reload").returncode == 0  # of the others
        assert get(server, "/api/x").status == 503
        write(site / "api", "newer", FLASK)
        assert server.command("apps", "start", "/api").stdout == "Started /api\n"
        assert asked(server, "/api/x")["app"] == "newer"
        write(site / "api", "newest", FLASK)
        write(site / "site", "not reloaded", STARLETTE)
        assert server.command("apps", "reload", "/api").stdout.startswith("Reloaded 1 worker of /api in ")
        assert (asked(server, "/api/x")["app"], asked(server, "/")["app"]) == ("newest", "site")
        wrong = server.command("apps", "reload", "/nothing")
        assert wrong.returncode == 1
        assert "There is no app called '/nothing'; the apps are: /, /api, shop.example.com/shop" in wrong.stderr


def test_a_changed_file_replaces_the_workers_of_its_app_alone(site):
    with running("--reload", cwd=site, workers=1) as server:
        server.wait_logged("Watching")
        write(site / "api", "changed", FLASK)
        server.wait_logged("Reloaded /api in ")
        assert asked(server, "/api/x")["app"] == "changed"
        assert "Worker 1 of / ready" in server.err
        assert server.err.count("Worker 1 of / ready") == 1


def test_a_changed_file_changes_its_apps_alone(site):
    configure(site, f'{SITE}name = "shop"\n')
    with running(cwd=site, workers=1) as server:
        asked(server, "/api/x")
        assert server.command("reload", "--config").stdout == "The file says nothing new of apps and static files\n"
        # one goes, one comes, one has another route; the fourth is as it was
        configure(
            site,
            'interpreters = 1\n[[apps]]\napp = "main:app"\napp-dir = "api"\npath = "/api"\n'
            '[[apps]]\napp = "main:app"\napp-dir = "site"\npath = "/site"\n'
            '[[apps]]\napp = "main:app"\napp-dir = "shop"\nname = "shop"\nhost = "b.example.com"\n',
        )
        assert server.command("reload", "--config").stdout == "3 apps changed\n"
        assert asked(server, "/api/x")["kept"] == 2
        assert asked(server, "/site/x")["app"] == "site"
        assert asked(server, "/x", "b.example.com")["app"] == "shop"
        assert get(server, "/x").status == 404
        assert get(server, "/shop/x", "shop.example.com").status == 404
        for line in ("came: /site", "changed: shop", "went: /"):
            assert f"Apps that {line}" in server.err
        assert server.stop() == 0


def test_a_wrong_file_changes_nothing(site):
    with running(cwd=site, workers=1) as server:
        configure(site, SITE.replace("app-dir", "app-dri"))
        done = server.command("reload", "--config")
        assert done.returncode == 1
        assert "snakepit.toml:6: app-dri: there is no such option; did you mean app-dir?" in done.stderr
        assert asked(server, "/api/x")["app"] == "api"
        configure(site, 'app = "main:app"\napp-dir = "site"')
        assert "names no apps with routes any more" in server.command("reload", "--config").stderr
        assert asked(server, "/api/x")["kept"] == 2


def test_an_app_whose_new_options_do_not_work_goes_on_as_before(site):
    with running(cwd=site, workers=1) as server:
        assert asked(server, "/api/x")["kept"] == 1
        (site / "empty").mkdir()
        broken = SITE.replace('app-dir = "api"', 'app-dir = "empty"')
        configure(site, broken.replace("[[apps]]", "[[apps]]\nthreads = 2", 1))
        done = server.command("reload", "--config")
        assert done.returncode == 1
        assert "1 app changed; not started: /api: No module named 'main'" in done.stderr
        assert asked(server, "/api/x")["kept"] == 2
        configure(site, SITE)
        assert server.command("reload", "--config").stdout == "1 app changed\n"  # threads
        assert asked(server, "/api/x")["kept"] == 3


SLOW = """
import threading

NAME_OF_FILE = "{path}"


def app(environ, start_response):
    with open(NAME_OF_FILE, "w"):
        pass
    while True:
        with open(NAME_OF_FILE) as file:
            if file.read():
                break
        threading.Event().wait(0.01)
    start_response("200 OK", [])
    return [NAME.encode()]
"""


@pytest.mark.parametrize("then", ["it ends", "the server stops"])
def test_an_app_that_goes_answers_what_it_has(site, then):
    go = site / "go"
    write(site / "api", "api", SLOW.format(path=go.as_posix()))
    with running("--timeout-graceful-shutdown", "30", cwd=site, workers=1) as server, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(get, server, "/api/x")
        wait_until(go.exists, "the app works")
        configure(site, SITE.replace('path = "/api"', 'path = "/other"').replace('app-dir = "api"', 'app-dir = "site"'))
        assert server.command("reload", "--config").stdout == "2 apps changed\n"
        assert asked(server, "/api/x")["app"] == "site"
        states = [app["state"] for app in json.loads(server.command("apps", "--json").stdout) if app["name"] == "/api"]
        assert states == ["stopping"]
        if then == "the server stops":
            server.process.send_signal(signal.SIGTERM)
            server.wait_logged("Stopping")
        go.write_text("go", encoding="utf-8")
        assert (slow.result(PATIENCE).status, slow.result().text) == (200, "api")
        if then == "the server stops":
            assert server.wait_ended() == 0
        else:
            wait_until(lambda: "stopping" not in server.command("apps").stdout, "it has ended")


def test_other_options_wait(site):
    with running(cwd=site, workers=1) as server:
        configure(site, f"timeout-keep-alive = 1\n{SITE}")
        assert server.command("reload", "--config").stdout == "The file says nothing new of apps and static files\n"
        assert "left as it is until snakepit upgrade or the next start: timeout_keep_alive\n" in server.err


STATIC = """
[[static]]
route = "/files"
dir = "{}"
"""


def test_static_files_are_changed(site):
    for name in ("one", "two"):
        (site / name).mkdir()
        (site / name / "which").write_text(name)
    with running(cwd=site, workers=1) as server:
        assert server.get("/files/which").text != "one"
        for name in ("one", "two"):
            configure(site, SITE + STATIC.format(name))
            assert server.command("reload", "--config").stdout == "1 static folder changed\n"
            assert server.get("/files/which").text == name
        configure(site, SITE + STATIC.format("three"))
        done = server.command("reload", "--config")
        assert done.returncode == 1
        assert "three does not exist" in done.stderr
        assert server.get("/files/which").text == "two", "nothing has changed"
        configure(site, SITE)
        assert server.command("reload", "--config").stdout == "1 static folder changed\n"
        assert server.get("/files/which").text != "two"
        assert server.err.count("Worker 1 of / ready") == 1


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_sighup_changes_static_files_and_no_more(site):
    with running(cwd=site, workers=1) as server:
        configure(site, SITE + STATIC.format("."))
        server.process.send_signal(signal.SIGHUP)
        server.wait_logged("Static files that came: /files")
        assert server.get("/files/snakepit.toml").status == 200
        assert "Reloaded" not in server.err


def test_static_files_of_one_app_are_changed(site):
    configure(site, 'app = "main:app"\n')
    with running(cwd=site / "site", workers=1, env={"SNAKEPIT_CONFIG": str(site / "snakepit.toml")}) as server:
        configure(site, 'app = "main:app"\n' + STATIC.format("."))
        assert server.command("reload", "--config").stdout == "1 static folder changed\n"
        assert server.get("/files/snakepit.toml").status == 200


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_sighup_reads_the_file(site):
    with running(cwd=site, workers=1) as server:
        asked(server, "/api/x")
        configure(site, SITE.replace('path = "/api"', 'path = "/api2"'))
        server.process.send_signal(signal.SIGHUP)
        server.wait_logged("Apps that went: /api")
        assert asked(server, "/api2/x")["kept"] == 1
        assert "Worker 1 of / ready" in server.err
        assert server.err.count("Worker 1 of / ready") == 1
        server.process.send_signal(signal.SIGHUP)  # the file says nothing new
        server.wait_logged("Reloaded")
        assert server.err.count("Worker 1 of / ready") == 2


TENANTS = """
[[apps]]
host = "{tenant}.example.com"
app = "main:app"
app-dir = "tenants/{tenant}"

[[apps]]
path = "/t/{tenant}"
app = "main:app"
app-dir = "tenants/{tenant}"

[[apps]]
path = "/short/{tenant}"
app = "main:app"
app-dir = "tenants/{tenant}"
idle-timeout = 1
"""


@pytest.fixture
def tenants(tmp_path):
    """A folder with tenants, one of which can't be imported, and one is a link that leads out."""
    for name in ("acme", "beta", "gamma"):
        write(tmp_path / "tenants" / name, name, FLASK)
    write(tmp_path / "tenants" / "broken", "broken", "raise RuntimeError('trouble in broken')")
    write(tmp_path / "outside", "outside", FLASK)
    (tmp_path / "tenants" / "link").symlink_to(tmp_path / "outside", target_is_directory=True)
    configure(tmp_path, TENANTS)
    return tmp_path


@ONE_RUNTIME
def test_tenants(tenants):
    with running(cwd=tenants, workers=0) as server:
        assert "no workers yet, apps {tenant}.example.com, /t/{tenant}, /short/{tenant}" in server.err
        assert asked(server, "/a", "acme.example.com")["app"] == "acme"
        assert asked(server, "/a", "ACME.example.com:80")["kept"] == 2
        assert asked(server, "/a", "beta.example.com")["kept"] == 1
        assert asked(server, "/t/acme/a") == {
            "app": "acme",
            "path": "a",
            "root": "/t/acme",
            "url": "/t/acme/x",
            "kept": 1,
        }
        statuses = [get(server, "/a", f"{name}.example.com").status for name in ("broken", "broken", "nothing", "link")]
        assert statuses == [502, 502, 404, 404]
        assert asked(server, "/a", "acme.example.com")["kept"] == 3
        assert server.err.count("App broken.example.com can't be started") == 1
        for times in (1, 2):
            assert asked(server, "/short/acme/a")["kept"] == 1
            server.wait_logged("App /short/acme goes, after 1 s without a request", times)
        assert server.stop() == 0


@ONE_RUNTIME
def test_many_first_requests_start_a_tenant_once(tenants):
    count = 20
    with running(cwd=tenants, workers=0) as server, ThreadPoolExecutor(count) as pool:
        ready = threading.Barrier(count)

        def ask(_):
            ready.wait(PATIENCE)
            return asked(server, "/t/acme/a")["app"]

        assert list(pool.map(ask, range(count))) == ["acme"] * count
        assert server.err.count("Worker 1 of /t/acme ready") == 1


@ONE_RUNTIME
def test_as_many_tenants_as_there_may_be(tenants):
    """The one that was idle for longest makes room; while all are busy, a request for another one gets 503."""
    go = tenants / "go"
    write(tenants / "tenants" / "slow", "slow", SLOW.format(path=go.as_posix()))
    with running("--max-apps", "2", cwd=tenants, workers=0) as server, ThreadPoolExecutor(2) as pool:
        assert asked(server, "/t/acme/a")["kept"] == 1
        assert asked(server, "/t/beta/a")["kept"] == 1
        assert asked(server, "/t/acme/a")["kept"] == 2
        assert asked(server, "/t/gamma/a")["kept"] == 1
        assert "App /t/beta goes, to make room" in server.err
        assert asked(server, "/t/acme/a")["kept"] == 3
        slow = [pool.submit(get, server, "/t/slow") for _ in range(2)]
        wait_until(go.exists, "the slow tenant works")
        assert asked(server, "/t/beta/a")["kept"] == 1  # in place of acme
        assert "App /t/acme goes, to make room" in server.err
        go.write_text("go", encoding="utf-8")
        assert [each.result(PATIENCE).status for each in slow] == [200, 200]


@ONE_RUNTIME
def test_no_room_for_a_tenant(tenants):
    go = tenants / "go"
    write(tenants / "tenants" / "slow", "slow", SLOW.format(path=go.as_posix()))
    with running("--max-apps", "1", cwd=tenants, workers=0) as server, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(get, server, "/t/slow")
        wait_until(go.exists, "the slow tenant works")
        response = get(server, "/t/acme/a")
        assert (response.status, response.headers["retry-after"]) == (503, "1")
        go.write_text("go", encoding="utf-8")
        assert slow.result(PATIENCE).status == 200
        assert asked(server, "/t/acme/a")["kept"] == 1


@ONE_RUNTIME
def test_tenants_of_a_changed_table_go(tenants):
    with running(cwd=tenants, workers=0) as server:
        assert asked(server, "/t/acme/a")["kept"] == 1
        assert asked(server, "/a", "beta.example.com")["app"] == "beta"
        configure(tenants, TENANTS.replace('path = "/t/{tenant}"', 'path = "/t/{tenant}"\nthreads = 2'))
        assert server.command("reload", "--config").stdout == "1 app changed\n"
        server.wait_logged("App /t/acme goes, since its options have changed")
        assert asked(server, "/t/acme/a")["kept"] == 1

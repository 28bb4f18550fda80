"""The start: options, apps that can't be served, and what an operator reads about it."""

import json
import os
import re
import socket
import subprocess
import sys
import time

import pytest
from support import APPS, PATIENCE, RUNTIME, Answer, Server, how_many, read_all, running, workers_of


def fails(*arguments, cwd=APPS, env=None):
    """Run a server that must not start; returns its status and what it printed."""
    began = time.monotonic()
    app, *options = arguments
    server = Server(app, "--port", "0", "-n", "2", *options, cwd=cwd, env=env)
    try:
        status = server.wait_ended()
    finally:
        server.kill()
    assert time.monotonic() - began < 15
    assert "snakepit/server" not in server.err.replace("\\", "/")  # no traceback of ours
    return status, server.err


@pytest.mark.parametrize(
    ("code", "app", "expected"),
    [
        ("", "missing_module:app", "No module named 'missing_module'"),
        ("", "broken.sub:app", "No module named 'broken.sub'"),
        ("import missing_dependency", "broken:app", "No module named 'missing_dependency'"),
        ("def app(: pass", "broken:app", "SyntaxError: invalid syntax"),
        ("1 / 0", "broken:app", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)", "broken:app", "SystemExit: 0"),
        ("application = lambda environ, start_response: []", "broken:app", "did you mean 'application'?"),
        ("app = 5", "broken:app", "the app is a int, which can't be called"),
        ("def app(): ...", "broken:app", "add --factory"),
        ("class app:\n    def __init__(self, scope): ...", "broken:app", "this is an ASGI 2 app"),
        ("def app(scope):\n    return None", "broken:app", "this is an ASGI 2 app"),
        ("def app(a, b, c=None): ...", "broken:app", "say so with --interface"),
    ],
)
def test_an_app_that_cannot_be_served(tmp_path, code, app, expected):
    (tmp_path / "broken.py").write_text(code)
    status, err = fails(app, cwd=tmp_path)
    assert status == 3
    assert expected in err
    assert len(re.findall("^Error: ", err, re.MULTILINE)) == 1


def test_the_apps_own_traceback_is_shown_without_our_frames(tmp_path):
    (tmp_path / "broken.py").write_text("import deeper\n")
    (tmp_path / "deeper.py").write_text("def f():\n    raise RuntimeError('deep down')\nf()\n")
    status, err = fails("broken:app", cwd=tmp_path)
    assert status == 3
    files = re.findall(r'File "([^"]+)"', err)
    assert [os.path.basename(name) for name in files if not name.startswith("<")] == [
        "broken.py",
        "deeper.py",
        "deeper.py",
    ]


def test_a_factory_that_fails(tmp_path):
    (tmp_path / "broken.py").write_text("def make():\n    raise RuntimeError('no app today')\n")
    status, err = fails("broken:make", "--factory", cwd=tmp_path)
    assert status == 3
    assert "The factory 'make' failed" in err
    assert "RuntimeError: no app today" in err


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise RuntimeError('no database')", "RuntimeError: no database"),
        ("await send({'type': 'lifespan.startup.failed', 'message': 'no database'})", "start-up failed: no database"),
        ("return", "without completing its start-up"),
    ],
)
def test_a_failing_lifespan(tmp_path, body, expected):
    (tmp_path / "broken.py").write_text(
        f"async def app(scope, receive, send):\n    message = await receive()\n    {body}\n"
    )
    status, err = fails("broken:app", "--lifespan", "on", cwd=tmp_path)
    assert status == 3
    assert expected in err


def test_a_failing_starlette_lifespan(tmp_path):
    (tmp_path / "broken.py").write_text(
        "from starlette.applications import Starlette\n"
        "from contextlib import asynccontextmanager\n"
        "@asynccontextmanager\n"
        "async def lifespan(app):\n    raise RuntimeError('no database')\n    yield\n"
        "app = Starlette(lifespan=lifespan)\n"
    )
    status, err = fails("broken:app", cwd=tmp_path)
    assert status == 3
    assert "RuntimeError: no database" in err


@pytest.mark.skipif(RUNTIME != "interpreter", reason="there every extension can be imported")
def test_an_extension_that_refuses_subinterpreters(tmp_path):
    pytest.importorskip("readline")
    (tmp_path / "broken.py").write_text("import helper\n")
    (tmp_path / "helper.py").write_text("import readline\n")
    status, err = fails("broken:app", "--runtime", "interpreter", cwd=tmp_path)
    assert status == 3
    lines = err[err.index("Error: ") :].splitlines()
    assert lines[0].startswith("Error: Module 'broken' can't be imported: readline, a C extension of Python ")
    assert lines[1] == "imported by: broken → helper"
    assert lines[2] == "ways out:"
    assert [line.split(":")[0].strip() for line in lines[3:6]] == [
        "--runtime process",
        "an app that does without this module",
        "--extensions all",
    ]
    assert lines[6] == "Traceback (most recent call last):"
    assert lines[-1].startswith("ImportError: module readline does not support loading in subinterpreters")
    assert "snakepit" not in err[err.index("Traceback") :].replace(str(tmp_path), "")


def test_an_extension_that_refuses_behind_an_error_of_its_package(tmp_path):
    (tmp_path / "fast").mkdir()
    (tmp_path / "fast" / "__init__.py").write_text(
        "try:\n    import readline\nexcept ImportError:\n    raise RuntimeError('Please reinstall fast') from None\n"
    )
    pytest.importorskip("readline")
    (tmp_path / "broken.py").write_text("import fast\n")
    status, err = fails("broken:app", "--runtime", "interpreter", cwd=tmp_path)
    assert status == 3
    assert "Module 'broken' can't be imported: readline, a C extension" in err
    assert "imported by: broken → fast\n" in err
    assert err.endswith("RuntimeError: Please reinstall fast\n")


VALIDATED = """
from wsgiref.validate import validator

@validator
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""

AWAITED = """
class app:
    def __init__(self, scope, receive, send):
        self.scope, self.send = scope, send

    def __await__(self):
        return self.answer().__await__()

    async def answer(self):
        if self.scope["type"] == "http":
            await self.send({"type": "http.response.start", "status": 200, "headers": []})
            await self.send({"type": "http.response.body", "body": b"hello"})
"""


@pytest.mark.parametrize(("code", "interface"), [(VALIDATED, "WSGI"), (AWAITED, "ASGI")])
def test_apps_that_are_no_plain_functions(tmp_path, code, interface):
    (tmp_path / "plain.py").write_text(code, encoding="utf-8")
    with running("plain:app", cwd=tmp_path) as server:
        assert server.get("/").text == "hello"
        assert f"ready: {interface}" in server.err


def test_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        server = Server("behaviors:app", "--port", str(port))
        try:
            assert server.wait_ended() == 2
        finally:
            server.kill()
        assert f"Error: can't listen on 127.0.0.1:{port}: another process uses this port" in server.err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["behaviors"], "must look like module:attribute"),
        (["behaviors.py:app"], "name the module, as in behaviors:app"),
        (["behaviors:app", "--host", "no.such.host.invalid"], "can't be resolved"),
        (["behaviors:app", "--host", "192.0.2.1"], "does not have that address"),
        (["behaviors:app", "--fd", "999"], "file descriptor 999 is not a socket"),
        (["behaviors:app", "--env-file", "/no/such/file"], "can't be read: No such file or directory"),
        (["behaviors:app", "--log-config", "/no/such/file"], "can't be used"),
        (["behaviors:app", "--interface", "php"], "'php' is not one of"),
        (["behaviors:app", "--interpreters", "-1"], "-1 is not in the range"),
        (["behaviors:app", "--uds", "/no/such/folder/s"], "No such file or directory"),
    ],
)
def test_wrong_options(arguments, expected):
    status, err = fails(*arguments)
    assert status == 2
    assert expected in err


def test_wrong_environment_variable():
    server = Server("behaviors:app", env={"SNAKEPIT_PORT": "eighty"})
    try:
        assert server.wait_ended() == 2
    finally:
        server.kill()
    assert "Error: SNAKEPIT_PORT must be a whole number, not 'eighty'" in server.err


def test_variables_of_a_kubernetes_service_named_snakepit():
    env = {"SNAKEPIT_PORT": "tcp://10.96.0.17:8000", "SNAKEPIT_PORT_8000_TCP": "tcp://10.96.0.17:8000"}
    with running("behaviors:app", env={**env, "SNAKEPIT_UDS": ""}) as server:
        assert server.get("/").status == 200
        assert server.err.count("The environment variable ") == 2
        assert "WARNING  The environment variable SNAKEPIT_PORT is ignored: 'tcp://10.96.0.17:8000'" in server.err
        assert "WARNING  The environment variable SNAKEPIT_UDS is ignored: it is empty" in server.err


def test_env_file(tmp_path):
    (tmp_path / "vars").write_text("GREETING='hello you'\nSNAKEPIT_INTERPRETERS=1\nexport OTHER=1\n")
    (tmp_path / "main.py").write_text(
        "import os\n"
        "def app(environ, start_response):\n"
        "    start_response('200 OK', [])\n"
        "    return [os.environ['GREETING'].encode()]\n"
    )
    server = Server("main:app", "--port", "0", "--env-file", "vars", cwd=tmp_path)
    try:
        server.wait_listening()
        assert server.get("/").body == b"hello you"
        assert f"{how_many(1)}," in server.err
    finally:
        server.kill()


def test_report():
    with running("behaviors:app", workers=2) as server:
        version = ".".join(map(str, sys.version_info[:3]))
        assert re.search(rf"Snakepit \S+ on Python {version}: {how_many(2)}, app behaviors:app", server.err)
        for number in range(1, workers_of(2) + 1):
            assert re.search(rf"Worker {number} ready: ASGI, import \d\.\d\d s", server.err)
        assert re.search(r"Listening on http://127\.0\.0\.1:\d+", server.err)


def test_progress_bar_on_a_terminal():
    pty = pytest.importorskip("pty")
    count = workers_of(3)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "snakepit", "run", "behaviors:app", "--port", "0", "-n", "3"],
        cwd=APPS, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    try:
        shown = b""
        while b"Listening on" not in shown or shown.count(b" ready: ") < count:
            shown += os.read(ours, 4096)
        assert (b"] 0 of 3 workers ready" in shown) is (count > 1)
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_log_level():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = Server("behaviors:app", "-n", "1", "--log-level", "warning", "--lifespan", "off", "--port", str(port))
    try:
        while True:
            try:
                sock = socket.create_connection(("127.0.0.1", port), 1)
                break
            except ConnectionRefusedError:
                assert server.process.poll() is None
        with sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            assert Answer(read_all(sock)).body == b"hello"
        assert server.stop() == 0
        assert server.err + server.out == ""
    finally:
        server.kill()


def test_log_config(tmp_path):
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"f": {"format": "MINE %(name)s %(message)s"}},
        "handlers": {"h": {"class": "logging.StreamHandler", "formatter": "f"}},
        "root": {"handlers": ["h"], "level": "INFO"},
    }
    (tmp_path / "log.json").write_text(json.dumps(config))
    (tmp_path / "main.py").write_text(
        "import logging\n"
        "def app(environ, start_response):\n"
        "    logging.getLogger('app').info('from the app')\n"
        "    start_response('200 OK', [])\n"
        "    return [b'']\n"
    )
    with running("main:app", "--log-config", "log.json", cwd=tmp_path) as server:
        server.get("/")
        server.wait_logged("MINE app from the app")
        server.wait_logged("MINE snakepit.access")
        assert "MINE snakepit.server" in server.err


def test_inherited_descriptor():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.set_inheritable(True)
        process = subprocess.Popen(
            [sys.executable, "-m", "snakepit", "run", "behaviors:app", "--fd", str(listening.fileno()), "-n", "1"],
            cwd=APPS, pass_fds=[listening.fileno()], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            with socket.create_connection(listening.getsockname(), 20) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
                assert Answer(read_all(sock)).body == b"hello"
            process.terminate()
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()


def test_a_stale_unix_socket_is_replaced_and_a_live_one_is_not(tmp_path):
    path = tmp_path / "s.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with running("behaviors:app", "--uds", str(path), workers=1):
        status, err = fails("behaviors:app", "--uds", str(path))
        assert status == 2
        assert "another process uses it" in err
        assert path.exists()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with running("behaviors:app", "--host", "::1", workers=1) as server:
        assert server.address.startswith("http://[::1]:")


SCRIPT = """
import sys
import snakepit
from pathlib import Path

with open("runs.txt", "a") as runs:
    runs.write(__name__ + "\\n")

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": __name__.encode()})

if __name__ == "__main__":
    snakepit.run(app, port=0, interpreters=2)
"""


SCRIPT_IN_WORKERS = "__main__" if RUNTIME == "thread" else "__snakepit_main__"
"""The name under which workers know the script that is run. The main interpreter has it already."""


def script(tmp_path, text, *arguments, name="served.py"):
    (tmp_path / name).write_text(text)
    return Server(name, *arguments, cwd=tmp_path, script=True)


def test_run_in_a_script(tmp_path):
    server = script(tmp_path, SCRIPT)
    try:
        server.wait_listening(2)
        assert server.get("/").body == SCRIPT_IN_WORKERS.encode()
        assert server.stop() == 0
        runs = (tmp_path / "runs.txt").read_text().split()
        assert sorted(runs) == ["__main__"] + ([] if RUNTIME == "thread" else ["__snakepit_main__"] * 2)
    finally:
        server.kill()


def test_run_as_a_module(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "package" / "served.py").write_text(SCRIPT)
    server = Server("-m", "package.served", cwd=tmp_path, script=True)
    try:
        server.wait_listening(2)
        assert server.get("/").body == (b"__main__" if RUNTIME == "thread" else b"package.served")
        runs = (tmp_path / "runs.txt").read_text().split()
        assert sorted(runs) == ["__main__"] + ([] if RUNTIME == "thread" else ["package.served"] * 2)
    finally:
        server.kill()


def test_run_an_imported_object(tmp_path):
    (tmp_path / "elsewhere.py").write_text(SCRIPT)
    text = (
        "import snakepit, elsewhere\n"
        "if __name__ == '__main__':\n"
        "    snakepit.run(elsewhere.app, port=0, interpreters=1)\n"
    )
    server = script(tmp_path, text)
    try:
        server.wait_listening(1)
        assert server.get("/").body == b"elsewhere"
    finally:
        server.kill()


def test_run_without_a_guard(tmp_path):
    server = script(tmp_path, SCRIPT.replace('if __name__ == "__main__":', "if True:"))
    try:
        if RUNTIME == "thread":  # it needs none: nothing is imported a second time
            server.wait_listening()
            assert server.get("/").body == b"__main__"
            return
        assert server.wait_ended() == 3
        assert "put the call under if __name__ == '__main__':" in server.err
    finally:
        server.kill()


def test_run_an_app_that_workers_cannot_import(tmp_path):
    text = (
        "import snakepit\n"
        "def make():\n"
        "    def app(environ, start_response): ...\n"
        "    return app\n"
        "if __name__ == '__main__':\n"
        "    snakepit.run(make(), port=0)\n"
    )
    server = script(tmp_path, text)
    try:
        assert server.wait_ended() == 2
        assert server.err.count("\n") == 1
        assert "define it at the top level of a module" in server.err
    finally:
        server.kill()


def test_serve_in_a_loop_of_ones_own(tmp_path):
    text = SCRIPT.replace(
        "    snakepit.run(app, port=0, interpreters=2)",
        "    import asyncio, logging\n"
        "    logging.basicConfig(level='INFO')\n"
        "    async def main():\n"
        f"        server = snakepit.Server(snakepit.Config(app, port=0, interpreters=2, runtime={RUNTIME!r}))\n"
        "        task = asyncio.create_task(server.serve())\n"
        "        while server.statistics().requests < 1:\n"
        "            await asyncio.sleep(0.01)\n"
        "        print(server.statistics(), server.address, file=sys.stderr)\n"
        "        server.stop()\n"
        "        await task\n"
        "        print('served', file=sys.stderr)\n"
        "    asyncio.run(main())\n",
    )
    server = script(tmp_path, text)
    try:
        server.wait_listening(2)
        assert server.get("/").body == SCRIPT_IN_WORKERS.encode()
        assert server.wait_ended() == 0
        assert "served" in server.err
        assert "requests=1" in server.err
    finally:
        server.kill()


def test_a_break_in_what_tells_the_manager_is_logged_at_once(tmp_path):
    text = SCRIPT.replace(
        "    snakepit.run(app, port=0, interpreters=2)",
        "    import asyncio, logging\n"
        "    from snakepit.server.operate.managers import Manager\n"
        "    logging.basicConfig(level='INFO')\n"
        "    class Breaking(Manager):\n"
        "        def alive_every(self, silence):\n"
        "            return 1.0\n"
        "        def alive(self, silence):\n"
        "            raise RuntimeError('no one is there')\n"
        "        def ready(self):\n"
        "            raise RuntimeError('no one is there')\n"
        f"    config = snakepit.Config(app, port=0, interpreters=2, runtime={RUNTIME!r})\n"
        "    asyncio.run(snakepit.Server(config, manager=Breaking()).serve())\n",
    )
    server = script(tmp_path, text)
    try:
        server.wait_listening(2)
        server.wait_logged("Error in the background task Serving._tell_alive, which has ended\nTraceback")
        server.wait_logged("Error in the background task Serving._tell_ready, which has ended\nTraceback")
        assert server.get("/").body == SCRIPT_IN_WORKERS.encode()
        assert server.stop() == 0
        assert server.err.count("RuntimeError: no one is there") == 2
    finally:
        server.kill()


def test_a_wrong_option_in_code(tmp_path):
    server = script(tmp_path, SCRIPT.replace("port=0", "prot=0"))
    try:
        assert server.wait_ended() == 2
        assert server.err == "Error: there is no option 'prot'\n"
    finally:
        server.kill()

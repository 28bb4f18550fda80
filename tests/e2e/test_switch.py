"""uvicorn's command line, and the messages of a start about it."""

import os
import re
import subprocess
import sys

import pytest
from support import APPS, NEEDS_TWO_WORKERS, ONE_RUNTIME, SEVERAL, Answer, Client, Server, how_many, running
from waiting import PATIENCE
from websockets.sync.client import connect

pytestmark = ONE_RUNTIME

HEADERS = ("--header", "X-A: 1", "--header", "x-b:http://example.org/", "--header", "Server:mine")


@pytest.mark.parametrize("parser", ["h11", "httptools"])
def test_fields_for_all_responses(parser):
    with running("behaviors:app", "--http", parser, *HEADERS, "--limit-request-body", "10", workers=1) as server:
        answers = [
            server.get("/"),
            server.get("/", method="HEAD"),
            server.get("/raise"),
            server.get("/", "Transfer-Encoding: chunked", "Content-Length: 3"),
            server.get("/", method="POST", body=b"x" * 11),
            Answer(server.exchange(b"nonsense\r\n\r\n")),
        ]
        assert [answer.status for answer in answers] == [200, 200, 500, 400, 413, 400]
        for answer in answers:
            sent = [field for field in answer.fields if field[0] in ("x-a", "x-b", "server")]
            assert sent == [("server", "mine"), ("x-a", "1"), ("x-b", "http://example.org/")]
        with Client(server) as client:
            for _ in range(2):
                assert client.request("/").headers["x-a"] == "1"


def test_fields_beside_the_apps_own():
    with running("contexts:app", *HEADERS, workers=1) as server:
        fields = server.get("/").fields
        assert [value for name, value in fields if name == "x-a"] == ["app", "1"], "as uvicorn sends both"
        assert [value for name, value in fields if name == "server"] == ["app"], "of which there is one"


def test_fields_of_a_websockets_handshake_and_of_wsgi():
    with running("contexts:app", *HEADERS, workers=1) as server, connect(f"ws://127.0.0.1:{server.port}/") as ws:
        assert ws.response.headers["x-a"] == "1"
    with running("wsgi_behaviors:app", *HEADERS, workers=1) as server:
        assert server.get("/").headers["x-a"] == "1"


@pytest.mark.parametrize(("options", "found"), [((), "the import"), (("--reset-contextvars",), "nothing")])
def test_context_variables(options, found):
    with running("contexts:app", *options, workers=1) as server:
        with Client(server) as client:
            assert [client.request("/").text for _ in range(3)] == [found] * 3
        with connect(f"ws://127.0.0.1:{server.port}/") as ws:
            assert ws.recv(PATIENCE) == found


def test_workers_by_another_name():
    server = Server("behaviors:app", "--port", "0", "-w", "2")
    try:
        server.wait_listening(2)
        assert f": {how_many(2)}, app" in server.err
    finally:
        server.kill()


@NEEDS_TWO_WORKERS
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"WEB_CONCURRENCY": "3"}, f"3 {SEVERAL} (from WEB_CONCURRENCY)"),
        ({"PYTHON_CPU_COUNT": "3"}, f"3 {SEVERAL} (from PYTHON_CPU_COUNT)"),
        ({"WEB_CONCURRENCY": "3", "SNAKEPIT_INTERPRETERS": "2"}, f"2 {SEVERAL}"),
    ],
)
def test_where_the_number_of_workers_comes_from(variables, said):
    server = Server("behaviors:app", "--port", "0", env=variables)
    try:
        server.wait_listening(int(said[0]))
        assert f": {said}, app behaviors:app" in server.err
    finally:
        server.kill()


@pytest.mark.parametrize("option", ["--version", "-k"])
def test_what_does_not_start_a_server(option):
    command = [sys.executable, "-m", "snakepit", "run", "behaviors:app", option, "gevent"]
    done = subprocess.run(command, cwd=APPS, capture_output=True, text=True, timeout=PATIENCE)
    if option == "--version":
        assert (done.returncode, done.stderr) == (0, "")
        assert re.fullmatch(r"snakepit \S+\n", done.stdout)
    else:
        assert (done.returncode, done.stdout) == (2, "")
        assert "-k (of gunicorn and hypercorn): leave it out: " in done.stderr


@pytest.mark.parametrize(
    ("options", "variables", "colored"),
    [((), {}, True), ((), {"NO_COLOR": "1"}, False), (("--no-use-colors",), {}, False)],
)
def test_colours_on_a_terminal(options, variables, colored):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "snakepit", "run", "behaviors:app", "--port", "0", "-n", "1", *options],
        cwd=APPS, env={**environment, "TERM": "xterm", **variables},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    try:
        shown = b""
        while b"Listening on" not in shown:
            shown += os.read(ours, 4096)
        assert (b" \x1b[32mINFO    \x1b[0m Snakepit" in shown) is colored
        process.terminate()
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.mark.parametrize(("options", "colored"), [((), False), (("--use-colors",), True)])
def test_colours_where_there_is_no_terminal(options, colored):
    with running("behaviors:app", *options, workers=1) as server:
        server.get("/")
        server.wait_logged('"GET / HTTP/1.1"')
        assert ("\x1b[32mINFO    \x1b[0m" in server.err) is colored
        assert ("\x1b[32m200\x1b[0m" in server.out) is colored

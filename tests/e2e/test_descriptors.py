"""Descriptors: the server raises their limit, but not for processes of apps, and logs when none are left."""

import json
import select
import socket
import sys

import pytest
from support import ONE_RUNTIME, PATIENCE, Client, Server, wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")

LIMITED = (
    "import resource, runpy\n"
    "resource.setrlimit(resource.RLIMIT_NOFILE, {limits})\n"
    "runpy.run_module('snakepit', run_name='__main__', alter_sys=True)\n"
)

RAN_OUT = "No descriptors left: this process may have {} files open, and has; connections that come are closed, or have"


def limited(soft, hard, *arguments, **options):
    code = LIMITED.format(limits=(soft, hard))
    arguments = ("run", *arguments, "--port", "0", "--interpreters", "1")
    return Server("-c", code, *arguments, script=True, **options).wait_listening()


def test_what_an_app_starts_has_the_limit_that_the_server_was_started_with():
    server = limited(200, 1000, "inheriting:app", env={"INHERITED": "as ever"})
    try:
        told = json.loads(server.get("/").body)
        child = ["200", "as ever", "once", ""]
        assert told == {"own": "1000", "subprocess": child, "shell": child, "asyncio": child}
        assert server.stop() == 0
    finally:
        server.kill()


def answers(server):
    try:
        return server.get("/").status == 200
    except (OSError, AssertionError):  # closed before it was answered
        return False


HOARDING = """
import os
TAKEN = []

def app(environ, start_response):
    if environ["PATH_INFO"] == "/take":
        try:
            while True:
                TAKEN.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
    else:
        while TAKEN:
            os.close(TAKEN.pop())
    start_response("200 OK", [])
    return [b""]
"""


@ONE_RUNTIME
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_the_log_tells_when_descriptors_run_out(loop, tmp_path):
    (tmp_path / "hoarding.py").write_text(HOARDING)
    limit = 80
    server = limited(limit, limit, "hoarding:app", "--loop", loop, "--no-access-log", cwd=tmp_path)
    clients = []
    try:
        with Client(server) as client:
            assert client.request("/take").status == 200
            while len(clients) < limit:
                clients.append(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
            server.wait_logged(RAN_OUT.format(limit))
            server.wait_logged(RAN_OUT.format(limit), times=2)  # as long as it lasts
            assert client.request("/give").status == 200
        for client in clients:
            client.close()
        wait_until(lambda: answers(server), "there are descriptors again")
        assert server.stop() == 0
        assert len(server.err.splitlines()) < 30  # once a second, and nothing else
        assert "Traceback" not in server.err
    finally:
        for client in clients:
            client.close()
        server.kill()


@ONE_RUNTIME
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_connections_leave_some_descriptors(loop):
    """Connections that do nothing make room for one that asks for something, and the rest is told that it is full."""
    limit = 256
    server = limited(limit, limit, "behaviors:app", "--loop", loop, "--no-access-log")
    clients = []
    try:
        while len(clients) < 2 * limit:
            clients.append(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
        server.wait_logged("Too many connections: ")
        told, _, _ = select.select(clients, [], [], PATIENCE)
        assert b"503 Service Unavailable" in told[0].recv(1000)
        wait_until(lambda: answers(server), "one that does nothing makes room")
        assert server.stop() == 0
        assert "No descriptors left" not in server.err
        assert "Traceback" not in server.err
    finally:
        for client in clients:
            client.close()
        server.kill()


@ONE_RUNTIME
def test_a_limit_that_was_left_low_is_raised_again(tmp_path):
    (tmp_path / "lowering.py").write_text(
        "import resource\n"
        "def app(environ, start_response):\n"
        "    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "    if environ['PATH_INFO'] == '/lower':\n"
        "        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))\n"
        "    start_response('200 OK', [])\n"
        "    return [str(soft).encode()]\n"
    )
    server = limited(200, 1000, "lowering:app", cwd=tmp_path)
    try:
        assert server.get("/lower").body == b"1000"
        wait_until(lambda: server.get("/").body == b"1000", "the limit is high again")
        assert server.stop() == 0
    finally:
        server.kill()

"""Limits on what clients may do, each over real sockets, with both event loops."""

import json
import socket
import sys
from contextlib import ExitStack

import pytest
from support import PATIENCE, Answer, Client, read_all, running, wait_until

LOOPS = pytest.mark.parametrize("loop", ["asyncio", pytest.param("uvloop", marks=pytest.mark.skipif(
    sys.platform == "win32", reason="uvloop does not run there"))])  # fmt: skip

HEAD = b"GET %s HTTP/1.1\r\nHost: t\r\n%s\r\n"


def connected(server, address="127.0.0.1"):
    """A client from this address that takes little in advance."""
    sock = socket.socket()
    sock.settimeout(PATIENCE)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.bind((address, 0))
    sock.connect(("127.0.0.1", server.port))
    return sock


def told(server):
    return json.loads(server.get("/running").body)


# -- clients that do not read ------------------------------------------------------------------------------------------

CUT = "which has taken nothing of what was written for 0.8 s"


ENDLESS = """
RUNNING = []

def app(environ, start_response):
    start_response("200 OK", [])
    return [b'{"running": %d}' % len(RUNNING)] if environ["PATH_INFO"] == "/running" else stream()

def stream():
    RUNNING.append(1)
    try:
        while True:
            yield b"x" * 10_000
    finally:
        RUNNING.pop()
"""


@LOOPS
@pytest.mark.parametrize("app", ["asgi", "wsgi"])
def test_a_client_that_does_not_read_is_cut_and_the_app_told(app, loop, tmp_path):
    (tmp_path / "endless.py").write_text(ENDLESS)
    options = ("--loop", loop, "--timeout-write", "0.8")
    name, where = ("leaving:restless", {}) if app == "asgi" else ("endless:app", {"cwd": tmp_path})
    with running(name, *options, workers=1, **where) as server, connected(server) as sock:
        sock.sendall(HEAD % (b"/stream", b""))
        server.wait_logged(CUT)
        wait_until(lambda: told(server)["running"] == 0, "the app has heard of it")
        assert server.stop() == 0
        assert "Traceback" not in server.err


@LOOPS
def test_a_client_that_reads_slowly_is_not_cut(loop):
    with (
        running("behaviors:app", "--loop", loop, "--timeout-write", "0.8", workers=1) as server,
        connected(server) as sock,
        connected(server) as idle,
    ):
        for each in (sock, idle):
            each.sendall(HEAD % (b"/one-body?8000000", b"Connection: close\r\n"))
        read = 0
        while "Cut " not in server.err:  # the time of the other one, at least
            assert server.get("/").status == 200  # which takes some time
            piece = sock.recv(1000)
            assert piece
            read += len(piece)
        while piece := sock.recv(1_000_000):
            read += len(piece)
        assert read > 8_000_000
        server.wait_logged(CUT)
        assert server.err.count("Cut ") == 1


@LOOPS
def test_a_file_and_a_websocket_that_are_not_read(loop, tmp_path):
    with open(tmp_path / "big", "wb") as file:
        file.truncate(50_000_000)
    options = ("--loop", loop, "--timeout-write", "0.8", "--static-path", str(tmp_path), "--ws-ping-interval", "0")
    with running("websocket_behaviors:app", *options, workers=1) as server, ExitStack() as stack:
        file, flooded = (stack.enter_context(connected(server)) for _ in range(2))
        file.sendall(HEAD % (b"/static/big", b"Connection: close\r\n"))
        flooded.sendall(
            HEAD % (b"/flood?10000", b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
        )  # fmt: skip
        server.wait_logged(CUT, times=2)
        assert server.stop() == 0
        assert "Traceback" not in server.err


# -- bodies ------------------------------------------------------------------------------------------------------------


def test_bodies_that_come_too_slowly():
    with ExitStack() as stack:
        loops = ["asyncio"] if sys.platform == "win32" else ["asyncio", "uvloop"]
        servers = [stack.enter_context(running("behaviors:app", "--loop", loop, workers=1)) for loop in loops]
        clients = [stack.enter_context(Client(server)) for server in servers for _ in range(2)]
        for client in clients:
            client.send(b"POST /length HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n")
        for client in clients[::2]:
            client.send(b"x" * 5000)  # more than 240 bytes for each of the 20 s
        assert [client.read().status for client in clients[1::2]] == [408] * len(loops)
        for client in clients[::2]:
            client.send(b"x" * 95_000)
        assert [client.read().text for client in clients[::2]] == ["100000"] * len(loops)
        for server in servers:
            server.wait_logged("the request's body came too slowly (408)")
            assert server.stop() == 0
            assert "Traceback" not in server.err


@LOOPS
@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_a_body_that_is_announced_as_too_long_is_not_asked_for(app, loop):
    with running(app, "--loop", loop, "--limit-request-body", "1000", workers=1) as server, Client(server) as client:
        client.send(b"POST /length HTTP/1.1\r\nHost: t\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n")
        answer = client.read()
        assert (answer.status, answer.headers["connection"]) == (413, "close")


# -- connections -------------------------------------------------------------------------------------------------------


@LOOPS
def test_an_idle_connection_makes_room_and_one_too_many_is_told(loop):
    with (
        running("behaviors:app", "--loop", loop, "--limit-connections", "2", workers=1) as server,
        Client(server) as idle,
        Client(server) as busy,
    ):
        assert idle.request("/").status == 200
        busy.send(b"POST /length HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n")
        with Client(server) as third:
            third.send(b"POST /length HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n")
            assert idle.sock.recv(1) == b""
            with server.connect() as fourth:
                refused = Answer(read_all(fourth))
            assert (refused.status, refused.headers["retry-after"], refused.text) == (
                503,
                "1",
                "Too many connections\n",
            )
            for client in (busy, third):
                client.send(b"hello")
                assert client.read().text == "5"
        server.wait_logged("Too many connections: 3 are open in all; refused since this was last said: 1")


@LOOPS
@pytest.mark.skipif(sys.platform != "linux", reason="needs a second loopback address")
def test_connections_of_one_address(loop):
    options = ("--loop", loop, "--limit-connections-per-address", "1")
    with running("behaviors:app", *options, workers=1) as server, ExitStack() as stack:
        first = stack.enter_context(connected(server, "127.0.0.2"))
        first.sendall(HEAD % (b"/", b""))
        assert first.recv(1000).startswith(b"HTTP/1.1 200 ")
        with connected(server, "127.0.0.2") as second:
            assert b"503 Service Unavailable" in second.recv(1000)
        with connected(server, "127.0.0.3") as other:
            other.sendall(HEAD % (b"/", b""))
            assert other.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert [server.get("/").status for _ in range(3)] == [200] * 3  # 127.0.0.1 is a trusted proxy
        first.close()

        def may_come_again():
            with connected(server, "127.0.0.2") as again:
                again.sendall(HEAD % (b"/", b""))
                return again.recv(1000).startswith(b"HTTP/1.1 200 ")

        wait_until(may_come_again, "the first one's place is free")


@LOOPS
def test_requests_on_one_connection(loop):
    with (
        running("behaviors:app", "--loop", loop, "--limit-keep-alive-requests", "3", workers=1) as server,
        Client(server) as client,
    ):
        assert [client.request("/").headers.get("connection") for _ in range(3)] == [None, None, "close"]
        assert client.sock.recv(1) == b""


# -- threads of WSGI apps ----------------------------------------------------------------------------------------------

COUNTING = """
CALLS = []

def app(environ, start_response):
    CALLS.append(environ["PATH_INFO"])
    data = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Calls", str(len(CALLS)))])
    return [b"%d" % len(data)]
"""


@LOOPS
def test_slow_uploads_hold_no_threads(loop, tmp_path):
    (tmp_path / "counting_calls.py").write_text(COUNTING)
    options = ("--loop", loop, "--threads", "1")
    with running("counting_calls:app", *options, workers=1, cwd=tmp_path) as server, ExitStack() as stack:
        sizes = [10, 100_000, 1_000_000]
        clients = [stack.enter_context(Client(server)) for _ in sizes]
        for client, size in zip(clients, sizes, strict=True):
            client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size + b"x" * (size - 1))
        assert [server.get("/").headers["x-calls"] for _ in range(3)] == ["1", "2", "3"]
        for client, size in zip(clients, sizes, strict=True):
            client.send(b"x")
            assert client.read().text == str(size)
        assert server.get("/").headers["x-calls"] == "7"


@LOOPS
def test_slow_and_large_uploads_hold_no_threads_with_files(loop, tmp_path):
    (tmp_path / "counting_calls.py").write_text(COUNTING)
    options = ("--loop", loop, "--threads", "1", "--buffer-request-body-on-disk", "--limit-request-body", "4000000")
    env = {"TMPDIR": str(tmp_path)}
    with running("counting_calls:app", *options, workers=1, cwd=tmp_path, env=env) as server, ExitStack() as stack:
        sizes = [10, 2_000_000, 3_000_000, 4_000_000]
        clients = [stack.enter_context(Client(server)) for _ in sizes]
        for client, size in zip(clients, sizes, strict=True):
            client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size + b"x" * (size - 1))
        with Client(server) as gone:
            gone.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 2_999_999)
            assert [server.get("/").headers["x-calls"] for _ in range(3)] == ["1", "2", "3"]
        for client, size in zip(clients, sizes, strict=True):
            client.send(b"x")
            assert client.read().text == str(size)
        assert server.get("/").headers["x-calls"] == "8"
        with Client(server) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4000001\r\n\r\n")
            assert client.read().status == 413
        assert server.stop() == 0
        assert "Traceback" not in server.err


@pytest.mark.skipif(sys.platform == "win32", reason="a limit for files by setrlimit")
def test_a_body_for_which_the_disk_has_no_room(tmp_path):
    (tmp_path / "counting_calls.py").write_text(COUNTING)
    options = ("--threads", "1", "--buffer-request-body-on-disk", "--buffer-request-body", "1000")
    limited = 'ulimit -f 1000; exec "$@"'  # blocks of 512 bytes, or of 1024
    with running("counting_calls:app", *options, workers=1, cwd=tmp_path, shell=limited) as server:
        with Client(server) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 2_000_000)
            assert client.read().status == 500
        server.wait_logged("what came of the request's body can't be kept on disk")
        assert server.get("/", method="POST", body=b"x" * 100_000).text == "100000"
        assert server.get("/").headers["x-calls"] == "2"


@LOOPS
@pytest.mark.parametrize("bound", ["0", "1000", "1048576"])
@pytest.mark.parametrize("on_disk", [False, True])
def test_uploads_of_any_length_come_whole(on_disk, bound, loop, tmp_path):
    (tmp_path / "counting_calls.py").write_text(COUNTING)
    options = ("--loop", loop, "--buffer-request-body", bound, *(["--buffer-request-body-on-disk"] if on_disk else []))
    with running("counting_calls:app", *options, workers=1, cwd=tmp_path) as server:
        for size in (1, 999, 1000, 1001, 300_000, 1_048_575, 1_048_576, 1_048_577, 5_000_000):
            assert server.get("/", method="POST", body=b"x" * size).text == str(size)
            with Client(server) as client:
                client.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
                for start in range(0, size, 100_000):
                    piece = b"x" * min(100_000, size - start)
                    client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
                client.send(b"0\r\n\r\n")
                assert client.read().text == str(size)
                client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n" % size)
                assert client.read_head().status == 100
                client.send(b"x" * size)
                assert client.read().text == str(size)
        assert server.stop() == 0


GIVING = """
import time
DONE = []

def app(environ, start_response):
    path, _, size = environ["PATH_INFO"][1:].partition("/")
    start_response("200 OK", [("X-Done", str(len(DONE)))])
    if path == "list":
        DONE.append(path)
        return [b"x" * int(size)]
    return stream(int(size)) if path == "stream" else [b"hello"]

def stream(size):
    while size:
        piece = min(size, 10_000)
        yield b"x" * piece
        size -= piece
    DONE.append("stream")
"""


@LOOPS
@pytest.mark.parametrize("on_disk", [False, True])
def test_slow_readers_hold_no_threads(on_disk, loop, tmp_path):
    """What the system holds for them is far less than a megabyte: they take little in advance."""
    (tmp_path / "giving.py").write_text(GIVING)
    options = ("--loop", loop, "--threads", "1", "--timeout-waiting", "5")
    if on_disk:
        options += ("--buffer-response-on-disk", "--buffer-response", "100000")
    size = 20_000_000 if on_disk else 3_000_000
    with running("giving:app", *options, workers=1, cwd=tmp_path) as server, ExitStack() as stack:
        clients = [stack.enter_context(connected(server)) for _ in range(4)]
        for number, client in enumerate(clients):
            path = b"/list/%d" if number % 2 else b"/stream/%d"
            client.sendall(HEAD % (path % size, b"Connection: close\r\n"))
        wait_until(lambda: server.get("/").headers["x-done"] == "4", "all are through with the thread")
        for client in clients:
            answer = Answer(read_all(client))
            assert answer.status == 200
            assert answer.body == b"x" * size
        assert server.stop() == 0
        assert "Traceback" not in server.err


FILES = """
import os
CLOSED = []

class File:
    def __init__(self):
        self.file = open(os.environ["FILE"], "rb")
        self.read = self.file.read

    def close(self):
        self.file.close()
        CLOSED.append(1)

def app(environ, start_response):
    start_response("200 OK", [("X-Closed", str(len(CLOSED)))])
    return environ["wsgi.file_wrapper"](File()) if environ["PATH_INFO"] == "/file" else [b"hello"]
"""


@LOOPS
def test_slow_readers_of_files_hold_no_threads(loop, tmp_path):
    (tmp_path / "giving_files.py").write_text(FILES)
    content = bytes(range(256)) * 80_000
    (tmp_path / "file").write_bytes(content)
    options, env = ("--loop", loop, "--threads", "1"), {"FILE": str(tmp_path / "file")}
    with running("giving_files:app", *options, workers=1, cwd=tmp_path, env=env) as server, ExitStack() as stack:
        clients = [stack.enter_context(connected(server)) for _ in range(4)]
        for client in clients:
            client.sendall(HEAD % (b"/file", b"Connection: close\r\n"))
        wait_until(lambda: server.get("/").headers["x-closed"] == "4", "the app has closed all of them")
        for client in clients:
            assert Answer(read_all(client)).body == content
        assert server.stop() == 0
        assert "Traceback" not in server.err

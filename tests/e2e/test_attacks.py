"""Attacks over real sockets: others are served meanwhile, and afterwards everything is as it was before."""

import socket
import ssl
import sys
import threading
from contextlib import ExitStack
from email.utils import parsedate_to_datetime

import pytest
from attacking import SPARE, descriptors, many, over_tls, reset, share_of_cpu, trusting, unharmed
from certificates import pem
from support import ONE_RUNTIME, PATIENCE, Client, Server, read_all, running, wait_until

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="counts by /proc"), ONE_RUNTIME]

BUSY = 0.5
"""Of a CPU: what a server may take that has nothing to do but to bear an attack. One that spins takes all of it."""

GET = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"
LARGE = b"GET /stream?100,10000 HTTP/1.1\r\nHost: t\r\n\r\n"


@pytest.fixture(scope="module")
def server():
    with running("behaviors:app", "--no-access-log", "--timeout-request-head", "1", workers=1) as server:
        server.get("/")
        yield server
        assert server.stop() == 0


def test_heads_that_come_in_drops(server):
    with unharmed(server), many(server, 200, b"GET / HTTP/1.1\r\nHost: t\r\nX-A: ") as socks:
        assert server.get("/").status == 200
        ends = threading.Thread(target=lambda: [read_all(sock) for sock in socks])
        ends.start()
        while ends.is_alive():  # a byte now and then gives no head more time
            for sock in socks:
                try:
                    sock.send(b"x")
                except OSError:
                    pass
            ends.join(0.1)
        assert server.get("/").status == 200


def test_bodies_that_do_not_come(server):
    with unharmed(server), many(server, 200, b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 9999\r\n\r\nx"):
        for _ in range(5):
            assert server.get("/echo", method="POST", body=b"mine").body == b"mine"


def test_answers_that_nobody_reads(server):
    with unharmed(server), many(server, 60, LARGE * 20) as socks:
        for _ in range(5):
            assert server.get("/").status == 200
        assert share_of_cpu(server, 1.0) < BUSY
        for sock in socks[::2]:
            reset(sock)


def test_connections_on_which_nothing_comes(server):
    with unharmed(server), many(server, 800) as socks:
        assert server.get("/").status == 200
        assert [read_all(sock) for sock in socks] == [b""] * len(socks)


def test_a_long_row_of_pipelined_requests(server):
    count = 20_000
    with unharmed(server), Client(server) as client:
        memory = server.rss()
        sending = threading.Thread(target=client.sock.sendall, args=(GET * count,))
        sending.start()
        for _ in range(count):
            assert client.read().body == b"hello"
        sending.join()
        assert server.rss() < memory + 16 * 2**20


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        GET,
        GET * 50,
        LARGE,
        b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx",
        b"\x16\x03\x01",
    ],
    ids=["nothing", "part of a head", "a request", "many requests", "a large answer", "part of a body", "TLS"],
)
def test_a_storm_of_resets(server, sent):
    with unharmed(server):
        for _ in range(10):
            with many(server, 30, sent) as socks:
                for sock in socks:
                    reset(sock)


@pytest.mark.parametrize("sent", [b"", b"GET / HT", GET, LARGE])
def test_sockets_that_are_half_closed(server, sent):
    with unharmed(server):
        before = descriptors(server)
        with many(server, 100, sent) as socks:
            wait_until(lambda: descriptors(server) >= before + len(socks), "all are accepted")
            for sock in socks:
                sock.shutdown(socket.SHUT_WR)
            wait_until(lambda: descriptors(server) <= before + SPARE, "the server has closed its side")


# -- descriptors run out -----------------------------------------------------------------------------------------------

LIMITED = (
    "import resource, runpy\n"
    "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
    "runpy.run_module('snakepit', run_name='__main__', alter_sys=True)\n"
)


HOARDING = """
import os
TAKEN = []

async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/take":
        try:
            while True:
                TAKEN.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
    elif scope["path"] == "/give":
        while TAKEN:
            os.close(TAKEN.pop())
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})
"""


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_no_descriptors_are_left(tmp_path, loop, tls):
    """The app takes all, and connections come: the server says so, does not spin, and serves again when it can."""
    (tmp_path / "hoarding.py").write_text(HOARDING)
    arguments = ["-c", LIMITED, "run", "hoarding:app", "--loop", loop, "--no-access-log", "--interpreters", "1"]
    arguments += ["--port", "0"]
    if tls:
        (tmp_path / "both.pem").write_bytes(pem(["localhost"], days=9000))
        arguments += ["--ssl-certfile", str(tmp_path / "both.pem"), "--ssl-keyfile", str(tmp_path / "both.pem")]
    server = Server(*arguments, script=True, cwd=tmp_path)
    try:
        server.wait_listening()
        with ExitStack() as stack:
            kept = stack.enter_context(server.connect())
            if tls:
                kept = stack.enter_context(trusting().wrap_socket(kept, server_hostname="localhost"))

            def ask(path: str) -> None:
                kept.sendall(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
                got = b""
                while not got.endswith(b"hello"):
                    got += kept.recv(1000)

            ask("/take")
            with many(server, 60):
                server.wait_logged("No descriptors left")
                share = share_of_cpu(server, 2.0)
                assert share < BUSY, f"{share:.0%} of a CPU"
                ask("/give")

        def served() -> bool:
            try:
                return b"hello" in (over_tls(server) if tls else server.get("/").body)
            except (OSError, AssertionError):  # closed before it was answered
                return False

        wait_until(served, "there are descriptors again")
        assert server.stop() == 0
        assert "Traceback" not in server.err
        assert len(server.err.splitlines()) < 40
    finally:
        server.kill()


def test_handshakes_that_are_never_finished(tmp_path):
    (tmp_path / "both.pem").write_bytes(pem(["localhost"], days=9000))
    files = ["--ssl-certfile", str(tmp_path / "both.pem"), "--ssl-keyfile", str(tmp_path / "both.pem")]
    with running("behaviors:app", "--no-access-log", *files, workers=1) as server:
        over_tls(server)
        before = descriptors(server)
        hello = ssl.MemoryBIO()
        with pytest.raises(ssl.SSLWantReadError):
            ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost").do_handshake()
        data = hello.read()
        with ExitStack() as stack:
            for sent in (b"", data[:50], data):
                stack.enter_context(many(server, 100, sent))
            assert b"hello" in over_tls(server)
            assert share_of_cpu(server, 1.0) < BUSY
        wait_until(lambda: descriptors(server) <= before + SPARE, "all descriptors are closed")
        assert b"hello" in over_tls(server)
        assert server.stop() == 0
        assert "Traceback" not in server.err


# -- clocks and disks --------------------------------------------------------------------------------------------------

JUMPING = """
import pathlib, runpy, time
real, offset = time.time, pathlib.Path("offset")
time.time = lambda: real() + float(offset.read_text() or 0)
runpy.run_module("snakepit", run_name="__main__", alter_sys=True)
"""


def test_a_clock_that_jumps(tmp_path):
    """Only the Date header follows it: deadlines and time-outs go by another clock."""
    offset = tmp_path / "offset"
    offset.write_text("0")
    (tmp_path / "site_app.py").write_text(
        "async def app(scope, receive, send):\n"
        "    assert scope['type'] == 'http'\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'1')]})\n"
        "    await send({'type': 'http.response.body', 'body': b'x'})\n"
    )
    arguments = [
        "-c",
        JUMPING,
        "run",
        "site_app:app",
        "--port",
        "0",
        "--interpreters",
        "1",
        "--timeout-keep-alive",
        "30",
    ]
    server = Server(*arguments, "--timeout-request-head", "30", script=True, cwd=tmp_path)
    try:
        server.wait_listening()
        with Client(server) as client, server.connect() as begun:
            begun.sendall(b"GET / HTTP/1.1\r\n")
            first = parsedate_to_datetime(client.request("/").headers["date"])
            for days in (400, -400, 0):
                offset.write_text(str(days * 86_400))

                def jumped(days: int = days) -> bool:
                    now = parsedate_to_datetime(client.request("/").headers["date"])
                    return (now - first).days in (days, days - 1) if days else abs((now - first).total_seconds()) < 60

                wait_until(jumped, "the Date header follows")
            begun.sendall(b"Host: t\r\n\r\n")
            assert begun.recv(9) == b"HTTP/1.1 "
        assert server.command("status").returncode == 0
        assert server.stop() == 0
        assert "Traceback" not in server.err
        assert "WARNING" not in server.err
    finally:
        server.kill()


@pytest.mark.parametrize("config", [False, True], ids=["stdout", "log config"])
def test_a_full_disk_for_logs(tmp_path, config):
    arguments, shell = [], 'exec "$@" >/dev/full'
    if config:
        (tmp_path / "logs.json").write_text(
            '{"version": 1, "handlers": {"file": {"class": "logging.FileHandler", "filename": "/dev/full"}},'
            ' "loggers": {"snakepit": {"handlers": ["file"], "level": "INFO"}}}'
        )
        arguments, shell = ["--log-config", str(tmp_path / "logs.json")], ""
    server = Server("behaviors:app", "--bind", f"unix:{tmp_path}/s", "-n", "1", *arguments, shell=shell)
    try:

        def asked() -> bytes:
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(PATIENCE)
                sock.connect(f"{tmp_path}/s")
                sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
                return read_all(sock)

        def answers() -> bool:
            try:
                return asked().startswith(b"HTTP/1.1 200 ")
            except OSError:
                return False

        wait_until(answers, "it serves")
        for _ in range(50):
            assert answers()
        name = "/dev/full" if config else "<stdout>"
        assert server.err.count(f"Log lines are lost: {name} can't be written: [Errno 28] No space left on device") == 1
        assert server.stop() == 0
        assert "Traceback" not in server.err
    finally:
        server.kill()

"""A server whose output is a pipe that nobody reads goes on serving, and tells what it has dropped."""

import re
import socket
import subprocess
import sys

import pytest
from support import read_all
from waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a socket for the server, and its number")

REQUESTS = 3000
TOGETHER = 10
PATH = "/?" + "x" * 1000

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""


def ask(path, process):
    """Send the requests on one connection; returns how many were answered by the app."""

    def connected():
        assert process.poll() is None
        try:
            sock.connect(path)
        except OSError:
            return False
        return True

    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        wait_until(connected, "the server listens")
        answered = 0
        for number in range(REQUESTS // TOGETHER):
            last = "Connection: close\r\n" if number == REQUESTS // TOGETHER - 1 else ""
            head = f"GET {PATH} HTTP/1.1\r\nHost: test\r\n"
            sock.sendall(f"{head}\r\n".encode() * (TOGETHER - 1) + f"{head}{last}\r\n".encode())
            got = b""
            while got.count(b"HTTP/1.1 ") < TOGETHER:
                piece = sock.recv(65536)
                assert piece
                got += piece
            answered += got.count(b"HTTP/1.1 200 ")
        read_all(sock)
    return answered


@pytest.mark.parametrize(
    ("both", "more"),
    [(False, ()), (True, ()), (False, ("--access-log-file", "/dev/stdout"))],
    ids=["stdout", "stdout and stderr", "a file that is stdout"],
)
def test_requests_are_answered(tmp_path, both, more):
    path = str(tmp_path / "socket")
    (tmp_path / "main.py").write_text(APP, encoding="utf-8")
    options = "--uds", path, "--no-supervise", "--interpreters", "1", *more
    process = subprocess.Popen(
        [sys.executable, "-m", "snakepit", "run", "main:app", *options],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if both else subprocess.DEVNULL,
    )
    try:
        answered = ask(path, process)
        assert answered == REQUESTS
        process.terminate()
        out, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    lines = [line for line in out.decode().splitlines() if PATH in line]
    dropped = re.findall(r" WARNING  (\d+) lines of the log were dropped here", out.decode())
    assert all(re.fullmatch(rf'\S+ \S+ INFO     local - "GET {re.escape(PATH)} HTTP/1\.1" 200', line) for line in lines)
    assert 0 < len(lines) < REQUESTS
    # with stderr in the same pipe, what it tells of its end comes too late as well
    others = sum(word not in out for word in (b"INFO     Stopping\n", b"INFO     Stopped\n")) if both else 0
    assert len(lines) + sum(map(int, dropped)) == REQUESTS + others
    assert (b"Listening on " in out) is both

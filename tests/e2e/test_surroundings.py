"""What a server finds where it is started: streams that are closed, folders that are gone, names that are taken."""

import socket
import sys

import pytest
from support import Answer, Server, read_all, wait_until

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")

# -- standard streams ------------------------------------------------------------------------------------------------

STREAMS_APP = """
import os, sys

def app(environ, start_response):
    print("printed by the app")
    print("and an error", file=sys.stderr)
    start_response("200 OK", [])
    null = os.stat(os.devnull)
    found = [os.path.samestat(os.fstat(descriptor), null) for descriptor in range(3)]
    return [f"{found} {sys.stdin.read(1) if found[0] else ''}".encode()]
"""


def ask(path, target="/"):
    """One request to the server on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(path)
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
        return Answer(read_all(sock))


@POSIX
@pytest.mark.parametrize("supervise", ["--supervise", "--no-supervise"])
@pytest.mark.parametrize("closed", ["0", "1", "2", "01", "12", "012"])
def test_standard_streams_that_are_closed(tmp_path, closed, supervise, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the socket's path is to be short
    (tmp_path / "streams_app.py").write_text(STREAMS_APP, encoding="utf-8")
    redirections = " ".join(f"{number}{'<' if number == '0' else '>'}&-" for number in closed)
    server = Server(
        "streams_app:app", "-n", "2", "--uds", "s", supervise, cwd=tmp_path, shell=f'exec "$@" {redirections}'
    )
    try:

        def answers():
            assert server.process.poll() is None, f"ended with {server.process.returncode}: {server.err}"
            try:
                return ask("s")
            except OSError:
                return None

        wait_until(answers, "the server answers")
        for _ in range(4):
            answer = answers()
            # standard input is the null device in any case here
            assert (answer.status, answer.text) == (200, f"{[True, '1' in closed, '2' in closed]} ")
        assert server.stop() == 0
        assert ("printed by the app" in server.out) is ("1" not in closed)
        assert ("and an error" in server.err) is ("2" not in closed)
        assert "Traceback" not in server.err
    finally:
        server.kill()

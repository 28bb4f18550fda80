"""Files that WSGI apps have open, and the server sends: `wsgi.file_wrapper`."""

import os
import sys
from pathlib import Path

import pytest
from support import NEEDS_TWO_WORKERS, Client, running, wait_until

CONTENT = bytes(range(256)) * 4096 * 3
CLOSED = {"/django/file": "django closed", "/whole": "bare closed"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "sent.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(scope="module")
def server(parts, path):
    with running("wsgi_files:app", "--threads", "2", *parts, workers=1, env={"FILE": str(path)}) as server:
        yield server
        assert server.stop() == 0
        assert "Traceback" not in server.err, server.err


def open_below(server, folder):
    found = []
    for pid in (server.pid, *server.children()):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(descriptor)
            except FileNotFoundError:
                continue
            if target.startswith(str(folder)):
                found.append(target)
    return found


@pytest.mark.parametrize("where", ["/flask/file", *CLOSED])
def test_a_file(server, where):
    with Client(server) as client:
        for _ in range(3):
            answer = client.request(where)
            assert (answer.status, answer.body) == (200, CONTENT)
            assert answer.headers["content-length"] == str(len(CONTENT))


@pytest.mark.parametrize("where", CLOSED)
def test_it_is_closed_once(server, where):
    before = server.err.count(CLOSED[where])
    for count in range(1, 4):
        assert server.get(where).body == CONTENT
        server.wait_logged(CLOSED[where], before + count)
    assert server.err.count(CLOSED[where]) == before + 3


@pytest.mark.parametrize("where", CLOSED)
def test_head(server, where):
    with Client(server) as client:
        before = server.err.count(CLOSED[where])
        answer = client.request(where, "HEAD")
        assert (answer.status, answer.body) == (200, b"")
        assert client.request("/whole?5").body == CONTENT[:5]
        server.wait_logged(CLOSED[where], before + 1)


@pytest.mark.skipif(sys.version_info < (3, 14), reason="threads have no names that the system knows")
@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="looks at threads on Linux")
@pytest.mark.parametrize("where", ["/flask/file", "/django/file"])
def test_it_is_the_main_interpreter_that_sends_it(path, where):
    with running("wsgi_files:app", workers=1, env={"FILE": str(path)}) as server:
        pids = server.pid, *server.children()

        def names():
            return [each.read_text().strip() for pid in pids for each in Path(f"/proc/{pid}/task").glob("*/comm")]

        assert server.get("/packed").body == CONTENT
        assert "snakepit-app-fi" not in names()
        assert server.get(where).body == CONTENT
        assert "snakepit-app-fi" in names()


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("/unlinked", CONTENT),
        ("/packed", CONTENT),
        ("/middle", CONTENT[10:]),
        ("/middle?400000", CONTENT[10:400_010]),
        ("/middle?200000", CONTENT[10:200_010]),
        ("/whole?200000", CONTENT[:200_000]),
        pytest.param(
            "/replaced",
            CONTENT,
            marks=pytest.mark.skipif(os.name == "nt", reason="an open file can't be replaced there"),
        ),
    ],
)
def test_what_is_sent_is_what_the_app_has_open(server, where, expected):
    answer = server.get(where)
    assert (answer.status, answer.body) == (200, expected)


def test_a_middleware_that_reads_it(server):
    assert server.get("/whole", "Iterate: yes").body == CONTENT


def test_conditions_and_ranges_are_the_apps(server):
    answer = server.get("/flask/file", "Range: bytes=10-19")
    assert (answer.status, answer.body) == (206, CONTENT[10:20])
    etag = server.get("/flask/file").headers["etag"]
    assert server.get("/flask/file", f"If-None-Match: {etag}").status == 304


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="looks at descriptors on Linux")
@pytest.mark.parametrize("where", CLOSED)
def test_clients_that_leave(server, path, where):
    before = server.err.count(CLOSED[where])
    for _ in range(5):
        with server.connect() as sock:
            sock.sendall(f"GET {where} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            assert sock.recv(12) == b"HTTP/1.1 200"
    server.wait_logged(CLOSED[where], before + 5)
    wait_until(lambda: not open_below(server, path.parent))
    assert server.get(where).body == CONTENT


@NEEDS_TWO_WORKERS  # a thread's modules are imported once
def test_a_worker_that_is_replaced_meanwhile(path):
    with running("wsgi_files:app", workers=1, env={"FILE": str(path)}) as server:
        with server.connect() as sock:
            sock.sendall(b"GET /django/file HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            assert sock.recv(12) == b"HTTP/1.1 200"
            reload = server.command("reload")
            assert reload.returncode == 0, reload.stderr
            received = bytearray()
            while data := sock.recv(65536):
                received += data
        assert received.endswith(CONTENT)
        server.wait_logged("django closed")

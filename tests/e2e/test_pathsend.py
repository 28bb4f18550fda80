"""Files that ASGI apps name, and the server sends: `http.response.pathsend`."""

import os

import pytest
from support import Client, running

CONTENT = bytes(range(256)) * 4096 * 3


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "sent.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(scope="module")
def server(parts, path):
    with running("sending_files:app", *parts, workers=1, env={"FILE": str(path)}) as server:
        yield server


@pytest.mark.parametrize("where", ["/file", "/passed/file"])
def test_starlette(server, where):
    with Client(server) as client:
        for _ in range(3):
            answer = client.request(where)
            assert answer.body == CONTENT
            assert answer.headers["content-length"] == str(len(CONTENT))
            assert "etag" in answer.headers
            assert ("x-passed" in answer.headers) is (where != "/file")
            assert client.request(where, "HEAD").headers["content-length"] == str(len(CONTENT))


def test_an_app_that_announces_no_length(server, path):
    with Client(server) as client:
        for _ in range(3):
            answer = client.request(f"/raw/?{path}")
            assert (answer.status, answer.body) == (200, CONTENT)


def test_a_file_that_is_not_there(server, path):
    assert server.get(f"/raw/?{path}.gone").status == 500
    server.wait_logged("the app sent a file that can't be read")
    assert server.get("/file").body == CONTENT


def test_a_range(server):
    answer = server.get("/file", "Range: bytes=10-19")
    assert (answer.status, answer.body) == (206, CONTENT[10:20])


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="looks at descriptors on Linux")
def test_clients_that_leave_do_no_harm(server):
    for _ in range(5):
        with server.connect() as sock:
            sock.sendall(b"GET /file HTTP/1.1\r\nHost: t\r\n\r\n")
            assert sock.recv(12) == b"HTTP/1.1 200"
    assert server.get("/file").body == CONTENT
    assert "Traceback" not in server.err

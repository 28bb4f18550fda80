"""HTTP/1 as a client sees it, over the real server."""

import json
import socket

import pytest
from support import ONE_RUNTIME, Answer, Client, read_all, running

pytestmark = ONE_RUNTIME


def test_keep_alive_serves_several_requests_on_one_connection(asgi):
    with Client(asgi) as client:
        for _ in range(3):
            answer = client.request("/")
            assert (answer.status, answer.body) == (200, b"hello")
            assert "connection" not in answer.headers


def test_pipelined_requests_are_answered_in_order(asgi):
    request = b"".join(
        b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\n%03d" % number for number in range(50)
    )
    with Client(asgi) as client:
        client.send(request)
        assert [client.read().body for _ in range(50)] == [b"%03d" % number for number in range(50)]


def test_a_slow_pipelined_request_holds_back_the_fast_one_behind_it(asgi):
    with Client(asgi) as client:
        client.send(b"GET /sleep?0.2 HTTP/1.1\r\nHost: test\r\n\r\nGET / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert [client.read().body, client.read().body] == [b"slept", b"hello"]


def test_a_long_row_of_refused_pipelined_requests_does_no_harm(asgi):
    with Client(asgi) as client:
        client.send(b"GET /no-response HTTP/1.1\r\nHost: t\r\n\r\n" * 1500)
        assert {client.read().status for _ in range(1500)} == {500}


def test_an_empty_line_before_a_request_is_ignored(asgi):
    request = b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody"
    with Client(asgi) as client:
        client.send(b"\r\n" + request + b"\r\n" + request + b"\r\n")
        assert [client.read().body, client.read().body] == [b"body", b"body"]
        client.send(request)
        assert client.read().body == b"body"


def test_request_byte_by_byte(asgi):
    with Client(asgi) as client:
        for byte in b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello":
            client.send(bytes([byte]))
        assert client.read().body == b"hello"


def test_chunked_request_and_response(asgi):
    with Client(asgi) as client:
        client.send(
            b"POST /echo-stream HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n1\r\n \r\n6;ext=1\r\nworld!\r\n0\r\nX-Trailer: 1\r\n\r\n"
        )
        assert client.read().body == b"hello world!"
        answer = client.request("/stream?3,5")
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.body == b"x" * 15
        assert client.request("/").body == b"hello"


def test_a_complete_body_gets_its_length(asgi):
    assert asgi.get("/").headers["content-length"] == "5"


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 1_000_000])
def test_bodies_of_many_sizes_come_through(asgi, size):
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    answer = asgi.get("/echo", method="POST", body=body)
    assert answer.body == body
    assert answer.headers["content-length"] == str(size)


def test_head_has_no_body(asgi):
    with Client(asgi) as client:
        assert client.request("/", "HEAD").body == b""
        assert client.request("/").body == b"hello"


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_body(asgi, status):
    with Client(asgi) as client:
        answer = client.request(f"/status?{status}")
        assert (answer.status, answer.body) == (status, b"")
        assert client.request("/").body == b"hello"


def test_connection_close_is_honoured(asgi):
    raw = asgi.exchange(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
    assert Answer(raw).headers["connection"] == "close"


def test_http_1_0_closes(asgi):
    raw = asgi.exchange(b"GET / HTTP/1.0\r\n\r\n")
    assert raw.endswith(b"\r\n\r\nhello")


def test_http_1_0_stream_is_not_chunked(asgi):
    raw = asgi.exchange(b"GET /stream?3,4 HTTP/1.0\r\n\r\n")
    assert raw.endswith(b"\r\n\r\nxxxxxxxxxxxx")
    assert b"chunked" not in raw


def test_http_1_0_with_chunks_closes(asgi):
    raw = asgi.exchange(
        b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
        b"GET / HTTP/1.1\r\nHost: smuggled\r\n\r\n"
    )
    assert Answer(raw).headers["connection"] == "close"
    assert raw.endswith(b"\r\n\r\nbody")


def test_date_and_server(asgi):
    answer = asgi.get("/")
    assert answer.headers["server"] == "snakepit"
    assert answer.headers["date"].endswith(" GMT")


def test_an_app_may_set_its_own_date(asgi):
    answer = asgi.get("/headers")
    assert [value for name, value in answer.fields if name == "date"] == ["never"]
    assert [value for name, value in answer.fields if name == "x-two"] == ["a", "b"]


def test_expect_continue_is_answered_when_the_app_reads(asgi):
    with Client(asgi) as client:
        client.send(b"POST /late-read HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert client.read().status == 100
        asgi.wait_logged("reading now")
        client.send(b"body")
        assert client.read().body == b"body"
        assert client.request("/").body == b"hello"


def test_expect_continue_is_not_answered_when_the_app_does_not_read(asgi):
    raw = asgi.exchange(b"POST /ignore-body HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    assert Answer(raw).status == 200
    assert Answer(raw).headers["connection"] == "close"


def test_a_body_that_the_app_ignores_is_thrown_away(asgi):
    with Client(asgi) as client:
        client.send(b"POST /ignore-body HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n" + b"x" * 1000)
        assert client.read().body == b"ignored"
        client.send(b"x" * 99000)
        assert client.request("/").body == b"hello"


def test_a_very_long_ignored_body_ends_the_connection_after_the_answer(asgi):
    with asgi.connect() as sock:
        sock.sendall(b"POST /ignore-body HTTP/1.1\r\nHost: t\r\nContent-Length: 900000000\r\n\r\n")
        answer = sock.recv(65536)
        assert Answer(answer).status == 200
        with pytest.raises(ConnectionError):  # a reset or a broken pipe, as the kernel likes
            sock.sendall(b"x" * 900_000_000)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[31m\r\n\r\n", 400),
        (b"\r\n" * 5 + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"CONNECT host:80 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: cake\r\n\r\n", 417),
    ],
)
def test_bad_requests_get_their_status_and_a_close(asgi, request_, status):
    logged = asgi.err.count("Bad request")
    answer = Answer(asgi.exchange(request_))
    assert answer.status == status
    assert answer.headers["connection"] == "close"
    assert answer.body.endswith(b"\n")
    asgi.wait_logged("Bad request", times=logged + 1)
    assert "Traceback" not in asgi.err.split("Bad request")[-1]
    asgi.wait_logged(f"({status})")


def test_a_bad_request_is_logged_in_one_line(asgi):
    asgi.exchange(b"UTTER NONSENSE HERE\r\n\r\n")
    asgi.wait_logged("illegal request line")


def test_body_limit():
    with running("behaviors:app", "--limit-request-body", "1000", workers=1) as server:
        assert server.get("/length", method="POST", body=b"x" * 1000).text == "1000"
        assert server.get("/length", method="POST", body=b"x" * 1001).status == 413
        raw = server.exchange(
            b"POST /length HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"200\r\n" + b"x" * 512 + b"\r\n" + b"200\r\n" + b"x" * 512 + b"\r\n"
        )  # fmt: skip
        assert Answer(raw).status == 413


def test_headers_can_be_turned_off():
    with running("behaviors:app", "--no-date-header", "--no-server-header", workers=1) as server:
        answer = server.get("/")
        assert "date" not in answer.headers
        assert "server" not in answer.headers


def test_idle_connections_are_closed():
    with running("behaviors:app", "--timeout-keep-alive", "0.3", workers=1) as server, Client(server) as client:
        assert client.request("/").status == 200
        assert client.sock.recv(1) == b""


def test_without_keep_alive_time_answers_say_that_they_are_the_last():
    with running("behaviors:app", "--timeout-keep-alive", "0", workers=1) as server, Client(server) as client:
        assert client.request("/").headers["connection"] == "close"
        assert client.sock.recv(1) == b""


def test_a_slow_head_gets_408():
    with running("behaviors:app", "--timeout-request-head", "0.3", workers=1) as server:
        with server.connect() as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHo")
            assert Answer(read_all(sock)).status == 408
        with server.connect() as sock:
            assert read_all(sock) == b""


def test_scope(asgi):
    raw = asgi.exchange(
        b"GET /scope/a%20b/%C3%A9?x=%20y&z HTTP/1.1\r\nHost: test\r\nX-One: 1\r\nX-TWO: a\r\nx-two: b\r\n"
        b"Connection: close\r\n\r\n"
    )
    scope = json.loads(Answer(raw).body)
    assert scope["type"] == "http"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.3"}
    assert scope["http_version"] == "1.1"
    assert scope["method"] == "GET"
    assert scope["scheme"] == "http"
    assert scope["path"] == "/scope/a b/é"
    assert scope["raw_path"] == "/scope/a%20b/%C3%A9"
    assert scope["query_string"] == "x=%20y&z"
    assert scope["root_path"] == ""
    assert scope["headers"] == [
        ["host", "test"], ["x-one", "1"], ["x-two", "a"], ["x-two", "b"], ["connection", "close"],
    ]  # fmt: skip
    assert scope["client"][0] == "127.0.0.1"
    assert scope["server"] == ["127.0.0.1", asgi.port]
    assert len(scope["state"]["started_in"]) == 32


@pytest.mark.parametrize("scheme", [b"http", b"HTTP", b"hTTps"])
def test_absolute_target(asgi, scheme):
    raw = asgi.exchange(b"GET %s://test/scope?q HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n" % scheme)
    scope = json.loads(Answer(raw).body)
    assert (scope["path"], scope["query_string"]) == ("/scope", "q")


def test_root_path():
    with running("behaviors:app", "--root-path", "/api/", workers=1) as server:
        raw = server.exchange(b"GET /scope HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        assert Answer(raw).status == 500  # the path is /api/scope now, which this app does not know
        server.wait_logged("KeyError: 'api'")


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_unix_socket(tmp_path):
    path = tmp_path / "s.sock"
    with running("behaviors:app", "--uds", str(path), workers=1) as server:
        assert server.address == f"unix:{path}"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(b"GET /scope HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            scope = json.loads(Answer(read_all(sock)).body)
            assert scope["client"] is None
        assert server.stop() == 0
        assert not path.exists()

"""What a WSGI app can rely on (PEP 3333), over the real server."""

import json
import select
import socket
import threading
from contextlib import ExitStack

import pytest
from support import Answer, Client, read_all, running, wait_until, workers_of


def test_validated_by_wsgiref(wsgi):
    assert wsgi.get("/validated").body == b"valid:"
    assert wsgi.get("/validated", method="POST", body=b"abc").body == b"valid:abc"
    large = b"x" * 300_000
    assert wsgi.get("/validated", method="POST", body=large).body == b"valid:" + large


def test_environ(wsgi):
    raw = wsgi.exchange(
        b"GET /environ/a%20b/%C3%A9?x=%20y HTTP/1.1\r\nHost: test:1\r\nX-One: 1\r\nX-Two: a\r\nX-Two: b\r\n"
        b"Cookie: a=1\r\nCookie: b=2\r\nX_One: spoofed\r\nProxy: evil\r\nContent-Type: text/x\r\n"
        b"Connection: close\r\n\r\n"
    )
    environ = json.loads(Answer(raw).body)
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["PATH_INFO"] == "/environ/a b/é".encode().decode("latin-1")
    assert environ["QUERY_STRING"] == "x=%20y"
    assert environ["RAW_URI"] == environ["REQUEST_URI"] == "/environ/a%20b/%C3%A9?x=%20y"
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["SERVER_NAME"] == "127.0.0.1"
    assert environ["SERVER_PORT"] == str(wsgi.port)
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["HTTP_HOST"] == "test:1"
    assert environ["HTTP_X_ONE"] == "1"
    assert environ["HTTP_X_TWO"] == "a,b"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["CONTENT_TYPE"] == "text/x"
    assert "HTTP_PROXY" not in environ
    assert "CONTENT_LENGTH" not in environ
    assert environ["wsgi.version"] == [1, 0]
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.multithread"] is True
    assert environ["wsgi.multiprocess"] is (workers_of(2) > 1)
    assert environ["wsgi.run_once"] is False


def test_multithread_and_multiprocess_say_what_is():
    with running("wsgi_behaviors:app", "--threads", "1", "--root-path", "/api", workers=1) as server:
        environ = json.loads(server.get("/environ").body)
        assert environ["wsgi.multithread"] is False
        assert environ["wsgi.multiprocess"] is False
        assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/api", "/environ")


@pytest.mark.parametrize("size", [0, 1, 65536, 1_000_000])
def test_read_to_the_end(wsgi, size):
    body = b"ab" * (size // 2) + b"c" * (size % 2)
    assert wsgi.get("/read", method="POST", body=body).body == body


def test_read_in_pieces(wsgi):
    assert wsgi.get("/read-some", method="POST", body=b"x" * 150_500).text == "151 150500"


def test_chunked_request(wsgi):
    raw = wsgi.exchange(
        b"POST /read HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert Answer(raw).body == b"abcde"


@pytest.mark.parametrize("piecewise", [False, True])
def test_lines(wsgi, piecewise):
    body = b"one\ntwo\nthree"
    with Client(wsgi) as client:
        client.send(b"POST /lines HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(body))
        if piecewise:
            for byte in body:
                client.send(bytes([byte]))
        else:
            client.send(body)
        assert json.loads(client.read().body) == ["one\n", ["two\n", "three"]]
        assert json.loads(client.request("/readlines", "POST", body).body) == ["one\n", "two\n", "three"]


def test_write_callable(wsgi):
    assert wsgi.get("/write").body == b"first second third"


def test_close_is_called(wsgi):
    before = wsgi.err.count("close() called")
    assert wsgi.get("/closing").body == b"ab"
    wsgi.wait_logged("close() called", times=before + 1)


def test_close_is_called_after_an_error(wsgi):
    before = wsgi.err.count("close() called")
    raw = wsgi.exchange(b"GET /raise-within HTTP/1.1\r\nHost: t\r\n\r\n")
    assert not raw.endswith(b"0\r\n\r\n")
    wsgi.wait_logged("ValueError: raised while iterating")
    wsgi.wait_logged("close() called", times=before + 1)


def test_close_is_called_when_the_client_goes(wsgi):
    before = wsgi.err.count("close() called")
    with Client(wsgi) as client:
        client.send(b"GET /stream-closing HTTP/1.1\r\nHost: t\r\n\r\n")
        client.sock.recv(10)
    wsgi.wait_logged("close() called", times=before + 1)


def test_generator_and_late_start(wsgi):
    assert wsgi.get("/generator").text == "piece 0\npiece 1\npiece 2\n"
    answer = wsgi.get("/late-start")
    assert (answer.status, answer.body) == (201, b"late")


def test_exc_info(wsgi):
    answer = wsgi.get("/exc-info")
    assert (answer.status, answer.body) == (500, b"replaced")
    assert "x-second" in answer.headers
    assert "x-first" not in answer.headers


def test_exc_info_after_the_head_was_sent_raises(wsgi):
    raw = wsgi.exchange(b"GET /exc-info-late HTTP/1.1\r\nHost: t\r\n\r\n")
    assert b"never" not in raw
    wsgi.wait_logged("ValueError: too late to change my mind")


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/raise-before", "ValueError: raised before the response"),
        ("/raise-exit", "SystemExit: 5"),
        ("/twice", "start_response was called twice without exc_info"),
        ("/too-long", "Too much data for declared Content-Length"),
        ("/control-header", "Illegal header value"),
        ("/no-start", "the app sent a body before it called start_response"),
    ],
)
def test_a_failing_app_gets_500_and_lives_on(wsgi, path, logged):
    assert wsgi.get(path).status == 500
    wsgi.wait_logged(logged)
    assert wsgi.get("/").body == b"hello"


def test_file_wrapper(wsgi):
    assert wsgi.get("/file-wrapper").body == b"0123456789" * 20000


@pytest.mark.parametrize("length", [0, 20, 8192, 10_000])
def test_a_file_that_is_longer_than_announced_is_cut(wsgi, length):
    with Client(wsgi) as client:
        answer = client.request(f"/file-longer?{length}")
        assert (answer.status, answer.body) == (200, (b"0123456789" * 1000)[:length])
        assert client.request("/").body == b"hello"


def test_head_of_a_stream_is_complete_with_its_head(wsgi):
    before = wsgi.err.count("close() called")
    with Client(wsgi) as client:
        assert client.request("/stream-closing", "HEAD").status == 200
        assert client.request("/").body == b"hello"
        wsgi.wait_logged("close() called", times=before + 1)
        assert client.request("/").body == b"hello"


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_unix_socket(tmp_path):
    path = tmp_path / "s.sock"
    with running("wsgi_behaviors:app", "--uds", str(path), workers=1), socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sock.sendall(b"GET /environ HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
        environ = json.loads(Answer(read_all(sock)).body)
        assert [environ[key] for key in ("REMOTE_ADDR", "SERVER_NAME", "SERVER_PORT")] == ["", "localhost", "80"]


def test_head(wsgi):
    with Client(wsgi) as client:
        answer = client.request("/", "HEAD")
        assert (answer.status, answer.headers["content-length"]) == (200, "5")
        assert client.request("/").body == b"hello"


@pytest.mark.parametrize("status", [200, 204, 304, 404, 599])
def test_statuses(wsgi, status):
    with Client(wsgi) as client:
        assert client.request(f"/status?{status}").status == status
        assert client.request("/").body == b"hello"


def test_errors_stream(wsgi):
    wsgi.get("/errors")
    wsgi.wait_logged("written to wsgi.errors")


def test_hop_by_hop_fields_are_dropped(wsgi):
    with Client(wsgi) as client:
        answer = client.request("/hop-by-hop")
        assert answer.body == b"x"
        assert client.request("/").body == b"hello"


def test_ignored_body(wsgi):
    with Client(wsgi) as client:
        assert client.request("/ignore-body", "POST", b"x" * 200_000).body == b"ignored"
        assert client.request("/").body == b"hello"


def test_threads_serve_at_once(held):
    with running("wsgi_behaviors:app", "--threads", "4", workers=1) as server, ExitStack() as open_:
        clients = [open_.enter_context(Client(server)) for _ in range(4)]
        for client in clients:
            client.send(held.request())
        server.wait_logged("holding", times=4)
        held.release()
        assert len({client.read().text.split()[1] for client in clients}) == 4


@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_response_leaves_though_the_app_takes_long_to_close_it(held, threads):
    with running("wsgi_behaviors:app", "--threads", threads, workers=1) as server, Client(server) as client:
        for _ in range(10):  # quick ones: its thread may keep what it answers
            assert client.request("/").body == b"hello"
        client.send(held.request("/hold-close"))
        assert client.read().body == b"complete"
        server.wait_logged("holding")
        held.release()
        server.wait_logged("close() called")
        assert client.request("/").body == b"hello"


@pytest.mark.parametrize("threads", ["1", "4"])
def test_what_an_app_streams_leaves_though_it_takes_long_to_go_on(held, threads):
    with running("wsgi_behaviors:app", "--threads", threads, workers=1) as server, Client(server) as client:
        for _ in range(10):
            assert client.request("/").body == b"hello"
        client.send(held.request("/hold-stream"))
        client.read_head()
        assert client.file.readline() == b"5\r\n"
        assert client.file.readline() == b"first\r\n"
        server.wait_logged("holding")
        held.release()
        assert client.file.read(1) != b"0", "the rest"


def test_streams_whose_clients_do_not_read_hold_up_nobody_else():
    """Each has a thread to itself, which waits for credit."""
    with running("wsgi_behaviors:app", "--threads", "3", workers=1) as server, ExitStack() as open_:
        streams = [open_.enter_context(Client(server)) for _ in range(2)]
        for stream in streams:
            stream.send(b"GET /stream?2000,65536 HTTP/1.1\r\nHost: t\r\n\r\n")
            assert stream.read_head().status == 200
        with Client(server) as client:
            for _ in range(50):
                assert client.request("/").body == b"hello"
            assert client.request("/read", "POST", b"x" * 500_000).body == b"x" * 500_000


def test_more_requests_than_threads_wait_in_line():
    with running("wsgi_behaviors:app", "--threads", "2", workers=2) as server:
        answers = []
        clients = [threading.Thread(target=lambda: answers.append(server.get("/sleep?0.05").status)) for _ in range(20)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert answers == [200] * 20


def test_a_full_line_gets_503_with_retry_after(held):
    with (
        running("wsgi_behaviors:app", "--threads", "1", "--limit-waiting", "1", workers=1) as server,
        ExitStack() as open_,
    ):
        busy, *others = clients = [open_.enter_context(Client(server)) for _ in range(4)]
        busy.send(held.request())
        server.wait_logged("holding")
        for client in others:
            client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        waiting = [client.sock for client in others]
        wait_until(lambda: len(select.select(waiting, [], [], 0)[0]) == 2, "two are refused")
        held.release()
        answers = [client.read() for client in clients]
        assert sorted(answer.status for answer in answers) == [200, 200, 503, 503]
        refused = next(answer for answer in answers if answer.status == 503)
        assert refused.headers["retry-after"] == "1"
        assert busy.request("/").status == 200


def test_waiting_too_long_gets_503(held):
    options = ("--threads", "1", "--timeout-waiting", "0.2")
    with running("wsgi_behaviors:app", *options, workers=1) as server, Client(server) as first:
        first.send(held.request())
        server.wait_logged("holding")
        assert server.get("/").status == 503
        held.release()
        assert first.read().status == 200


def test_a_waiting_client_that_goes_leaves_the_line(held):
    with running("wsgi_behaviors:app", "--threads", "1", "--limit-waiting", "1", workers=1) as server:
        with Client(server) as first:
            first.send(held.request())
            server.wait_logged("holding")
            for _ in range(5):
                gone = Client(server)
                gone.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
                gone.close()
            # a request that came before the server has seen that the last one left would be refused
            wait_until(lambda: '"waiting": 0' in server.command("status", "--json").stdout, "the line is empty")
            held.release()
            assert first.read().status == 200
        assert server.get("/").body == b"hello"


def test_limit_concurrency(held):
    with running("wsgi_behaviors:app", "--limit-concurrency", "1", workers=2) as server, Client(server) as first:
        first.send(held.request())
        wait_until(lambda: server.get("/").status == 503, "the limit is reached")
        held.release()
        assert first.read().status == 200
        wait_until(lambda: server.get("/").status == 200, "there is room again")

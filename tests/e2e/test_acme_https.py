"""snakepit.acme.https: requests to a server that does what it wants."""

import contextlib
import os
import socket
import ssl
import threading
from http.server import ThreadingHTTPServer

import pytest
from acme_stage import QuietHandler, serving
from pebble import server_certificate
from support import ONE_RUNTIME

from snakepit.acme import https
from snakepit.acme.https import Https, trusting
from snakepit.acme.problems import AcmeStopped, CaUnreachable
from snakepit.acme.steps import Request
from snakepit.acme.stopping import Stop

pytestmark = ONE_RUNTIME


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return server_certificate(tmp_path_factory.mktemp("ca"))


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def stop():
    return Stop()


@pytest.fixture
def web(files, stop):
    return Https(trusting(str(files[0])), stop)


@contextlib.contextmanager
def answering(files, reply):
    class Handler(QuietHandler):
        def do_any(self):
            size = int(self.headers.get("Content-Length", 0))
            reply(self, self.rfile.read(size))

        do_GET = do_POST = do_HEAD = do_any

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server):
        yield f"https://127.0.0.1:{server.server_address[1]}"


def test_a_request_and_its_response(files, web):
    seen = []

    def reply(handler, body):
        seen.append((handler.command, handler.path, body, handler.headers))
        handler.reply(201, b"yes", [("Retry-After", "7"), ("Location", "https://x/1"), ("Replay-Nonce", "n")])

    with answering(files, reply) as url:
        found = web.wait_response(Request("POST", f"{url}/a/b?c=d", b"{}", "text/plain"))
        web.wait_response(Request("HEAD", f"{url}"))
    assert (found.status, found.body, found.retry_after) == (201, b"yes", 7.0)
    assert (found.headers["location"], found.headers["replay-nonce"]) == ("https://x/1", "n")
    method, path, body, headers = seen[0]
    assert (method, path, body) == ("POST", "/a/b?c=d", b"{}")
    assert headers["Content-Type"] == "application/jose+json"
    assert headers["Accept"] == "text/plain"
    assert headers["User-Agent"].startswith("snakepit/")
    assert seen[1][:3] == ("HEAD", "/", b"")
    assert seen[1][3]["Content-Type"] is None


def test_a_redirect_is_not_followed(files, web):
    with answering(files, lambda handler, body: handler.reply(302, b"", [("Location", "https://evil.test/")])) as url:
        assert web.wait_response(Request("GET", url)).status == 302


def test_a_body_without_an_end(files, web, monkeypatch):
    monkeypatch.setattr(https, "MOST_BYTES", 1000)
    with (
        answering(files, lambda handler, body: handler.reply(200, b"x" * 1001)) as url,
        pytest.raises(CaUnreachable, match="sends more than 1000 bytes"),
    ):
        web.wait_response(Request("GET", url))


def drip(handler, body):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(1_000_000):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            threading.Event().wait(0.001)


def test_a_response_that_drips(files, web, monkeypatch):
    monkeypatch.setattr(https, "LONGEST", 0.2)
    with answering(files, drip) as url, pytest.raises(CaUnreachable, match=r"more than 0 seconds|less than it says"):
        web.wait_response(Request("GET", url))


def test_a_server_that_is_not_trusted(files, stop):
    with (
        answering(files, lambda handler, body: handler.reply(200)) as url,
        pytest.raises(CaUnreachable, match=r"127\.0\.0\.1 can't be reached: .*certificate verify failed"),
    ):
        Https(trusting(None), stop).wait_response(Request("GET", url))


@pytest.mark.parametrize("sent", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
def test_what_is_no_answer(files, web, sent):
    def reply(handler, body):
        handler.wfile.write(sent)
        handler.close_connection = True

    with answering(files, reply) as url, pytest.raises(CaUnreachable, match=r"can't be reached|less than it says"):
        web.wait_response(Request("GET", url))


def test_nobody_listens(web):
    with pytest.raises(CaUnreachable, match="refused"):
        web.wait_response(Request("GET", "https://127.0.0.1:9/"))


def test_a_stop_ends_a_request_that_is_under_way(files, web, stop):
    arrived = threading.Event()

    def hang(handler, body):
        arrived.set()
        with contextlib.suppress(OSError):
            handler.connection.recv(1)

    ended = []

    def ask(url):
        with pytest.raises(AcmeStopped):
            web.wait_response(Request("GET", url))
        ended.append(True)

    with answering(files, hang) as url:
        thread = threading.Thread(target=ask, args=(url,), daemon=True)
        thread.start()
        assert arrived.wait(60)
        stop.set()
        thread.join()
    assert ended
    with pytest.raises(AcmeStopped):
        web.wait_response(Request("GET", url))


def test_through_a_proxy(files, web, monkeypatch):
    seen = []
    with (
        answering(files, lambda handler, body: handler.reply(200, b"yes")) as url,
        socket.create_server(("127.0.0.1", 0)) as proxy,
    ):

        def serve():
            near, _ = proxy.accept()
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += near.recv(1)
            seen.append(head.decode())
            far = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
            near.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            back = threading.Thread(target=copy, args=(far, near), daemon=True)
            back.start()
            copy(near, far)
            back.join()
            near.close()
            far.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://me:p%40ss@127.0.0.1:{proxy.getsockname()[1]}")
        assert web.wait_response(Request("GET", f"{url}/x")).body == b"yes"
        thread.join()
    assert seen[0].startswith(f"CONNECT {url.removeprefix('https://')} HTTP/1.")
    assert "Proxy-Authorization: Basic bWU6cEBzcw==" in seen[0]


def copy(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def test_plain_http_for_questions_on_this_machine(web):
    class Handler(QuietHandler):
        def do_GET(self):
            self.reply(200, self.path.encode())

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        found = web.wait_response(Request("GET", f"http://127.0.0.1:{server.server_address[1]}/ask?domain=x"))
    assert found.body == b"/ask?domain=x"

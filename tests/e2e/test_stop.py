"""A stop waits only for requests that can be answered. The limit is so long here that a test fails if the server waits
for it."""

import base64
import re
import signal
import sys
from contextlib import ExitStack

import pytest
from support import ONE_RUNTIME, RUNTIME, Client, Server, running, wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

FOR_EVER = ("--timeout-graceful-shutdown", "600", "--buffer-request-body", "0")
HALF_HEAD = b"GET / HTTP/1.1\r\nHo"
HALF_BODY = b"POST %b HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc"
HANDSHAKE = (
    b"GET /socket HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: " + base64.b64encode(b"x" * 16) + b"\r\n\r\n"
)

http = pytest.mark.parametrize("http", ["h11", "httptools"])


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode()


def ends(server):
    """Stop the server, which has something to wait for; it ends all the same."""
    assert server.stop(signal.SIGTERM) == 0
    assert "Traceback" not in server.err, server.err
    assert "Cut " not in server.err


@pytest.mark.parametrize("sent", [b"", b"G", HALF_HEAD], ids=["nothing", "a byte", "half"])
@http
@ONE_RUNTIME
def test_a_client_that_has_not_sent_its_head(sent, http):
    with running("ending:app", *FOR_EVER, "--http", http) as server, Client(server) as client, Client(server) as other:
        client.send(sent)
        assert other.request("/").status == 200
        ends(server)
        assert client.sock.recv(100) == b""


@pytest.mark.parametrize("app", ["ending:app", "ending:wsgi"])
@http
def test_a_body_that_was_answered_before_it_had_come(app, http):
    with running(app, *FOR_EVER, "--http", http) as server, Client(server) as client:
        client.send(HALF_BODY % b"/")
        assert client.read().status == 200
        ends(server)


@http
def test_a_body_that_is_kept_until_it_is_here(http):
    with running("ending:wsgi", *FOR_EVER[:-2], "--http", http) as server, Client(server) as client:
        client.send(HALF_BODY % b"/upload")
        with Client(server) as other:
            assert other.request("/").status == 200
        ends(server)
        assert client.read().status == 503
        assert "reads" not in server.err


@pytest.mark.parametrize("app", ["ending:app", "ending:wsgi"])
@http
def test_a_body_that_the_app_waits_for(app, http):
    with running(app, *FOR_EVER, "--http", http) as server, Client(server) as client:
        client.send(HALF_BODY % b"/upload")
        server.wait_logged("reads")
        ends(server)
        assert client.read().status == 503


@pytest.mark.parametrize("app", ["ending:app", "ending:wsgi"])
def test_a_body_that_goes_on_coming_is_waited_for(app):
    with running(app, *FOR_EVER) as server, Client(server) as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n")
        server.wait_logged("reads")
        server.process.send_signal(signal.SIGTERM)
        server.wait_logged("Stopping")
        for piece in b"abcde":
            client.send(bytes([piece]))
        assert client.read().body == b"5"
        assert server.wait_ended() == 0


@pytest.mark.parametrize("app", ["ending:app", "ending:listening", "ending:wsgi"])
def test_event_streams_are_ended(app):
    with running(app, *FOR_EVER) as server, ExitStack() as stack:
        clients = [stack.enter_context(Client(server)) for _ in range(3)]
        for client in clients:
            client.send(get("/events"))
            assert b"data: 1" in client.sock.recv(65536)
        ends(server)
        assert server.err.count("tidied up") == len(clients)


def test_websockets_are_closed_and_clients_that_do_not_answer_are_not_waited_for():
    with running("ending:app", *FOR_EVER) as server, Client(server) as client:
        client.send(HANDSHAKE)
        assert client.sock.recv(65536).startswith(b"HTTP/1.1 101 ")
        ends(server)
        assert client.sock.recv(100) == b"\x88\x02" + (1012).to_bytes(2)
        assert "heard 1012" in server.err


def test_all_of_it_at_once_and_ordinary_requests_are_answered():
    with running("ending:app", *FOR_EVER) as server, ExitStack() as stack:

        def clients(count, sends):
            made = [stack.enter_context(Client(server)) for _ in range(count)]
            for client in made:
                client.send(sends)
            return made

        clients(50, HALF_HEAD)
        clients(50, HALF_BODY % b"/upload")
        events, sockets = clients(20, get("/events")), clients(20, HANDSHAKE)
        ordinary = clients(20, get("/sleep"))
        for client in events + sockets:
            assert client.sock.recv(65536)
        server.wait_logged("sleeps", times=20)
        server.process.send_signal(signal.SIGTERM)
        assert [client.read().status for client in ordinary] == [200] * 20
        assert server.wait_ended() == 0
        assert "Traceback" not in server.err, server.err


def test_what_is_waited_for_is_said():
    with running("ending:app", *FOR_EVER) as server, Client(server) as client, Client(server) as other:
        for each in (client, other):
            each.send(get("/sleep"))
        server.wait_logged("sleeps", times=2)
        server.process.send_signal(signal.SIGTERM)
        server.wait_logged("Waiting for")
        line = next(line for line in server.err.splitlines() if "Waiting for" in line)
        assert re.search(
            r"Waiting for 2 requests, of which the oldest, GET /sleep, came \d+ s ago "
            r"\(\d+ s at most; a second Ctrl\+C or SIGTERM ends at once\)$",
            line,
        ), line
        for each in (client, other):
            assert each.read().status == 200
        assert server.wait_ended() == 0


def test_a_client_that_still_reads_is_waited_for_and_said():
    with running("ending:app", *FOR_EVER) as server, Client(server) as client:
        client.send(get("/large"))
        assert client.sock.recv(1)
        server.process.send_signal(signal.SIGTERM)
        server.wait_logged("Waiting for")
        assert len(client.sock.makefile("rb").read()) > 10_000_000
        assert server.wait_ended() == 0


@pytest.mark.parametrize(
    "how", ["import sleeps", "import tries", "import connects", "lifespan waits", "lifespan tries", "lifespan sleeps"]
)
def test_nobody_waits_for_what_is_still_starting(how):
    server = Server("starting:app", "--port", "0", "-n", "2", *FOR_EVER, env={"STARTING": how})
    try:
        server.wait_logged("begun")
        assert server.stop(signal.SIGINT) == 0
        assert "Traceback" not in server.err, server.err
        assert "Listening" not in server.err
        assert ("tidied up" in server.err) == (how in ("import tries", "lifespan tries", "lifespan waits"))
    finally:
        server.kill()


def test_what_a_start_up_has_begun_is_ended_in_its_own_time():
    server = Server("starting:app", "--port", "0", "-n", "1", *FOR_EVER, env={"STARTING": "lifespan tidies up slowly"})
    try:
        server.wait_logged("begun")
        assert server.stop(signal.SIGINT) == 0
        assert "tidied up" in server.err
        assert "does not end" not in server.err
    finally:
        server.kill()


def test_a_thread_of_the_apps_that_reads_on_after_the_response_hears_of_it():
    with running("ending:wsgi", *FOR_EVER, "--threads", "2", workers=1) as server, Client(server) as client:
        client.send(HALF_BODY % b"/reads-on")
        assert client.read().status == 200
        server.wait_logged("the thread got ValueError")
        wait_until(lambda: server.get("/").status == 200, "the server serves")
        ends(server)


def test_a_thread_of_the_apps_may_read_while_the_response_is_sent():
    size = 3_000_000
    with running("ending:wsgi", *FOR_EVER, "--threads", "1", workers=1) as server:
        for _ in range(3):
            with Client(server) as client:
                client.send(f"POST /both HTTP/1.1\r\nHost: t\r\nContent-Length: {size}\r\n\r\n".encode())
                client.send(bytes(size))
                body = client.read().body
                assert body.endswith(b"read %d" % size)
                assert len(body) > size
        ends(server)


@pytest.mark.skipif(RUNTIME == "thread", reason="one worker")
def test_a_worker_that_is_starting_is_not_waited_for_when_others_serve(tmp_path):
    (tmp_path / "flag.py").write_text(
        "import os, sys, time\n"
        "if os.path.exists('flag'):\n    print('begun', file=sys.stderr, flush=True)\n    time.sleep(600)\n"
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'ok']\n"
    )
    with running("flag:app", *FOR_EVER, cwd=tmp_path) as server:
        (tmp_path / "flag").touch()
        server.process.send_signal(signal.SIGHUP)
        server.wait_logged("begun")
        assert server.get("/").status == 200
        ends(server)


@pytest.mark.parametrize("what", ["", "thread"])
@pytest.mark.skipif(RUNTIME != "interpreter", reason="it is an interpreter that takes for ever to be closed")
def test_an_interpreter_that_takes_for_ever_to_be_closed(what, tmp_path):
    """The process ends all the same, when the app's threads have ended, and what it has written is in its files."""
    with running("closing:app", *FOR_EVER) as server:
        assert server.get(f"/?{what}&{tmp_path / 'file'}").status == 200
        ends(server)
        assert "does not end" not in server.err
    lines = (tmp_path / "file").read_text().splitlines()
    assert lines == ["written", *(f"and later {count}" for count in range(5 if what else 0))]

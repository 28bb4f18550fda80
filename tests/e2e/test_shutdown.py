"""The end: signals, deadlines, and what must not be left behind."""

import signal
import sys
import time
from contextlib import ExitStack, closing

import pytest
from support import NOT_ENDING, RUNTIME, Client, Server, read_all, running, wait_until, workers_of

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
@POSIX
def test_in_flight_requests_are_finished(app, number):
    with running(app) as server, Client(server) as busy, Client(server) as idle:
        assert idle.request("/").status == 200
        busy.send(b"GET /sleep?1.5 HTTP/1.1\r\nHost: t\r\n\r\n")
        wait_until(lambda: server.get("/").status == 200, "the server serves")
        server.process.send_signal(number)
        assert idle.sock.recv(1) == b""  # an idle connection is closed at once
        server.wait_logged("Stopping")
        answer = busy.read()
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert server.wait_ended() == 0
        assert "Traceback" not in server.err


@POSIX
def test_nothing_is_accepted_while_stopping():
    with running("behaviors:app") as server, Client(server) as busy:
        busy.send(b"GET /sleep?1.5 HTTP/1.1\r\nHost: t\r\n\r\n")
        wait_until(lambda: server.get("/").status == 200, "the server serves")
        server.process.send_signal(signal.SIGTERM)
        server.wait_logged("Stopping")
        with pytest.raises(ConnectionError):
            server.connect()
        assert busy.read().status == 200
        assert server.wait_ended() == 0


@POSIX
@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_five_hundred_requests_in_flight_are_answered(app):
    """Also those that are still in sockets, read by nobody, when the signal comes, and those in the backlog."""
    with running(app) as server, ExitStack() as open_until_then:
        clients = [open_until_then.enter_context(closing(server.connect())) for _ in range(450)]
        for client in clients:
            client.sendall(b"GET /sleep?0.05 HTTP/1.1\r\nHost: t\r\n\r\n")
        for _ in range(50):
            clients.append(open_until_then.enter_context(closing(server.connect())))
            clients[-1].sendall(b"GET /sleep?0.05 HTTP/1.1\r\nHost: t\r\n\r\n")
        server.process.send_signal(signal.SIGTERM)
        assert {read_all(client).partition(b"\r\n")[0] for client in clients} == {b"HTTP/1.1 200 OK"}
        assert server.wait_ended() == 0


@pytest.mark.parametrize("path", ["/sleep?30", "/until-disconnect", "/slow-reader?10"])
@POSIX
def test_at_the_limit_what_is_left_is_cut(path):
    with running("behaviors:app", "--timeout-graceful-shutdown", "0.5") as server, Client(server) as busy:
        busy.send(f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n".encode() + b"x" * 100_000)
        wait_until(lambda: server.get("/").status == 200, "the server serves")
        began = time.monotonic()
        assert server.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began < 15
        assert "Cut 1 request still in flight after 0.5 s" in server.err
        assert server.err.count("lifespan shutdown") == workers_of(2)


@POSIX
def test_a_thread_that_never_ends_does_not_hold_the_end_up():
    with running("wsgi_behaviors:app", "--timeout-graceful-shutdown", "0.3") as server, Client(server) as busy:
        busy.send(b"GET /sleep?60 HTTP/1.1\r\nHost: t\r\n\r\n")
        server.wait_logged("sleeping")
        assert server.stop(signal.SIGTERM) == 0
        assert NOT_ENDING in server.err


@POSIX
def test_an_ordinary_thread_of_the_app_that_does_not_end_does_not_hold_the_end_up():
    with running("lasting:app", "--timeout-graceful-shutdown", "0.3") as server:
        assert server.get("/").body == b"hello"
        assert server.stop(signal.SIGTERM) == 0
        assert NOT_ENDING in server.err


@POSIX
def test_a_second_signal_ends_at_once():
    with running("behaviors:app") as server, Client(server) as busy:
        busy.send(b"GET /block?60 HTTP/1.1\r\nHost: t\r\n\r\n")
        server.wait_logged("blocking")
        for _ in range(2):
            server.process.send_signal(signal.SIGINT)  # twice at once counts as one, as timeout(1) sends it
        server.wait_logged("Stopping")
        assert server.process.poll() is None

        def pressed_again() -> bool:
            server.process.send_signal(signal.SIGINT)
            return server.process.poll() is not None

        wait_until(pressed_again, "a later signal ends the server")
        assert server.wait_ended() == 128 + signal.SIGINT
        assert "Traceback" not in server.err


@POSIX
def test_ctrl_c_while_workers_import(tmp_path):
    (tmp_path / "slow_import.py").write_text(
        "import sys, time\nprint('importing', file=sys.stderr, flush=True)\ntime.sleep(1)\n"
        "def app(environ, start_response): ...\n"
    )
    server = Server("slow_import:app", "--port", "0", "-n", "2", cwd=tmp_path)
    try:
        server.wait_logged("importing", times=workers_of(2))
        server.process.send_signal(signal.SIGINT)
        assert server.wait_ended() == 0
        assert "Traceback" not in server.err
        assert "Listening" not in server.err
    finally:
        server.kill()


@POSIX
def test_ctrl_c_at_any_moment_prints_no_traceback():
    for delay in (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4):
        server = Server("behaviors:app", "--port", "0", "-n", "2")
        try:
            time.sleep(delay)  # the moment itself is what varies; nothing is waited for
            server.process.send_signal(signal.SIGINT)
            server.wait_ended()
            early = "site.py" in server.err or "<frozen" in server.err  # the interpreter itself had not started yet
            assert early or "Traceback" not in server.err, server.err
        finally:
            server.kill()


@POSIX
def test_a_response_that_a_slow_client_still_reads_is_not_cut():
    size = 3_000_000
    with running("behaviors:app") as server, server.connect() as sock:
        sock.sendall(f"GET /one-body?{size} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        received = sock.recv(1000)
        server.process.send_signal(signal.SIGTERM)
        server.wait_logged("Stopping")
        while piece := sock.recv(65536):
            received += piece
        assert len(received.partition(b"\r\n\r\n")[2]) == size
        assert server.wait_ended() == 0


@POSIX
def test_a_request_of_which_some_has_come_is_answered():
    with running("behaviors:app") as server, server.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHo")
        assert server.get("/").status == 200  # what came later was read, so that was, too
        server.process.send_signal(signal.SIGTERM)
        server.wait_logged("Stopping")
        sock.sendall(b"st: t\r\n\r\n")
        assert read_all(sock).endswith(b"hello")
        assert server.wait_ended() == 0


def test_daemon_threads_do_not_hold_the_end_up():
    with running("daemon:app") as server:
        assert server.get("/").body == b"hello"
        assert server.stop(signal.SIGTERM) == 0
        closes_it = RUNTIME == "interpreter"  # elsewhere daemon threads end with their process, as ever
        assert ("leaves a daemon thread running (endless)" in server.err) is closes_it


def test_keep_alive_clients_are_told_when_the_server_stops():
    with running("behaviors:app") as server:
        clients = [Client(server) for _ in range(50)]
        for client in clients:
            client.send(b"GET /sleep?1.5 HTTP/1.1\r\nHost: t\r\n\r\n")
        wait_until(lambda: server.get("/").status == 200, "the server serves")
        assert server.stop(signal.SIGTERM) == 0
        answers = [client.read() for client in clients]
        assert {answer.status for answer in answers} == {200}
        for client in clients:
            client.close()

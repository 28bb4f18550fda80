"""The end: signals, deadlines, and what must not be left behind."""

import signal
import sys
from contextlib import ExitStack, closing

import pytest
from support import NOT_ENDING, ONE_RUNTIME, RUNTIME, Client, Server, read_all, running, wait_until, workers_of

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
@POSIX
def test_in_flight_requests_are_finished(app, number, held):
    with running(app) as server, Client(server) as busy, Client(server) as idle:
        assert idle.request("/").status == 200
        busy.send(held.request())
        server.wait_logged("holding")
        server.process.send_signal(number)
        assert idle.sock.recv(1) == b""  # an idle connection is closed at once
        server.wait_logged("Stopping")
        held.release()
        answer = busy.read()
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert server.wait_ended() == 0
        assert "Traceback" not in server.err


@POSIX
def test_nothing_is_accepted_while_stopping(held):
    with running("behaviors:app") as server, Client(server) as busy:
        busy.send(held.request())
        server.wait_logged("holding")
        server.process.send_signal(signal.SIGTERM)
        server.wait_logged("Stopping")
        with pytest.raises(ConnectionError):
            server.connect()
        held.release()
        assert busy.read().status == 200
        assert server.wait_ended() == 0


@POSIX
@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_five_hundred_requests_in_flight_are_answered(app):
    """Also those that are still unread in sockets when the signal comes, and those in the backlog."""
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


@pytest.mark.parametrize("path", ["/sleep?1000", "/until-disconnect", "/slow-reader?10"])
@POSIX
def test_at_the_limit_what_is_left_is_cut(path):
    with running("behaviors:app", "--timeout-graceful-shutdown", "0.5") as server, Client(server) as busy:
        busy.send(f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n".encode() + b"x" * 100_000)
        wait_until(lambda: server.get("/").status == 200, "the server serves")
        assert server.stop(signal.SIGTERM) == 0
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
def test_a_second_signal_ends_at_once(held):
    with running("behaviors:app") as server, Client(server) as busy:
        busy.send(held.request("/hold-loop"))
        server.wait_logged("holding")
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
        server.wait_logged("importing")
        server.process.send_signal(signal.SIGINT)
        assert server.wait_ended() == 0
        assert "Traceback" not in server.err
        assert "Listening" not in server.err
    finally:
        server.kill()


PRESS = """
import os, signal, sys
begins, moment, supervised = os.environ["PRESS"].split()
left = int(moment) if begins == "python" else None

def look(event, arguments):
    global left
    if left is None:
        if event == "import" and arguments[0] == "snakepit.supervisor.first_look":
            left = int(moment)
    elif left >= 0:
        left -= 1
        if left < 0:
            print("Pressed", file=sys.stderr, flush=True)
            os.killpg(0, signal.SIGINT)

if int(supervised) == ("SNAKEPIT_SUPERVISED" in os.environ):
    sys.addaudithook(look)
"""
"""Presses Ctrl+C at the so-manieth of the moments that Python gives audit hooks to look: imports, files, sockets; after
`main` has begun or Python itself; in the process with a supervisor, or in the other one."""

TO_THE_CHILD = (0, 10, 50)  # which the supervisor starts at the 60th moment or later
TO_THE_PORT = (0, 10, 70, 200, 700, 1400)  # on which a server process listens at the 1,500th on 3.13, later on 3.14
TO_MAIN = (0, 1, 10, 30)  # which begins at the 40th or later

MOMENTS = (
    [("main", 0, TO_THE_PORT)]
    if RUNTIME == "thread"  # which has no supervisor
    else [("main", 0, TO_THE_CHILD), ("python", 1, TO_MAIN), ("main", 1, TO_THE_PORT)]
)


@POSIX
@pytest.mark.parametrize(
    "press", [f"{begins} {moment} {supervised}" for begins, supervised, moments in MOMENTS for moment in moments]
)
def test_ctrl_c_at_any_moment_prints_no_traceback(press, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(PRESS)
    env = {"PRESS": press, "PYTHONPATH": str(tmp_path)}
    server = Server("behaviors:app", "--port", "0", "-n", "2", env=env, group=True)
    try:
        wait_until(lambda: "Pressed" in server.err or "Listening" in server.err, "that moment comes")
        assert server.err.count("Pressed\n") == 1, "it comes before the server listens"
        assert server.wait_ended() in (0, -signal.SIGINT, 128 + signal.SIGINT)
        others = [line for line in server.err.splitlines() if " INFO " not in line and "lifespan " not in line]
        assert others == ["Pressed"]
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


@ONE_RUNTIME
def test_an_interpreter_is_closed_when_its_daemon_threads_have_ended(tmp_path):
    end = tmp_path / "end"
    with running("sluggish:app", workers=1, env={"END": str(end)}) as server:
        assert server.command("reload").returncode == 0
        server.wait_logged("leaves a daemon thread running (sluggish), so its interpreter stays open until it ends")
        assert "freed" not in server.out
        end.touch()
        server.wait_logged("freed")
        assert server.get("/").body == b"hello"
        assert server.stop(signal.SIGTERM) == 0


def test_keep_alive_clients_are_told_when_the_server_stops(held):
    with running("behaviors:app") as server:
        clients = [Client(server) for _ in range(50)]
        for client in clients:
            client.send(held.request())
        server.wait_logged("holding", times=50)
        server.process.send_signal(signal.SIGTERM)
        server.wait_logged("Stopping")
        held.release()
        assert server.wait_ended() == 0
        answers = [client.read() for client in clients]
        assert {answer.status for answer in answers} == {200}
        for client in clients:
            client.close()

"""Requests and workers that hang: clients get 504, others are not affected, and the hang or its worker ends."""

import re
import sys
from pathlib import Path

import pytest
from support import NEEDS_TWO_WORKERS, PATIENCE, RUNTIME, Client, Load, running, wait_until

ABANDONS = pytest.mark.skipif(RUNTIME == "thread", reason="in the main interpreter workers are not replaced")
INTERPRETERS = pytest.mark.skipif(RUNTIME != "interpreter", reason="of interpreters")
TIME_OUT = ("--timeout-request", "0.3")
QUICK_CHECK = ("--timeout-worker-healthcheck", "0.8")


def assert_times_out(server, path, times=1):
    """504, on a connection that goes on; and the app's thread or loop serves others."""
    with Client(server) as client:
        for _ in range(times):
            answer = client.request(path)
            assert (answer.status, answer.body) == (504, b"The app took too long\n")
            assert client.request("/").status == 200


@pytest.mark.parametrize(
    ("app", "path"),
    [
        ("wsgi", "/burn"),
        ("wsgi", "/burn_on"),
        ("flask", "/burn"),
        ("asgi", "/burn"),
        ("asgi", "/burn_on"),
        ("asgi", "/await"),
        ("asgi", "/thread"),
        ("api", "/async"),
        ("api", "/def"),
        ("layered", "/async"),
        ("layered", "/def"),
        ("django_asgi", "/burn"),
    ],
)
def test_what_hangs_in_python_is_ended_and_the_log_says_where(app, path):
    with running(f"hanging:{app}", *TIME_OUT) as server:
        assert_times_out(server, path, times=3)
        server.wait_logged("no response after 0.3 s; ending it\n", times=3)
        server.wait_logged("hanging.py", times=3)
        assert len(re.findall(rf"GET {path} from \S+ timed out in worker \d\nno response", server.err)) == 3
        server.wait_logged(f'"GET {path} HTTP/1.1" 504', times=3)
        assert server.stop() == 0
        for trouble in ("is replaced", "abandoned", "does not end", "left to itself", "it is killed", " failed in "):
            assert trouble not in server.err


@pytest.mark.parametrize("pool", ["anyio", "asyncio"])
def test_a_time_out_that_finds_a_thread_between_two_calls_does_not_end_it(pool):
    """Pools do not notice the end of a thread: anyio would give it the next call, and asyncio starts no other one."""
    with running("dwelling:app", *TIME_OUT, workers=1) as server, Client(server) as client:
        for _ in range(5):
            assert client.request(f"/{pool}").status == 200
            assert client.request(f"/{pool}/late").status == 504
            wait_until(lambda: client.request("/dwelling").body == b"0", "no thread dwells")
            for _ in range(5):
                answer = client.request(f"/{pool}")
                assert (answer.status, answer.body) == (200, b'"answered"')
        assert server.stop() == 0


def test_all_threads_hang_and_all_are_ended():
    with running("hanging:wsgi", *TIME_OUT, "--threads", "3", workers=1) as server:
        clients = [Client(server) for _ in range(3)]
        for client in clients:
            client.send(b"GET /burn HTTP/1.1\r\nHost: test\r\n\r\n")
        assert [client.read().status for client in clients] == [504] * 3
        for client in clients:
            assert client.request("/").status == 200
            client.close()


@pytest.mark.parametrize("app", ["wsgi", "asgi"])
def test_a_response_that_has_begun_may_take_its_time(app):
    with running(f"hanging:{app}", *TIME_OUT, workers=1) as server:
        answer = server.get("/stream?1")
        assert (answer.status, answer.text) == (200, "begins, ends")
        assert "timed out" not in server.err


@pytest.mark.parametrize("app", ["wsgi", "asgi"])
def test_a_client_may_take_its_time_to_upload(app):
    """Each piece comes in time, all of them together take longer."""
    with running(f"hanging:{app}", "--timeout-request", "0.6", workers=1) as server, Client(server) as client:
        client.send(b"POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\n\r\n")
        client.sock.settimeout(0.15)
        for _ in range(8):
            with pytest.raises(TimeoutError):  # which is how long a piece takes
                client.sock.recv(1)
            client.send(b"x")
        client.sock.settimeout(PATIENCE)
        answer = client.read()
        assert (answer.status, answer.body) == (200, b"8")


@pytest.mark.parametrize("app", ["wsgi", "asgi"])
def test_a_client_that_stops_uploading_holds_nothing(app):
    options = (*TIME_OUT, "--threads", "1", "--buffer-request-body", "0")  # or no thread would wait for it
    with running(f"hanging:{app}", *options, workers=1) as server:
        with Client(server) as client:
            client.send(b"POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 8\r\n\r\nx")
            assert client.read().status == 504
        assert server.get("/").status == 200
        assert server.stop() == 0


def test_a_websocket_has_so_long_until_it_is_accepted():
    handshake = (
        "GET {} HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with running("hanging:asgi", *TIME_OUT, workers=1) as server:
        with Client(server) as client:
            client.send(handshake.format("/never").encode())
            assert client.read().status == 504
        with Client(server) as client:
            client.send(handshake.format("/accepted").encode())
            assert client.read().status == 101
            server.wait_logged('"GET /never HTTP/1.1" 504')
            client.sock.settimeout(0.6)
            with pytest.raises(TimeoutError):  # it stays open, beyond the time
                client.sock.recv(1)


# -- what can't be ended ---------------------------------------------------------------------------------------------


@ABANDONS
@pytest.mark.parametrize(("app", "path"), [("wsgi", "/sleep"), ("wsgi", "/never_end"), ("asgi", "/shrug")])
def test_what_can_not_be_ended_has_its_worker_replaced_once(app, path):
    options = (*TIME_OUT, "--timeout-graceful-shutdown", "0.2")
    with running(f"hanging:{app}", *options, workers=1) as server:
        assert_times_out(server, path)
        server.wait_logged(f"Worker 1 is replaced: GET {path}, which timed out there, can't be ended")
        server.wait_logged("Worker 1 ready", times=2)
        assert server.get("/").status == 200
        if app == "wsgi":  # a thread
            server.wait_logged("Worker 1 does not end; ")
        assert server.stop() == 0
        assert server.err.count("is replaced") == 1


@INTERPRETERS
def test_as_many_abandoned_as_wanted_are_a_reason_to_restart():
    options = (*TIME_OUT, "--timeout-graceful-shutdown", "0.1", "--no-supervise")
    with running("hanging:wsgi", *options, workers=1) as server:
        assert_times_out(server, "/sleep")
        server.wait_logged("The server should be restarted: 1 abandoned worker has not ended")
        assert_times_out(server, "/sleep")
        server.wait_logged("The server should be restarted: 2 abandoned workers have not ended")


@INTERPRETERS
def test_with_a_supervisor_another_process_takes_over_then():
    options = (*TIME_OUT, "--timeout-graceful-shutdown", "0.1", "--timeout-keep-alive", "60")
    with running("hanging:wsgi", *options, workers=1) as server:
        first = server.pid
        with Load(server, 4, may_close=True) as load:
            assert_times_out(server, "/sleep")
            server.wait_logged("A new server process is to take over: 1 abandoned worker has not ended")
            server.wait_logged("Handed over to process")
            load.wait_for_more()
        assert load.troubles == []
        assert server.pid != first
        assert server.stop() == 0


# -- workers that do not answer --------------------------------------------------------------------------------------


@ABANDONS
@pytest.mark.parametrize(("app", "path"), [("asgi", "/sleep"), ("asgi", "/gil"), ("wsgi", "/gil"), ("asgi", "/burn")])
def test_a_worker_that_does_not_answer_is_replaced(app, path):
    with running(f"hanging:{app}", *QUICK_CHECK, "--timeout-keep-alive", "60") as server, Client(server) as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        answer = client.read()
        assert (answer.status, answer.body) == (504, b"The app took too long\n")
        server.wait_logged("has not answered for 0.8 s")
        server.wait_logged(" ready: ", times=3)
        assert client.request("/").status == 200
        server.wait_logged(f'"GET {path} HTTP/1.1" 504')


@INTERPRETERS
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_abandoned_worker_that_hangs_in_python_comes_to_its_end():
    """Its interpreter is closed, so that the process need not be left in haste."""
    with running("hanging:asgi", *QUICK_CHECK, workers=1) as server:
        before = threads_of(server)
        assert server.get("/burn").status == 504
        assert server.get("/burn").status == 504
        server.wait_logged("its thread is left to itself", times=2)
        server.wait_logged("Worker 1 ready", times=3)
        wait_until(lambda: threads_of(server) <= before, "the abandoned workers have ended")
        assert server.stop() == 0


def threads_of(server):
    """How many threads the process has."""
    return len(list(Path(f"/proc/{server.pid}/task").iterdir()))


@NEEDS_TWO_WORKERS
def test_what_a_silent_worker_has_not_begun_goes_to_another():
    options = (*QUICK_CHECK, "--threads", "1")
    with running("hanging:wsgi", *options) as server, Client(server) as hung, Client(server) as other:
        hung.send(b"GET /gil HTTP/1.1\r\nHost: test\r\n\r\n")
        for _ in range(20):
            assert other.request("/").status == 200
        assert hung.read().status == 504


def test_none_is_asked_where_that_is_switched_off():
    with running("hanging:asgi", "--timeout-worker-healthcheck", "0", "--timeout-request", "2", workers=1) as server:
        assert server.get("/burn").status == 504
        assert server.get("/").status == 200
        assert "has not answered" not in server.err


# -- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("app", "path"), [("wsgi", "/burn"), ("asgi", "/burn"), ("asgi", "/await"), ("flask", "/burn")]
)
def test_what_hangs_when_the_server_stops_is_ended(app, path):
    with running(f"hanging:{app}", "--timeout-graceful-shutdown", "0.2", workers=1) as server, Client(server) as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        server.wait_logged("begun")
        assert server.stop() == 0
        server.wait_logged("Cut 1 request still in flight after 0.2 s")
        assert "does not end" not in server.err

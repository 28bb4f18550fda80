"""What an ASGI app can rely on, over the real server."""

import json
import re
import signal
import socket
import threading

import pytest
from support import NEEDS_TWO_WORKERS, RUNTIME, Client, running, wait_until, workers_of


def test_streams_both_ways(asgi):
    with Client(asgi) as client:
        client.send(b"POST /echo-stream HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        head = b""
        while b"first" not in head:  # the answer begins before the request is complete
            head += client.sock.recv(100)
        client.send(b"6\r\nsecond\r\n0\r\n\r\n")
        rest = b""
        while not rest.endswith(b"0\r\n\r\n"):
            rest += client.sock.recv(100)
        assert b"second" in rest


def test_many_small_pieces(asgi):
    assert len(asgi.get("/stream?2000,1").body) == 2000


def test_disconnect_is_heard_and_send_does_nothing(asgi):
    with Client(asgi) as client:
        client.send(b"GET /until-disconnect HTTP/1.1\r\nHost: t\r\n\r\n")
        received = b""
        while b"begun" not in received:
            received += client.sock.recv(65536)
    asgi.wait_logged("heard http.disconnect")
    asgi.wait_logged("committed what it did")


def test_the_head_of_an_event_stream_comes_before_its_first_event(asgi, held):
    with Client(asgi) as client:
        client.send(held.request("/quiet-events"))
        head = client.read_head()
        assert (head.status, head.headers["content-type"]) == (200, "text/event-stream")
        held.release()
        assert client.file.readline() == b"9\r\n"
        assert client.file.read(9 + 2 + 5) == b"data: 1\n\n\r\n0\r\n\r\n"
        assert client.request("/").body == b"hello"


@pytest.mark.parametrize("path", ["/until-disconnect", "/quiet-events"])
def test_head_of_a_stream_is_complete_with_its_head(asgi, held, path):
    before = asgi.err.count("committed what it did")
    with Client(asgi) as client:
        assert client.request(f"{path}?{held.query}", "HEAD").status == 200
        assert client.request("/").body == b"hello"
        if path == "/until-disconnect":
            asgi.wait_logged("committed what it did", times=before + 1)
        held.release()
        assert client.request("/").body == b"hello"


def test_receive_after_the_response_says_disconnect(asgi):
    assert asgi.get("/after-response").body == b"done"
    asgi.wait_logged("after response http.disconnect")


def test_work_goes_on_after_the_response(asgi):
    assert asgi.get("/background").body == b"answered"
    asgi.wait_logged("background work finished")


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/raise-before", "ValueError: raised before the response"),
        ("/raise-exit", "SystemExit: 5"),
        ("/no-response", "the app returned without starting a response"),
        ("/wrong-order", "'http.response.body' is not a message that can be sent before 'http.response.start'"),
        ("/twice", "'http.response.start' is not a message that can be sent within a response"),
        ("/bad-header", "Illegal header value"),
        ("/control-header", "Illegal header value"),
        ("/too-short", "Too little data for declared Content-Length"),
        ("/too-long", "Too much data for declared Content-Length"),
        ("/text-header", "a header's name must be bytes, not str"),
    ],
)
def test_a_failing_app_gets_500_and_lives_on(asgi, path, logged):
    answer = asgi.get(path)
    assert answer.status == 500
    assert b"x-injected" not in answer.raw.lower()
    assert answer.text == "Internal Server Error\n"
    asgi.wait_logged(logged)
    asgi.wait_logged(f"GET {path} from 127.0.0.1:")
    assert asgi.get("/").body == b"hello"


@pytest.mark.parametrize("path", ["/raise-within", "/half-response"])
def test_a_response_that_breaks_off_can_be_told_from_a_whole_one(asgi, path):
    raw = asgi.exchange(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
    assert raw.startswith(b"HTTP/1.1 200")
    assert not raw.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(("path", "what"), [("/too-short-stream", "little"), ("/too-long-stream", "much")])
def test_a_stream_of_a_wrong_length_is_no_whole_response(asgi, path, what):
    raw = asgi.exchange(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
    assert raw.startswith(b"HTTP/1.1 200")
    assert raw.endswith(b"\r\n\r\nabc")
    asgi.wait_logged(f"Too {what} data for declared Content-Length")


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_a_lifespan_that_fails_while_requests_are_served(tmp_path, mode):
    (tmp_path / "failing.py").write_text(FAILING_LIFESPAN, encoding="utf-8")
    with running("failing:app", "--lifespan", mode, workers=1, cwd=tmp_path) as server:
        assert server.get("/").text == "hello"
        assert "queue consumer broke" not in server.err
        assert server.get("/break").text == "hello"
        server.wait_logged("RuntimeError: queue consumer broke")
        assert "ERROR    Worker 1 serves on, though the app's lifespan failed\nTraceback" in server.err
        assert server.get("/").text == "hello"
        assert server.stop() == 0
        assert server.err.count("queue consumer broke") == 1 + server.err.count('raise RuntimeError("queue')
        assert server.err.count("ERROR") == 1


FAILING_LIFESPAN = """
import asyncio

broken = asyncio.Event()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await broken.wait()
        raise RuntimeError("queue consumer broke")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
    if scope["path"] == "/break":
        broken.set()
"""


def test_lifespan_runs_once_in_each_worker():
    count = workers_of(3)
    with running("behaviors:app", workers=3) as server:
        assert server.err.count("lifespan startup") == count
        assert server.stop() == 0
        assert server.err.count("lifespan shutdown") == count
        assert len(set(re.findall("lifespan startup ([0-9a-f]{32})", server.err))) == count


@NEEDS_TWO_WORKERS
def test_nothing_set_in_one_worker_is_seen_in_another(asgi):
    seen = {}

    def both() -> bool:  # which takes a moment if one of them still has a request of an earlier test
        report = json.loads(asgi.get("/calls").body)
        seen[report["worker"]] = report["calls"]
        return len(seen) == 2

    wait_until(both, "both workers have answered")
    assert all(calls.count("calls") >= 1 for calls in seen.values())


def test_executor_threads_work(asgi):
    assert b"asyncio" in asgi.get("/threads").body


def test_what_the_app_prints_appears_at_once(asgi):
    asgi.get("/print")
    asgi.wait_logged("printed by the app")


def test_access_log():
    with running("behaviors:app", workers=1) as server:
        server.get("/?q=1")
        server.wait_logged('"GET /?q=1 HTTP/1.1" 200')
        assert '"GET /?q=1 HTTP/1.1" 200' in server.out
    with running("behaviors:app", "--no-access-log", workers=1) as server:
        server.get("/?q=1")
        server.stop()
        assert "q=1" not in server.out + server.err


def test_a_worker_whose_loop_is_stopped_is_replaced():
    with running("behaviors:app", workers=2) as server, Client(server) as client:
        first = client.request("/who").body
        assert client.request("/stop-loop").status == 500
        server.wait_logged("ended unexpectedly")
        server.wait_logged(" ready:", times=workers_of(2) + 1)
        if RUNTIME == "thread":
            answers = {client.request("/who").body for _ in range(10)}
            assert answers == {first}  # the main interpreter has imported the app once and for all
        else:  # on a loaded machine one of the two may be too slow to be given anything for a while
            answers = {first}
            wait_until(lambda: answers.add(client.request("/who").body) or len(answers) > 1, "another answers")
        assert server.stop() == 0


def test_requests_that_a_dying_worker_had_not_begun_go_to_another(held):
    # The only worker stops its loop and then blocks, so that nothing sent meanwhile is ever taken off its channel.
    with (
        running("behaviors:app", "--no-access-log", workers=1) as server,
        Client(server) as killer,
        Client(server) as waiting,
    ):
        killer.send(held.request("/stop-and-block"))
        server.wait_logged("loop stopped")
        waiting.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nbo")
        waiting.send(b"dy")
        wait_until(lambda: '"in_progress": 2' in server.command("status", "--json").stdout, "the other is waiting")
        held.release()
        assert killer.read().status == 500
        assert waiting.read().body == b"body"


def test_a_client_that_resets_harms_nobody(asgi):
    for _ in range(20):
        sock = asgi.connect()
        sock.sendall(b"GET /stream?1000,1000 HTTP/1.1\r\nHost: t\r\n\r\n")
        sock.recv(10)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
    assert asgi.get("/").body == b"hello"


def test_many_clients_at_once(asgi):
    failures = []

    def client() -> None:
        with Client(asgi) as connection:
            for number in range(30):
                body = b"%d" % number * 100
                if connection.request("/echo", "POST", body).body != body:
                    failures.append(number)

    threads = [threading.Thread(target=client) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_stop_with_sigint_is_silent(asgi):
    with running("behaviors:app", workers=2) as server:
        server.get("/")
        assert server.stop(signal.SIGINT) == 0
        assert "Traceback" not in server.err

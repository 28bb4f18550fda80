"""Backpressure: a slow side slows the other side down, and no data accumulate in between."""

import sys
import time
from contextlib import ExitStack

import pytest
from support import APPS, NEEDS_TWO_WORKERS, Client, Server, running, send_until_stopped

MIB = 2**20
SLOWLY = MIB  # bytes a second
LOOK = 4.0  # seconds of a transfer that are watched; what piles up would do so within the first

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
@LINUX
def test_a_slow_client_does_not_fill_memory(app):
    with running(app, workers=1) as server, server.connect() as sock:
        server.get("/stream?1000,65536")  # warm
        before = server.rss()
        sock.sendall(b"GET /stream?16384,65536 HTTP/1.1\r\nHost: t\r\n\r\n")  # 1 GiB
        began, received = time.monotonic(), 0
        while time.monotonic() - began < LOOK:
            received += len(sock.recv(65536))
            time.sleep(max(0.0, received / SLOWLY - (time.monotonic() - began)))
            assert server.rss() - before < 32 * MIB
        assert received > MIB


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
@LINUX
def test_a_slow_app_does_not_fill_memory(app):
    with running(app, workers=1) as server, server.connect() as sock:
        assert server.get("/length", method="POST", body=b"x" * 10 * MIB).text == str(10 * MIB)  # warm
        before = server.rss()
        sock.sendall(b"POST /slow-reader?%d HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % (SLOWLY, 1024 * MIB))
        sock.settimeout(0.1)
        began, sent, chunk = time.monotonic(), 0, b"x" * 65536
        while time.monotonic() - began < LOOK:
            try:
                sent += sock.send(chunk)
            except TimeoutError:
                pass
            assert server.rss() - before < 32 * MIB
        assert MIB < sent < 32 * MIB  # the kernel's buffers and the window, beside what the app has read


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_large_bodies_come_through_whole(app):
    with running(app, workers=2) as server:
        assert server.get("/length", method="POST", body=b"x" * 100 * MIB).text == str(100 * MIB)
        assert len(server.get("/stream?1600,65536").body) == 100 * MIB
        assert len(server.get("/one-body?50000000").body) == 50_000_000


def test_an_app_that_never_reads_stops_the_client(asgi):
    with asgi.connect() as sock:
        sock.sendall(b"POST /sleep?1000 HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000000\r\n\r\n")
        sent, _ = send_until_stopped(asgi, sock, b"x" * 65536, 32 * MIB)
        assert sent > 0


@NEEDS_TWO_WORKERS
@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_a_fast_request_never_waits_behind_a_slow_one_while_another_worker_is_idle(app, held):
    """Two workers, one of them blocked: 40 requests must all be answered before the slow one is."""
    with running(app, "--threads", "1", workers=2) as server, Client(server) as slow, Client(server) as fast:
        slow.send(held.request("/hold-loop" if app == "behaviors:app" else "/hold"))
        for _ in range(40):
            assert fast.request("/").status == 200
        held.release()
        assert slow.read().status == 200


UNHURRIED = """
import snakepit.server.workers.loop_line
assert snakepit.server.workers.loop_line.LOOP_SILENCE < 1  # seconds
snakepit.server.workers.loop_line.LOOP_SILENCE = 1000.0
if __name__ == "__main__":
    snakepit.run("behaviors:app", app_dir="{apps}", port=0, interpreters=2)
"""
"""A server that takes nothing back from a worker whose loop is slow to turn, as it may be on a busy machine."""


@NEEDS_TWO_WORKERS
def test_load_is_spread_evenly(tmp_path):
    (tmp_path / "unhurried.py").write_text(UNHURRIED.format(apps=APPS))
    server = Server("unhurried.py", script=True, cwd=tmp_path)
    try:
        server.wait_listening(2)
        workers = []
        with ExitStack() as stack:
            for _ in range(20):
                client = stack.enter_context(Client(server))
                client.send(b"GET /until-disconnect HTTP/1.1\r\nHost: t\r\n\r\n")
                workers.append(client.read_head().headers["x-worker"])
                counts = [workers.count(worker) for worker in set(workers)]
                assert len(counts) == 1 if len(workers) == 1 else max(counts) - min(counts) <= 1, workers
    finally:
        server.kill()

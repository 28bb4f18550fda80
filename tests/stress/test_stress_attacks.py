"""Attacks in numbers: what a normal client notices of them, and what the server has left of them."""

import resource
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest
from attacking import many, reset, unharmed
from support import PATIENCE, Client, read_all, running

pytestmark = pytest.mark.stress

DROPS = 5000
"""Connections whose heads come in drops."""

READERS = 2000
"""Clients that read an answer of 10 MiB slowly, or not at all."""

REQUESTS = 1_000_000
"""Requests on one connection that are sent without waiting for an answer."""

RESETS = 20_000
SLOWER = 2.0
"""How many times as long as in quiet a normal client may wait for the slowest of a hundred answers."""

LEAST = 0.05
"""Seconds of that which are nobody's fault, with the attackers on the same cores."""


@pytest.fixture(autouse=True)
def many_descriptors():
    """As many descriptors for the attackers as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * DROPS:
        pytest.skip(f"only {hard} descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def slowest_of_a_hundred(server, path="/", requests=1000):
    """Seconds that one in a hundred requests of a normal client takes, or longer."""
    taken = []
    with Client(server) as client:
        for _ in range(requests):
            began = time.perf_counter()
            assert client.request(path).status == 200
            taken.append(time.perf_counter() - began)
    return sorted(taken)[len(taken) * 99 // 100]


@contextmanager
def dropping(socks, pause=0.5):
    """Send a byte on each connection again and again."""
    over = threading.Event()

    def drop():
        while not over.wait(pause):
            for sock in socks:
                try:
                    sock.send(b"x")
                except OSError:
                    pass

    thread = threading.Thread(target=drop)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("app", ["behaviors:app", "wsgi_behaviors:app"])
def test_thousands_of_heads_in_drops(app):
    with running(app, "--no-access-log", "--timeout-request-head", "60", workers=2) as server, unharmed(server):
        quiet = slowest_of_a_hundred(server)
        with many(server, DROPS, b"GET / HTTP/1.1\r\nHost: t\r\nX-A: ") as socks, dropping(socks):
            attacked = slowest_of_a_hundred(server)
        print(
            f"\n{app}: 99th percentile {quiet * 1000:.2f} ms in quiet, {attacked * 1000:.2f} ms with {DROPS} attackers"
        )
        assert attacked < max(quiet * SLOWER, LEAST)


def test_slow_readers_of_large_answers():
    size = 10 * 2**20
    with running("wsgi_behaviors:app", "--no-access-log", "--threads", "8", workers=2) as server, ExitStack() as stack:
        slowest_of_a_hundred(server)
        memory = server.rss()
        socks = stack.enter_context(
            many(server, READERS, b"GET /stream?%d,65536 HTTP/1.1\r\nHost: t\r\n\r\n" % (size >> 16))
        )
        deadline = time.monotonic() + 10.0
        most = 0
        while time.monotonic() < deadline:  # a little of each answer is read
            for sock in socks[::10]:
                sock.recv(1024)
            most = max(most, server.rss())
        print(f"\n{READERS} slow readers: {(most - memory) >> 20} MiB more")
        assert most - memory < 300 * 2**20


def test_a_million_pipelined_requests():
    request = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"
    with running("behaviors:app", "--no-access-log", workers=1) as server, unharmed(server), server.connect() as sock:
        length = len(server.exchange(request + request.replace(b"Host", b"Connection: close\r\nHost")))
        memory, most = server.rss(), 0
        sending = threading.Thread(target=lambda: [sock.sendall(request * 1000) for _ in range(REQUESTS // 1000)])
        sending.start()
        got, began = 0, time.monotonic()
        one = (length - len(b"connection: close\r\n")) // 2
        while got < one * REQUESTS:
            piece = sock.recv(1 << 20)
            assert piece
            got += len(piece)
            if got % 97 == 0:
                most = max(most, server.rss())
                server.get("/")
        sending.join()
        print(f"\n{REQUESTS} pipelined requests in {time.monotonic() - began:.0f} s, {(most - memory) >> 20} MiB more")
        assert got == one * REQUESTS
        assert most - memory < 32 * 2**20


def test_a_storm_of_thousands_of_resets():
    with running("behaviors:app", "--no-access-log", workers=2) as server, unharmed(server):
        quiet = slowest_of_a_hundred(server)
        over = threading.Event()

        def storm():
            count = 0
            while count < RESETS:
                with many(server, 100, b"GET /stream?10,1000 HTTP/1.1\r\nHost: t\r\n\r\n") as socks:
                    for sock in socks:
                        reset(sock)
                count += 100
            over.set()

        thread = threading.Thread(target=storm)
        thread.start()
        attacked = []
        while not over.is_set():
            attacked.append(slowest_of_a_hundred(server, requests=200))
        thread.join()
        usual, most = sorted(attacked)[len(attacked) // 2] * 1000, max(attacked) * 1000
        print(f"\n99th percentile {quiet * 1000:.2f} ms in quiet, {usual:.2f} (once {most:.2f}) with {RESETS} resets")
        assert usual < max(quiet * SLOWER, LEAST) * 1000


def test_a_flood_of_connections():
    with (
        running("behaviors:app", "--no-access-log", "--timeout-request-head", "20", workers=1) as server,
        unharmed(server),
        many(server, DROPS) as socks,
    ):
        assert slowest_of_a_hundred(server) < LEAST
        for sock in socks:
            sock.settimeout(PATIENCE)
        assert not any(read_all(sock) for sock in socks)

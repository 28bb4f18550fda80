"""What it costs to see inside: a server with metrics, logs and the live page beside the same without any of them."""

import re
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from statistics import median

from benchmarks.server import Server, load, serving

APP = "benchmarks.apps.starlette_app:app"
HELLO = ("/", "Hello, world!")
REQUESTS = 20_000
ROUNDS = 7

JSON_LOG = ("--access-log", "--log-format", "json")
ALL = ("--metrics", "/metrics", "--health", "--request-id", *JSON_LOG)
VARIANTS: dict[str, tuple[str, ...]] = {
    "nothing, once more": (),
    "the default access log": ("--access-log",),
    "metrics": ("--metrics", "/metrics"),
    "request IDs": ("--request-id",),
    "JSON access log": JSON_LOG,
    "metrics, health, IDs, JSON log": ALL,
    "the same, dashboard open": (*ALL, "--dashboard"),
}


def observing() -> None:
    """Starlette, two workers, 64 connections: each way of looking inside, in turns with a server without any."""
    ratios: dict[str, list[tuple[float, float]]] = {name: [] for name in VARIANTS}
    for _ in range(ROUNDS):
        for name, options in VARIANTS.items():
            plain, seen = _measure(), _measure(*options)
            ratios[name].append((seen["per_second"] / plain["per_second"], seen["cpu_us"] / plain["cpu_us"]))
    print(f"{'':<32}{'req/s':>8}{'from':>7}{'to':>7}{'CPU':>8}")
    for name, found in ratios.items():
        rates = [rate for rate, _ in found]
        print(
            f"{name:<32}{median(rates):>8.3f}{min(rates):>7.3f}{max(rates):>7.3f}"
            f"{median(cpu for _, cpu in found):>8.3f}",
            flush=True,
        )


def _measure(*options: str) -> dict[str, float]:
    with serving(APP, "-n", "2", *options) as server:
        load(server, *HELLO, requests=REQUESTS // 5)
        with _watching(server) if "--dashboard" in options else nullcontext():
            return load(server, *HELLO, requests=REQUESTS)


@contextmanager
def _watching(server: Server) -> Iterator[None]:
    """Have a live page open meanwhile: its stream of events is read as it comes."""
    address = f"http://127.0.0.1:{server.port}/_snakepit/"
    with urllib.request.urlopen(address, timeout=30) as page:
        found = re.search(r'name="snakepit-page" content="([^"]+)"', page.read().decode())
    assert found is not None
    with socket.create_connection(("127.0.0.1", server.port), 30) as sock:
        head = f"GET /_snakepit/events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nX-Snakepit-Page: {found[1]}\r\n\r\n"
        sock.sendall(head.encode())
        first = sock.recv(65536)
        assert first.startswith(b"HTTP/1.1 200 "), first
        reader = threading.Thread(target=_read, args=(sock,))
        reader.start()
        try:
            yield
        finally:
            sock.shutdown(socket.SHUT_RDWR)
            reader.join()


def _read(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass

"""`python -m benchmarks [NAME ...]`: run benchmarks and print their tables. Without names, all of them."""

import socket
import sys
import time
from collections.abc import Callable
from statistics import median

from benchmarks.connections import connections
from benchmarks.neighbors import neighbors
from benchmarks.observing import observing
from benchmarks.parts import parts
from benchmarks.server import Server, load, serving
from benchmarks.slow_clients import slowloris

MIB = 2**20
HELLO = ("/", "Hello, world!")
BURN = ("/burn", str(sum(range(400_000))))
FRAMEWORKS = {
    "raw ASGI": "benchmarks.apps.raw:app",
    "Starlette": "benchmarks.apps.starlette_app:app",
    "Flask": "benchmarks.apps.flask_app:app",
    "Django, WSGI": "benchmarks.apps.django_app:application",
    "Django, ASGI": "benchmarks.apps.django_app:asgi",
}
ITEM = ("/items/tea?price=2", '{"name":"tea","price":2.0}')
RUNTIME_LOADS = {  # app, request, how many
    "FastAPI": ("tests.apps.items:app", ITEM, 10_000),
    "Starlette": (FRAMEWORKS["Starlette"], HELLO, 20_000),
    "Flask": (FRAMEWORKS["Flask"], HELLO, 10_000),
}


def frameworks() -> None:
    """100,000 requests at 64 connections against each framework, two workers: errors, memory."""
    print(f"{'app':<14}{'requests':>10}{'errors':>8}{'req/s':>9}{'CPU us':>8}{'p50 ms':>8}{'p99 ms':>8}{'RSS MiB':>18}")
    for name, app in FRAMEWORKS.items():
        with serving(app, "-n", "2") as server:
            load(server, *HELLO, requests=10_000)
            before = server.rss()
            result = load(server, *HELLO, requests=100_000)
            memory = f"{before / MIB:.1f} -> {server.rss() / MIB:.1f}"
            print(
                f"{name:<14}{result['requests']:>10}{result['errors']:>8}{result['per_second']:>9.0f}"
                f"{result['cpu_us']:>8.0f}{result['p50_ms']:>8.1f}{result['p99_ms']:>8.1f}{memory:>18}",
                flush=True,
            )


def parallel() -> None:
    """A handler that occupies a core, on one interpreter and on two, in turns: the speed-up by the second."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(5):
        for interpreters in rates:
            with serving(FRAMEWORKS["raw ASGI"], "-n", str(interpreters)) as server:
                load(server, *BURN, requests=20, connections=8)
                rates[interpreters].append(load(server, *BURN, requests=400, connections=8)["per_second"])
    one, two = median(rates[1]), median(rates[2])
    ratios = [b / a for a, b in zip(rates[1], rates[2], strict=True)]
    print(f"1 interpreter: {one:.0f} requests/s, 2 interpreters: {two:.0f}")
    print(f"ratio: median {median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")


def runtimes() -> None:
    """The same apps with two workers that are interpreters, and two that are processes, in turns."""
    runs = 5
    print(f"{'app':<11}{'':<13}{'req/s':>8}{'CPU us':>8}{'p99 ms':>8}{'PSS MiB':>9}")
    for name, (app, request, requests) in RUNTIME_LOADS.items():
        results: dict[str, list[dict[str, float]]] = {"interpreter": [], "process": []}
        for _ in range(runs):
            for runtime, measured in results.items():
                with serving(app, "-n", "2", "--runtime", runtime) as server:
                    load(server, *request, requests=requests // 5)
                    measured.append(load(server, *request, requests=requests) | {"pss": server.pss() / MIB})
        for runtime, measured in results.items():
            middle = {key: median(result[key] for result in measured) for key in measured[0]}
            print(
                f"{name:<11}{runtime:<13}{middle['per_second']:>8.0f}{middle['cpu_us']:>8.0f}{middle['p99_ms']:>8.1f}"
                f"{middle['pss']:>9.0f}"
            )
        for key, what in (("per_second", "requests/s"), ("cpu_us", "CPU per request")):
            pairs = zip(results["interpreter"], results["process"], strict=True)
            ratios = [ours[key] / theirs[key] for ours, theirs in pairs]
            spread = f"from {min(ratios):.2f} to {max(ratios):.2f}"
            print(f"{'':<11}{what}, interpreter / process: median {median(ratios):.2f}, {spread}", flush=True)


def threads() -> None:
    """A Flask view with and without a wait of 20 ms, by threads in each of two workers."""
    print(f"{'threads':<9}{'plain req/s':>12}{'CPU us':>8}{'p99 ms':>8}{'waiting req/s':>15}{'p99 ms':>8}")
    for count in (1, 2, 4, 8, 16):
        with serving(FRAMEWORKS["Flask"], "-n", "2", "--threads", str(count)) as server:
            load(server, *HELLO, requests=2000)
            plain = load(server, *HELLO, requests=20_000)
            waiting = load(server, "/wait", HELLO[1], requests=100 * count)
        print(
            f"{count:<9}{plain['per_second']:>12.0f}{plain['cpu_us']:>8.0f}{plain['p99_ms']:>8.1f}"
            f"{waiting['per_second']:>15.0f}{waiting['p99_ms']:>8.1f}",
            flush=True,
        )


def backpressure() -> None:
    """1 GiB to a client that reads 1 MiB/s, and 1 GiB to an app that does, for 20 s each: how much memory grows."""
    for app in ("behaviors:app", "wsgi_behaviors:app"):
        with serving(app, "-n", "1", "--app-dir", "tests/apps") as server:
            down = _growth(server, b"GET /stream?16384,65536 HTTP/1.1\r\nHost: t\r\n\r\n", _read_slowly)
            up = _growth(
                server,
                b"POST /slow-reader?%d HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % (MIB, 1024 * MIB),
                _write_fast,
            )
        print(f"{app:<20} slow client: +{down / MIB:.1f} MiB, slow app: +{up / MIB:.1f} MiB", flush=True)


def _growth(server: Server, request: bytes, transfer: Callable[[socket.socket, float], None]) -> int:
    before, most = server.rss(), 0
    with socket.create_connection(("127.0.0.1", server.port), 30) as sock:
        sock.sendall(request)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            transfer(sock, time.monotonic() + 0.2)
            most = max(most, server.rss())
    return most - before


def _read_slowly(sock: socket.socket, until: float) -> None:
    for _ in range(4):
        sock.recv(MIB // 20)
        time.sleep(max(0.0, until - time.monotonic()) / 4)


def _write_fast(sock: socket.socket, until: float) -> None:
    sock.settimeout(0.05)
    while time.monotonic() < until:
        try:
            sock.send(b"x" * 65536)
        except TimeoutError:
            pass


_ALL = (frameworks, runtimes, parallel, threads, backpressure, connections, neighbors, slowloris, observing, parts)
BENCHMARKS = {function.__name__: function for function in _ALL}


def main() -> None:
    names = sys.argv[1:] or list(BENCHMARKS)
    for name in names:
        if name not in BENCHMARKS:
            sys.exit(f"there is no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    for name in names:
        print(f"\n## {name}\n{(BENCHMARKS[name].__doc__ or '').strip()}\n", flush=True)
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()

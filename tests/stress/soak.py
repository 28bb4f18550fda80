"""Run as a script: python tests/stress/soak.py [--requests N]. `make soak` does.

Millions of requests of many kinds, with replacements of workers and attacks in between, on one server: plain and over
TLS, ASGI and WSGI, static files, WebSockets. Every answer is checked. After each round, when the server is at rest
again, its memory, its descriptors and its threads are read. At the end it prints a table, and fails unless all answers
were right and the figures stayed flat.
"""

import argparse
import json
import os
import random
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from waiting import PATIENCE, wait_until  # noqa: E402  # the script is not started where they are

from benchmarks.peers.certificate import CERTIFICATE, KEY, certificate_folder  # noqa: E402
from benchmarks.process import ProcessTree  # noqa: E402

ROUND = 50_000
"""Requests of one round."""

CONNECTIONS = 32
WARM_UP = 0.3
"""The part of the rounds after which memory has to stay flat: until then caches fill, and Python's arenas."""

MORE_MEMORY = 0.05, 8 * 2**20
"""How much more memory there may be at the end, as a part of what there was, and in bytes."""

SPARE = 8
"""Descriptors, and threads, that there may be more: some come and go."""

_HELLO, _LARGE = "Hello, world!", "x" * 65536

MIX = [
    {"path": "/", "expected": _HELLO},
    {"path": "/?q=1", "expected": _HELLO, "headers": {"Cookie": "a=1; b=2", "Accept": "*/*"}},
    {"path": "/upload", "method": "POST", "body": "y" * 3000, "expected": "3000"},
    {"path": "/flask/", "expected": _HELLO},
    {"path": "/static/10k.txt", "expected": (ROOT / "benchmarks/files/10k.txt").read_text()},
    {"path": "/echo", "method": "POST", "body": _LARGE, "expected": _LARGE},
    {"path": "/64k", "expected": _LARGE},
    {"path": "/flask/nowhere", "status": 404, "expected": None},
]
"""What is asked for in turn. The error page of Flask is the only answer that is not compared."""


class Soaked(ProcessTree):
    """The server, whose log goes into a file."""

    def __init__(self, folder: Path) -> None:
        certificates = certificate_folder()
        self.port, self.tls_port = _free_port(), _free_port()
        self.log = folder / "server.log"
        self._environ = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_RUNTIME_DIR": str(folder), "TMPDIR": str(folder)}
        command = [
            *(sys.executable, "-m", "snakepit", "run", "benchmarks.apps.raw:app", "--interpreters", "2"),
            *("--mount", "/flask=benchmarks.apps.flask_app:app"),
            *("--static-path", str(ROOT / "benchmarks" / "files")),
            *("--bind", f"127.0.0.1:{self.port}", "--bind", f"127.0.0.1:{self.tls_port},tls"),
            *("--ssl-certfile", f"{certificates}/{CERTIFICATE}", "--ssl-keyfile", f"{certificates}/{KEY}"),
            *("--no-access-log", "--limit-max-requests", "60000", "--limit-max-requests-jitter", "20000"),
            *("--name", "soak", "--timeout-request-head", "2"),
        ]
        with self.log.open("wb") as log:
            super().__init__(command, cwd=ROOT, env=self._environ, stdout=log, stderr=log)
        wait_until(lambda: self.log.read_text().count(" ready: ") >= 4, "the server is up")

    def command(self, *arguments: str) -> str:
        """Run a command of Snakepit for this server; returns what it printed."""
        command = [sys.executable, "-m", "snakepit", *arguments, "--name", "soak"]
        return subprocess.check_output(command, env=self._environ, cwd=ROOT, text=True, timeout=4 * PATIENCE)

    @property
    def pid(self) -> int:
        """The process that serves."""
        return int(re.findall(r", process (\d+)$", self.log.read_text(), re.MULTILINE)[-1])

    def figures(self) -> dict[str, int]:
        """Return memory in bytes, descriptors and threads, once the server is at rest."""
        before = self.cpu_seconds()
        for _ in range(60):
            time.sleep(0.5)
            now = self.cpu_seconds()
            if now - before < 0.02:
                break
            before = now
        place = Path(f"/proc/{self.pid}")
        return {
            "memory": self.pss(),
            "descriptors": len(os.listdir(place / "fd")),
            "threads": len(os.listdir(place / "task")),
        }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


# -- clients -----------------------------------------------------------------------------------------------------------


def load(server: Soaked, requests: int) -> dict[str, float]:
    """Send so many requests of all kinds; returns what the client has counted."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as mix:
        json.dump([{key: value for key, value in each.items() if value is not None} for each in MIX], mix)
        mix.flush()
        command = [sys.executable, "-m", "benchmarks.client", str(server.port), "--mix", mix.name]
        command += ["--requests", str(requests), "--connections", str(CONNECTIONS)]
        found: dict[str, float] = json.loads(subprocess.check_output(command, cwd=ROOT, timeout=1200))
    return found


@contextmanager
def websockets(server: Soaked, count: int):
    """Keep so many WebSockets busy meanwhile."""
    command = [sys.executable, "-m", "benchmarks.websocket_client", str(server.port), "--sockets", str(count)]
    client = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert client.stdin is not None
    assert client.stdout is not None
    with client:
        try:
            if client.stdout.readline() != "ready\n":
                raise SystemExit("no WebSockets")
            yield
            client.stdin.close()
            lost = json.loads(client.stdout.readline())["lost"]
        finally:
            client.kill()
    if lost:
        raise SystemExit(f"{lost} WebSockets were lost")


def over_tls(server: Soaked, handshakes: int) -> None:
    """Make handshakes, with a request on each connection and several on every tenth."""
    trust = ssl.create_default_context(cafile=f"{certificate_folder()}/{CERTIFICATE}")
    for number in range(handshakes):
        with (
            socket.create_connection(("127.0.0.1", server.tls_port), PATIENCE) as plain,
            trust.wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            for _ in range(1 if number % 10 else 5):
                sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                got = b""
                while not got.endswith(_HELLO.encode()):
                    piece = sock.recv(4096)
                    if not piece:
                        raise SystemExit(f"no answer over TLS: {got!r}")
                    got += piece


# -- attacks -----------------------------------------------------------------------------------------------------------


def attack(server: Soaked, chance: random.Random) -> None:
    """Do to the server what it must survive; whatever becomes of these connections is right."""
    held = []
    for _ in range(200):
        port = chance.choice([server.port, server.tls_port])
        try:
            sock = socket.create_connection(("127.0.0.1", port), 1.0)
            held.append(sock)
            kind = chance.randrange(7)
            if kind == 0:  # a head without an end
                sock.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nX-A: ")
            elif kind == 1:  # bytes
                sock.sendall(chance.randbytes(chance.randrange(1, 3000)))
            elif kind == 2:  # a ClientHello without an end
                sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(50))
            elif kind == 3:  # reset in the middle of an answer
                sock.sendall(b"GET /64k HTTP/1.1\r\nHost: test\r\n\r\n" * 20)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
            elif kind == 4:  # a body that does not come
                sock.sendall(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\nabc")
            elif kind == 5:  # half closed
                sock.sendall(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
                sock.shutdown(socket.SHUT_WR)
            else:  # smuggling
                sock.sendall(
                    b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0"
                )
        except OSError:
            pass  # the server may cut it off
    for sock in held:
        sock.close()


# -- the run -----------------------------------------------------------------------------------------------------------


def soak(requests: int, seed: int) -> int:
    """Run it; returns the exit status."""
    chance = random.Random(seed)
    rounds = max(4, requests // ROUND)
    rows: list[dict[str, int]] = []
    errors = 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="snakepit-soak-") as folder:
        server = Soaked(Path(folder))
        try:
            for number in range(rounds):
                with websockets(server, 50):
                    errors += int(load(server, requests // rounds)["errors"])
                    attack(server, chance)
                    if number % 2:
                        server.command("reload")
                over_tls(server, 100)
                rows.append(server.figures())
                _print_row(number + 1, requests // rounds, rows[-1], errors, time.monotonic() - began)
            text = server.log.read_text()
        finally:
            server.stop()
    troubles = [f"{errors} answers were wrong or missing"] if errors else []
    troubles += _not_flat(rows)
    if "Traceback" in text:
        troubles.append(f"there is a traceback in the log:\n{text[-4000:]}")
    print("\n".join(troubles) if troubles else f"Flat, and every answer right: {requests // rounds * rounds} requests")
    return 1 if troubles else 0


def _print_row(number: int, requests: int, row: dict[str, int], errors: int, seconds: float) -> None:
    print(
        f"{number * requests:>10} requests  {row['memory'] / 2**20:7.1f} MiB  {row['descriptors']:4} descriptors  "
        f"{row['threads']:3} threads  {errors} errors  {seconds / 60:5.1f} min",
        flush=True,
    )


def _not_flat(rows: list[dict[str, int]]) -> list[str]:
    """Compare the end with what there was after the warm-up: the medians of some rounds each, since one is noise."""
    first = rows[int(len(rows) * WARM_UP) :]
    size = max(1, len(first) // 4)
    troubles = []
    for key in rows[0]:
        before, after = _median([row[key] for row in first[:size]]), _median([row[key] for row in first[-size:]])
        part, more = MORE_MEMORY if key == "memory" else (0.0, SPARE)
        if after > before * (1 + part) + more:
            troubles.append(f"{key} grew from {before} to {after}")
    return troubles


def _median(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[2])
    parser.add_argument("--requests", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped"))  # so that the server ends, too
    sys.exit(soak(given.requests, given.seed))

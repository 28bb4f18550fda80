"""What attackers do to a server, and what must be as it was before when they have gone."""

import os
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import Server, wait_until

GROWTH = 64 * 2**20
"""Bytes by which a server may have grown after an attack: buffers that the C library keeps, and Python's arenas."""

SPARE = 4
"""Descriptors that there may be more: those of a look at a log, or of a client that is just leaving."""


def descriptors(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def cpu_seconds(server: Server) -> float:
    text = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2]
    return sum(map(int, text.split()[11:13])) / os.sysconf("SC_CLK_TCK")


def share_of_cpu(server: Server, seconds: float) -> float:
    """What a server takes of a CPU in the next seconds, which is all that this waits for."""
    before, began = cpu_seconds(server), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(server) - before) / (time.monotonic() - began)


@contextmanager
def unharmed(server: Server) -> Iterator[None]:
    """An attack, after which a normal client is served, and memory and descriptors are as before."""
    server.get("/")
    before, memory = descriptors(server), server.rss()
    yield
    assert server.get("/").status == 200
    wait_until(lambda: descriptors(server) <= before + SPARE, "all descriptors are closed")
    assert server.rss() < memory + GROWTH
    assert "Traceback" not in server.err, server.err


@contextmanager
def many(server: Server, count: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many connections, on each of which something was sent."""
    socks: list[socket.socket] = []
    try:
        for _ in range(count):
            socks.append(server.connect())
            if sent:
                socks[-1].sendall(sent)
        yield socks
    finally:
        for sock in socks:
            sock.close()


def reset(sock: socket.socket) -> None:
    """Close a connection by a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def trusting() -> ssl.SSLContext:
    """A client that trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def over_tls(server: Server, path: str = "/") -> bytes:
    """Ask over TLS, on a connection of its own."""
    with server.connect() as plain, trusting().wrap_socket(plain, server_hostname="localhost") as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while piece := sock.recv(65536):
            got += piece
    return got

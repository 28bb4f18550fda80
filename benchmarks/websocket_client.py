"""A client of many WebSockets in a process of its own, light enough not to distort the measurement.

It opens the sockets, lets each echo one message, and says `ready` on a line of its own. With `--seconds` it then waits
for a line on standard input, lets every socket send its next message whenever the one before has come back, for so
long, and prints a line of JSON. Without, it holds the sockets until standard input ends; then a line says how many of
them were lost.

It renders its one frame in advance, compares echoes byte by byte, and offers no compression.
"""

import argparse
import base64
import json
import os
import select
import socket
import sys
import time
from statistics import quantiles

from benchmarks.privileges import raise_file_limit

AT_ONCE = 64  # sockets that are being opened
PATIENCE = 30.0  # seconds for an answer
PATH = "/echo"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("--sockets", type=int, default=64)
    parser.add_argument("--size", type=int, default=1024, help="bytes of a message")
    parser.add_argument("--seconds", type=float, help="of load; default: only hold the sockets")
    given = parser.parse_args()
    raise_file_limit()
    client = Client(given.size)
    for start in range(0, given.sockets, AT_ONCE):
        client.open(given.port, min(AT_ONCE, given.sockets - start))
    print("ready", flush=True)
    if given.seconds is None:
        sys.stdin.read()
        print(json.dumps({"lost": client.lost()}), flush=True)
    else:
        sys.stdin.readline()
        print(json.dumps(client.load(given.seconds)), flush=True)


class Client:
    """Sockets, and the message that each of them echoes."""

    def __init__(self, size: int) -> None:
        payload = (b'{"number": 1234567890, "text": "abcdefghijklmnopqrstuvwxyz"}, ' * (size // 32 + 1))[:size]
        self._frame, self._echo = masked(payload), unmasked(payload)
        self._sockets: list[socket.socket] = []

    def open(self, port: int, count: int) -> None:
        """Open so many sockets at once; each has echoed once when this returns."""
        opened = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(count)]
        for sock in opened:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            key = base64.b64encode(os.urandom(16)).decode()
            sock.sendall(
                f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
            )
        for sock in opened:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                piece = sock.recv(1)
                head += piece
                if not piece or (b"\r\n" in head and b" 101 " not in head):
                    raise SystemExit(f"no WebSocket: {head!r}")
            sock.sendall(self._frame)
        for sock in opened:
            got = b""
            while len(got) < len(self._echo):
                piece = sock.recv(len(self._echo) - len(got))
                got += piece
                if not piece or not self._echo.startswith(got):
                    raise SystemExit(f"wrong echo: {got[:80]!r}")
        self._sockets += opened

    def load(self, seconds: float) -> dict[str, float]:
        """Echo for so long: messages a second, latency in ms, and messages that came back wrong."""
        clock, frame, echo = time.perf_counter, self._frame, self._echo
        poll = select.epoll()
        by_number = {sock.fileno(): sock for sock in self._sockets}
        pieces: dict[int, bytes] = {}
        sent: dict[int, float] = {}
        took: list[float] = []
        wrong = 0
        began = clock()
        for number, sock in by_number.items():
            poll.register(number, select.EPOLLIN)
            sent[number] = clock()
            sock.send(frame)
        end = began + seconds
        while (now := clock()) < end:
            ready = poll.poll(PATIENCE)
            if not ready:
                raise SystemExit("no echo")
            for number, _ in ready:
                sock = by_number[number]
                data = sock.recv(65536)
                if data != echo:
                    if not data:
                        raise SystemExit("the server closed a socket")
                    data = pieces.pop(number, b"") + data
                    if len(data) < len(echo):
                        pieces[number] = data
                        continue
                    wrong += data != echo
                now = clock()
                took.append(now - sent[number])
                sent[number] = now
                sock.send(frame)
        percentiles = quantiles(took, n=100)
        return {
            "messages": len(took),
            "per_second": len(took) / (now - began),
            "p50_ms": percentiles[49] * 1000,
            "p99_ms": percentiles[98] * 1000,
            "errors": wrong,
        }

    def lost(self) -> int:
        """How many sockets the server has closed. What else has come, such as a ping, is left."""
        lost = 0
        for sock in self._sockets:
            sock.setblocking(False)
            try:
                lost += not sock.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                pass
            except OSError:
                lost += 1
        return lost


def masked(payload: bytes) -> bytes:
    """A text frame as a client sends it."""
    mask = b"\x37\xfa\x21\x3d"
    data = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return b"\x81" + _length(len(payload), 0x80) + mask + data


def unmasked(payload: bytes) -> bytes:
    """A text frame as a server sends it."""
    return b"\x81" + _length(len(payload), 0) + payload


def _length(size: int, bit: int) -> bytes:
    if size < 126:
        return bytes([bit | size])
    if size < 65536:
        return bytes([bit | 126]) + size.to_bytes(2)
    return bytes([bit | 127]) + size.to_bytes(8)


if __name__ == "__main__":
    main()

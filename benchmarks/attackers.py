"""Clients that hold connections as long as they can: run in a process of its own.

`heads` send the head of a request, a line every five seconds and never all of it; `readers` ask for 10 MiB and read
4 KiB of it a second. One that is cut off connects again. When all are connected, a line of JSON says how many there
are; they go on until standard input ends, and then a line says how many connections were made in all. The source
addresses are 127.0.0.2 and following.
"""

import argparse
import json
import select
import socket
import sys
import time

from benchmarks.privileges import raise_file_limit

PER_ADDRESS = 5000  # connections from each source address
ROUND = 1.0  # seconds
LINES_EVERY = 5  # rounds
PIECE = 4096

REQUESTS = {
    "heads": b"GET / HTTP/1.1\r\nHost: slow.example\r\n",
    "readers": b"GET /large HTTP/1.1\r\nHost: slow.example\r\n\r\n",
}


class Attackers:
    """So many clients of one kind."""

    def __init__(self, port: int, kind: str, count: int) -> None:
        self._port = port
        self._kind = kind
        self.made = 0
        self._sockets: list[socket.socket | None] = [self._connect(number) for number in range(count)]

    @property
    def connected(self) -> int:
        """How many have a connection."""
        return sum(sock is not None for sock in self._sockets)

    def go_on(self, round_number: int) -> None:
        """Send or read a little on each connection."""
        for number, sock in enumerate(self._sockets):
            if sock is None:
                self._sockets[number] = self._connect(number)
                continue
            try:
                if self._kind == "heads" and (round_number + number) % LINES_EVERY == 0:
                    sock.send(b"X-Slow: slow\r\n")
                cut = sock.recv(PIECE) == b""
            except BlockingIOError:
                cut = False
            except OSError:
                cut = True
            if cut:
                sock.close()
                self._sockets[number] = self._connect(number)

    def _connect(self, number: int) -> socket.socket | None:
        sock = socket.socket()
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE)
            sock.bind((f"127.0.0.{2 + number // PER_ADDRESS}", 0))
            sock.connect(("127.0.0.1", self._port))
            sock.sendall(REQUESTS[self._kind])
        except OSError:
            sock.close()
            return None
        sock.setblocking(False)
        self.made += 1
        return sock


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("kind", choices=REQUESTS)
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    raise_file_limit()
    attackers = Attackers(given.port, given.kind, given.count)
    print(json.dumps({"connected": attackers.connected}), flush=True)
    round_number, due = 0, time.monotonic()
    while True:
        due += ROUND
        ended, _, _ = select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))
        if ended:
            break
        round_number += 1
        attackers.go_on(round_number)
    print(json.dumps({"connected": attackers.connected, "made": attackers.made}), flush=True)


if __name__ == "__main__":
    main()

"""A client of many event streams (`text/event-stream`): run in a process of its own.

It opens the streams, waits for an event of each, and says `ready` on a line of its own. It goes on reading; after a
line on standard input it counts for `--seconds`, and prints what came as a line of JSON. Each event's data are the time
when it was due, in seconds of `time.monotonic()`: events are late by whatever kept them, in the app or on their way.
The server must send each event in one piece of a chunked body; where the network cuts it does not matter.
"""

import argparse
import json
import math
import select
import socket
import sys
import time

from benchmarks.privileges import raise_file_limit, take_precedence

AT_ONCE = 64  # streams that are being opened
PATIENCE = 30.0  # seconds for all the heads and first events
LATE = 0.1  # seconds; a later event comes when the next one is due


class Stream:
    """One response, read as it comes."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.seen = False  # an event
        self._head = False
        self._rest = b""

    def dues(self, data: bytes) -> list[float]:
        """Take received bytes; returns when the events that they complete were due."""
        data = self._rest + data
        if not self._head:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return []
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                raise SystemExit(f"no event stream: {head[:80]!r}")
            self._head = True
        *events, self._rest = data.split(b"\n\n")
        self.seen = self.seen or bool(events)
        return [float(event.rpartition(b"data: ")[2]) for event in events]


def open_streams(port: int, path: str, count: int) -> dict[int, Stream]:
    """Open so many streams, and wait for an event of each; returns them by file descriptor."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/event-stream\r\n\r\n".encode()
    end = time.monotonic() + PATIENCE
    streams: dict[int, Stream] = {}
    with select.epoll() as poll:
        while len(streams) < count:
            for _ in range(min(AT_ONCE, count - len(streams))):
                sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
                sock.sendall(request)
                streams[sock.fileno()] = Stream(sock)
                poll.register(sock, select.EPOLLIN)
            # those that are open are read meanwhile, as nothing may pile up in the server
            waiting = {number for number, stream in streams.items() if not stream.seen}
            while waiting:
                if time.monotonic() > end:
                    raise SystemExit(f"{len(streams) - len(waiting)} of {count} streams had an event")
                for number, _ in poll.poll(1.0):
                    receive(streams[number])
                    if streams[number].seen:
                        waiting.discard(number)
    return streams


def receive(stream: Stream) -> list[float]:
    """Read from a stream; returns when the events that have come were due."""
    data = stream.sock.recv(65536)
    if not data:
        raise SystemExit("the server closed a stream")
    return stream.dues(data)


def load(streams: dict[int, Stream], seconds: float) -> list[float]:
    """Read until there is a line on standard input, and then for so long; returns by how much each event was late."""
    late: list[float] = []
    told, end = False, math.inf
    with select.epoll() as poll:
        for number in (sys.stdin.fileno(), *streams):
            poll.register(number, select.EPOLLIN)
        while (now := time.monotonic()) < end:
            for number, _ in poll.poll(min(1.0, end - now)):
                if number not in streams:
                    poll.unregister(number)
                    told, end = True, time.monotonic() + seconds
                    continue
                dues = receive(streams[number])
                if told:
                    now = time.monotonic()
                    late += [now - due for due in dues]
    return late


def summary(late: list[float], seconds: float) -> dict[str, float]:
    """Compute the figures of all events."""
    if not late:
        raise SystemExit("no events")
    times = sorted(late)
    return {
        "events": len(times),
        "per_second": len(times) / seconds,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[math.ceil(len(times) * 0.99) - 1] * 1000,
        "late": sum(each > LATE for each in times),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    raise_file_limit()
    take_precedence()
    streams = open_streams(given.port, given.path, given.streams)
    print("ready", flush=True)
    print(json.dumps(summary(load(streams, given.seconds), given.seconds)), flush=True)


if __name__ == "__main__":
    main()

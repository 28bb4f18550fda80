"""Run as a script: python client.py PORT PATH CONNECTIONS SECONDS.

A load for so many seconds: keep-alive connections that ask again as soon as they have an answer. Prints as JSON how
many answers each second had, which seconds count, and what went wrong. A second counts unless this process was held up
in it itself, for more than HELD_UP: then the machine did something else, and what was answered is not known.
"""

import asyncio
import json
import sys

TICK = 0.01  # seconds
HELD_UP = 0.25  # seconds


class Load:
    """The results, by seconds."""

    def __init__(self, seconds: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.began = self.ticked = self.loop.time()
        self.answers = [0] * seconds
        self.held_up = [0.0] * seconds
        self.failed: list[str] = []

    def second(self) -> int:
        return int(self.loop.time() - self.began)

    def answered(self) -> None:
        second = self.second()
        if second < len(self.answers):
            self.answers[second] += 1

    def tick(self) -> None:
        late = self.loop.time() - self.ticked - TICK
        for second in {int(self.ticked - self.began), self.second()}:
            if second < len(self.held_up):
                self.held_up[second] = max(self.held_up[second], late)
        self.ticked = self.loop.time()
        self.loop.call_later(TICK, self.tick)


class Connection(asyncio.Protocol):
    """A connection that sends requests and counts answers."""

    def __init__(self, load: Load, request: bytes) -> None:
        self.load = load
        self.request = request
        self.came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.came += data
        head, end, body = self.came.partition(b"\r\n\r\n")
        if not end:
            return
        fields = head.lower()
        if b"content-length:" in fields:
            length = int(fields.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            complete = len(body) == length
        else:
            complete = body.endswith(b"\r\n0\r\n\r\n")
        if complete:
            if not head.startswith(b"HTTP/1.1 200 "):
                self.load.failed.append(head.decode("latin-1"))
            self.load.answered()
            self.came = b""
            self.transport.write(self.request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.load.failed.append(f"closed: {exc!r}")


async def main() -> None:
    port, path, connections, seconds = sys.argv[1:]
    request = f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
    load = Load(int(seconds))
    load.tick()
    for _ in range(int(connections)):
        await load.loop.create_connection(lambda: Connection(load, request), "127.0.0.1", int(port))
    await asyncio.sleep(load.began + int(seconds) - load.loop.time())
    counts = [late < HELD_UP for late in load.held_up]
    print(json.dumps({"answers": load.answers, "counts": counts, "failed": load.failed[:5]}), flush=True)


asyncio.run(main())

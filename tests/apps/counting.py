"""A server and its clients in one process without garbage collection: finds objects of Snakepit that stay after each
kind of use.

`python counting.py APP LOOP HTTP KIND...` prints the classes, and how many objects of each have come to stay, as JSON.
The worker runs in this interpreter, too, so both sides are seen.
"""

import asyncio
import collections
import gc
import json
import socket
import sys

from snakepit import Config, Server
from snakepit.server.event_loop.choice import loop_factory

USES = 30

HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
LAST = b"Host: a\r\nConnection: close\r\n"
BODY = b"x" * 600_000

USE = {
    "get": [b"GET / HTTP/1.1\r\n" + LAST + b"\r\n"],
    "keep": [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", None, b"GET / HTTP/1.1\r\n" + LAST + b"\r\n"],
    "upload": [b"POST /length HTTP/1.1\r\n" + LAST + b"Content-Length: %d\r\n\r\n" % len(BODY), BODY],
    "chunks": [
        b"POST /length HTTP/1.1\r\n" + LAST + b"Transfer-Encoding: chunked\r\n\r\n",
        b"1\r\na\r\n",
        b"0\r\n\r\n",
    ],
    "context": [b"GET /context HTTP/1.1\r\n" + LAST + b"\r\n"],
    "refused": [b"BAD\r\n\r\n"],
    "fails": [b"GET /raise-before HTTP/1.1\r\n" + LAST + b"\r\n"],
    "gone": [b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n", None],
    "websocket": [HANDSHAKE, None, b"\x81\x82\0\0\0\0hi", None, b"\x88\x80\0\0\0\0"],
}
"""The data that a client sends; None: it reads something first."""


def use(port, kind):
    with socket.create_connection(("127.0.0.1", port)) as sock:
        for data in USE[kind]:
            if data is None:
                sock.recv(10)
            else:
                sock.sendall(data)
        while kind != "gone" and sock.recv(65536):
            pass


def use_often(port, kind):
    for _ in range(USES):
        use(port, kind)


def count():
    names = (f"{type(found).__module__}.{type(found).__name__}" for found in gc.get_objects())
    ours = ("snakepit.", "_asyncio.Task", "_io.Buffered")  # not asyncio's transports, which 3.13 leaves in cycles
    return collections.Counter(name for name in names if name.startswith(ours))


async def grown(server, kind):
    """Return the objects that have come to stay, once all activity is over."""
    port = int(server.address.rpartition(":")[2])
    await asyncio.to_thread(use_often, port, kind)  # objects that are created only once
    gc.collect()
    before = count()
    await asyncio.to_thread(use_often, port, kind)
    for _ in range(200):
        more = {name: many for name, many in (count() - before).items() if many >= USES // 2}
        if not more:
            break
        await asyncio.sleep(0.01)
    return more


async def main(app, http, kinds):
    server = Server(Config(app, port=0, runtime="thread", http=http, access_log=False, log_level="critical"))
    serving = asyncio.create_task(server.serve())
    while server.statistics().state != "serving":
        await asyncio.sleep(0.01)
    gc.disable()
    print(json.dumps({kind: await grown(server, kind) for kind in kinds}))
    server.stop()
    await serving


if __name__ == "__main__":
    name, loop, parser, *kinds = sys.argv[1:]
    asyncio.run(main(name, parser, kinds), loop_factory=loop_factory(loop))

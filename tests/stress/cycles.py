"""Run as a script: python cycles.py APP_DIR APP PATH EXPECTED CYCLES.

Starts a server with one worker, asks it 50 times, and stops it, again and again in one process; prints the resident
MiB after the first cycle and after the last.
"""

import asyncio
import gc
import logging
import os
import sys
from pathlib import Path

from snakepit import Config, Server
from snakepit.system.memory import keep_freed_memory

REQUESTS = 50


def resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def cycle(app: str, path: str, expected: bytes) -> None:
    server = Server(Config(app, interpreters=1, port=0, access_log=False))
    serving = asyncio.ensure_future(server.serve())
    async with asyncio.timeout(60):
        while (connected := await _connect(server)) is None:
            if serving.done():
                await serving
            await asyncio.sleep(0.005)
        reader, writer = connected
        for _ in range(REQUESTS):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            body = await reader.readexactly(len(expected))
            assert body == expected, body
        writer.close()
        server.stop()
        await serving
    assert not server.left_open


async def _connect(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    if server.address is None:
        return None
    try:
        return await asyncio.open_connection("127.0.0.1", int(server.address.rpartition(":")[2]))
    except ConnectionRefusedError:
        return None


async def main() -> None:
    folder, app, path, expected, cycles = sys.argv[1:]
    sys.path.insert(0, folder)
    logging.getLogger("snakepit").setLevel(logging.ERROR)
    keep_freed_memory()
    first = 0.0
    for number in range(int(cycles)):
        await cycle(app, path, expected.encode())
        if not number:
            gc.collect()
            first = resident()
    print(first, resident())


asyncio.run(main())

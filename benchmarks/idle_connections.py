"""A client that holds many idle keep-alive connections: run in a process of its own.

Each connection makes one request and then idles. When all have their answer, a line of JSON says how many there are and
how many of the answers were wrong. They stay until standard input ends; then a line says how many of them were lost.
The source addresses are 127.0.0.2 and following, so that there are enough ports.
"""

import argparse
import asyncio
import json
import sys

from benchmarks.privileges import raise_file_limit

PER_ADDRESS = 5000  # connections from each source address
AT_ONCE = 200  # connections that are being opened


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("connections", type=int)
    given = parser.parse_args()
    raise_file_limit()
    slots = asyncio.Semaphore(AT_ONCE)
    request = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{given.port}\r\n\r\n".encode()

    async def open_one(number: int) -> tuple[asyncio.StreamWriter, bool]:
        async with slots:
            source = f"127.0.0.{2 + number // PER_ADDRESS}"
            reader, writer = await asyncio.open_connection("127.0.0.1", given.port, local_addr=(source, 0))
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            return writer, head.startswith(b"HTTP/1.1 200 ")

    held = await asyncio.gather(*map(open_one, range(given.connections)))
    print(json.dumps({"open": len(held), "errors": sum(not right for _, right in held)}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    lost = sum(writer.transport.is_closing() for writer, _ in held)
    print(json.dumps({"lost": lost}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())

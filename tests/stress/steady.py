"""Run as a script: python steady.py PORT PATH CONNECTIONS PAUSE [again].

A constant load: keep-alive connections that each ask, read the answer, and pause for so many seconds, until standard
input ends. With "again", the server may say that it closes a connection, and another is made then; and so it is when
one breaks. Prints what came of it as JSON: how many answers, the failed ones, connections that the server closed
silently, how many could not be made, the milliseconds that the slowest answer took, and the longest time without one.
"""

import asyncio
import json
import sys
import time


class Load:
    def __init__(self, port: int, path: str, pause: float, again: bool) -> None:
        self.port = port
        self.request = f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
        self.pause = pause
        self.again = again
        self.over = False
        self.answers = 0
        self.slowest = self.silence = 0.0
        self.latest = time.perf_counter()
        self.failed: list[str] = []
        self.closed: list[str] = []
        self.refused = 0

    async def ask(self) -> None:
        """Ask on one connection, again and again, and then perhaps on another."""
        while not self.over:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                self.refused += 1
                return
            try:
                await self.ask_on(reader, writer)
            except (OSError, EOFError) as error:
                self.closed.append(repr(error))
            finally:
                writer.close()
            if not self.again:
                return

    async def ask_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not self.over:
            began = time.perf_counter()
            writer.write(self.request)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
            await reader.readexactly(length)
            now = time.perf_counter()
            self.answers += 1
            self.slowest = max(self.slowest, now - began)
            self.silence, self.latest = max(self.silence, now - self.latest), now
            closes = b"connection: close" in head
            if not head.startswith(b"http/1.1 200 ") or (closes and not self.again):
                self.failed.append(head.decode("latin-1"))
            if closes:
                return
            await asyncio.sleep(self.pause)


async def main() -> None:
    port, path, connections, pause, *again = sys.argv[1:]
    load = Load(int(port), path, float(pause), bool(again))
    asking = [asyncio.create_task(load.ask()) for _ in range(int(connections))]
    await asyncio.to_thread(sys.stdin.read)
    load.over = True
    await asyncio.gather(*asking)
    told = {"answers": load.answers, "failed": load.failed, "closed": load.closed, "refused": load.refused}
    print(json.dumps(told | {"slowest_ms": round(load.slowest * 1000), "silence_ms": round(load.silence * 1000)}))


asyncio.run(main())

"""Run as a script: python steady.py PORT PATH CONNECTIONS PAUSE.

A constant load: keep-alive connections that each ask, read the answer, and pause for so many seconds, until standard
input ends. Prints what came of it as JSON: how many answers, the failed ones, connections that the server closed, and
the milliseconds that the slowest answer took.
"""

import asyncio
import json
import sys
import time


class Load:
    def __init__(self, port: int, path: str, pause: float) -> None:
        self.port = port
        self.request = f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
        self.pause = pause
        self.over = False
        self.answers = 0
        self.slowest = 0.0
        self.failed: list[str] = []
        self.closed: list[str] = []

    async def ask(self) -> None:
        """Ask on one connection, again and again."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            while not self.over:
                began = time.perf_counter()
                writer.write(self.request)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
                await reader.readexactly(length)
                self.answers += 1
                self.slowest = max(self.slowest, time.perf_counter() - began)
                if not head.startswith(b"http/1.1 200 ") or b"connection: close" in head:
                    self.failed.append(head.decode("latin-1"))
                await asyncio.sleep(self.pause)
        except (OSError, EOFError) as error:
            self.closed.append(repr(error))
        finally:
            writer.close()


async def main() -> None:
    port, path, connections, pause = sys.argv[1:]
    load = Load(int(port), path, float(pause))
    asking = [asyncio.create_task(load.ask()) for _ in range(int(connections))]
    await asyncio.to_thread(sys.stdin.read)
    load.over = True
    await asyncio.gather(*asking)
    told = {"answers": load.answers, "failed": load.failed, "closed": load.closed}
    print(json.dumps(told | {"slowest_ms": round(load.slowest * 1000)}))


asyncio.run(main())

"""Handlers that hang for ever, under a constant load: `make stress`."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from benchmarks.server import serving

APPS = Path(__file__).parents[1] / "apps"
CONNECTIONS = 64
RATE = 5  # requests a second on each connection
SECONDS = 20.0
TIME_OUT = 1.0  # --timeout-request
MOST = 0.1  # seconds, which nothing else may take longer than, at the 99th percentile

pytestmark = pytest.mark.stress


async def request(reader, writer, path):
    """One request on a connection; returns its status and the seconds that it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    await reader.readexactly(int(length.split(b":")[1]))
    return int(head[9:12]), loop.time() - began


async def constant_load(port, until, results, number):
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = loop.time() + number / CONNECTIONS / RATE
    while due < until:
        await asyncio.sleep(max(0.0, due - loop.time()))
        status, _ = await request(reader, writer, "/")
        results.append((status, loop.time() - due))  # a client that waits for an answer is late with the next request
        due += 1 / RATE
    writer.close()


async def hang(port, until, path):
    """Ask for what never ends, all the time, always on the same connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    while asyncio.get_running_loop().time() < until:
        answers.append(await request(reader, writer, path))
    writer.close()
    return answers


async def both(port, path):
    until = asyncio.get_running_loop().time() + SECONDS
    results = []
    load = [constant_load(port, until, results, number) for number in range(CONNECTIONS)]
    answers, *_ = await asyncio.gather(hang(port, until, path), *load)
    return answers, results


@pytest.mark.parametrize("runtime", ["interpreter", "process"])
@pytest.mark.parametrize(
    ("app", "path"),
    [("hanging:flask", "/burn"), ("hanging:asgi", "/burn"), ("hanging:api", "/async"), ("hanging:api", "/def")],
    ids=["flask", "asgi", "fastapi", "fastapi-def"],
)
def test_only_what_hangs_is_slow(app, path, runtime):
    options = ("-n", "2", "--app-dir", os.fspath(APPS), "--timeout-request", str(TIME_OUT), "--runtime", runtime)
    with serving(app, *options) as server:
        # a log that is not read would fill its pipe, and the server would wait
        reader = threading.Thread(target=server.process.stderr.read)
        reader.start()
        answers, results = asyncio.run(both(server.port, path))
        server.process.terminate()
        reader.join()
        assert server.stop() == 0
    assert {status for status, _ in answers} == {504}
    assert len(answers) >= SECONDS / TIME_OUT / 2
    assert max(seconds for _, seconds in answers) < TIME_OUT + 0.5
    assert {status for status, _ in results} == {200}
    taken = sorted(seconds for _, seconds in results)
    print(f"{len(taken)} p50 {taken[len(taken) // 2]:.4f} p99 {taken[len(taken) * 99 // 100]:.4f} max {taken[-1]:.4f}")
    assert taken[len(taken) * 99 // 100] < MOST

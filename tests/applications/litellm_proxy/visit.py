import asyncio
import json
import os
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx


@asynccontextmanager
async def visit(url):
    headers = {"authorization": "Bearer sk-of-this-test"}
    async with httpx.AsyncClient(base_url=url, timeout=60, headers=headers) as client, slow_model():
        assert (await client.get("/health/liveliness")).json() == "I'm alive!"
        asked = {"model": "parrot", "messages": [{"role": "user", "content": "Polly?"}]}
        for _ in range(4):
            answer = await client.post("/chat/completions", json=asked)
            assert answer.json()["choices"][0]["message"]["content"].startswith("Polly wants"), answer.text
        async with client.stream("POST", "/chat/completions", json={**asked, "stream": True}) as stream:
            pieces = [piece async for piece in contents(stream)]
        assert len(pieces) > 1
        assert "".join(pieces) == "Polly wants a cracker, and then another one."
        async with client.stream(
            "POST", "/chat/completions", json={**asked, "model": "slow", "stream": True}
        ) as stream:
            assert await anext(contents(stream)) == "tick"
            yield


async def contents(stream):
    """The pieces of a streamed answer."""
    async for line in stream.aiter_lines():
        if line.startswith("data: {"):
            piece = json.loads(line.removeprefix("data: "))["choices"][0]["delta"].get("content")
            if piece:
                yield piece


@asynccontextmanager
async def slow_model():
    """A model that goes on and on, as OpenAI's are asked."""

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        size = next(line for line in head.decode().lower().split("\r\n") if line.startswith("content-length:"))
        await reader.readexactly(int(size.partition(":")[2]))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "slow"}
        chunk["choices"] = [{"index": 0, "delta": {"role": "assistant", "content": "tick"}, "finish_reason": None}]
        try:
            while True:
                writer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
                await writer.drain()
                await asyncio.sleep(0.2)
        except ConnectionError:
            writer.close()

    where = urlsplit(os.environ["SLOW_MODEL"])
    server = await asyncio.start_server(answer, where.hostname, where.port)
    try:
        yield
    finally:
        server.close()

"""Handlers that compute: `app` speaks ASGI, `wsgi` WSGI, and the path says what and how many milliseconds."""

import asyncio
import random
import time

BODIES = [b"x" * size for size in (1, 1000, 20_000)]


def burn(milliseconds):
    end = time.perf_counter() + milliseconds / 1000
    while time.perf_counter() < end:
        pass


async def lifespan(receive, send):
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    _, what, *number = scope["path"].split("/")
    body = b"ok"
    if what == "compute":
        burn(float(number[0]))
    elif what == "mixed":
        body = random.choice(BODIES)
        await mix()
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
    if what == "stream":
        start["headers"] = []
    await send(start)
    if what == "stream":
        for _ in range(4):
            burn(float(number[0]))
            await send({"type": "http.response.body", "body": b"x" * 100, "more_body": True})
            await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": body})


async def mix():
    chance = random.random()
    if chance < 0.3:
        burn(random.choice((1, 3, 6, 15, 30)))
    elif chance < 0.5:
        await asyncio.sleep(random.choice((0, 0.001, 0.01, 0.05)))
    elif chance < 0.6:
        await asyncio.to_thread(burn, 4)


def wsgi(environ, start_response):
    _, what, *number = environ["PATH_INFO"].split("/")
    body = b"ok"
    if what == "compute":
        burn(float(number[0]))
    elif what == "mixed":
        body = random.choice(BODIES)
        chance = random.random()
        if chance < 0.4:
            burn(random.choice((1, 3, 6, 15, 30)))
        elif chance < 0.6:
            time.sleep(random.choice((0, 0.001, 0.01, 0.05)))
    if what == "stream":
        start_response("200 OK", [])
        return stream(float(number[0]))
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def stream(milliseconds):
    for _ in range(4):
        burn(milliseconds)
        yield b"x" * 100

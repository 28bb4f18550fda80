"""Plain ASGI: a lifespan of its own in each worker, and an answer streamed line by line.

snakepit run asgi:app --interpreters 2
curl -N http://127.0.0.1:8000
"""

import asyncio
import time
import uuid

WORKER = uuid.uuid4().hex[:8]  # each worker imports this module, so each has its own


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(scope["state"], receive, send)
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        for number in range(1, 4):
            age = time.monotonic() - scope["state"]["started"]
            line = f"{number} of 3 from worker {WORKER}, up for {age:.1f} s\n"
            await send({"type": "http.response.body", "body": line.encode(), "more_body": True})
            await asyncio.sleep(0.2)
        await send({"type": "http.response.body"})


async def lifespan(state, receive, send):
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            state["started"] = time.monotonic()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return

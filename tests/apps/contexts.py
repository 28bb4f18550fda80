"""Says what a context variable is when a request begins, and sets it again, so that the next request could see that."""

from contextvars import ContextVar

SET = ContextVar("SET", default="nothing")
SET.set("the import")


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        SET.set("lifespan")
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    found = SET.get()
    SET.set("a request")
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": found})
        await send({"type": "websocket.close"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"server", b"app"), (b"x-a", b"app")]})
    await send({"type": "http.response.body", "body": found.encode()})

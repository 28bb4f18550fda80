"""A plain ASGI app: one path measures the cost of the server itself, another occupies a core."""

from benchmarks.apps.work import burn

LARGE = b"x" * 65536
PIECE = b"x" * 1024


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await echo(receive, send)
        return
    path = scope["path"]
    if path == "/":
        body = b"Hello, world!"
    elif path == "/burn":
        total = 0
        for number in range(400_000):
            total += number
        body = b"%d" % total
    elif path.startswith("/burn-"):  # as in /burn-0.5ms
        burn(float(path[6:-2]) / 1000)
        body = b"Hello, world!"
    elif path == "/64k":
        body = LARGE
    elif path == "/echo":
        pieces, more = [], True
        while more:
            message = await receive()
            pieces.append(message.get("body", b""))
            more = message.get("more_body", False)
        body = b"".join(pieces)
    elif path == "/upload":
        size, more = 0, True
        while more:
            message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        body = b"%d" % size
    else:
        await stream(send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


async def echo(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        text = message.get("text")
        await send(
            {"type": "websocket.send", "text": text} if text is not None else {**message, "type": "websocket.send"}
        )


async def stream(send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for _ in range(16):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body"})

"""A plain ASGI app: what the server itself costs, and work for one core."""


async def app(scope, receive, send):
    path = scope["path"]
    if path == "/burn":
        total = 0
        for number in range(400_000):
            total += number
        body = b"%d" % total
    elif path == "/upload":
        size, more = 0, True
        while more:
            message = await receive()
            size += len(message.get("body", b""))
            more = message.get("more_body", False)
        body = b"%d" % size
    else:
        body = b"Hello, world!"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})

"""Apps behind static files: they echo what is sent to /echo, and have nothing else."""


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    status, body = (200, body) if scope["path"] == "/echo" else (404, b"nothing here")
    await send({"type": "http.response.start", "status": status, "headers": [(b"x-app", b"asgi")]})
    await send({"type": "http.response.body", "body": body})


def wsgi(environ, start_response):
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] != "/echo":
        start_response("404 Not Found", [("X-App", "wsgi")])
        return [b"nothing here"]
    start_response("200 OK", [("X-App", "wsgi")])
    return [body]

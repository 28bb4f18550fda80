"""The app behind the servers: it answers with what it was told of the request, and breaks the rules where asked to.

`asgi` and `wsgi` say the same in the same form, so that the cases need not know which of them is served.
"""

import json

SEEN = "x-seen"
"""A field of the answers that hold what the app was told, so that a server's own pages are not taken for them."""

UP = b"up"
"""The answer at /up, by which a server is known to serve."""

BROKEN = {
    "value-crlf": ("200 OK", [("X-App", "a\r\nInjected: 1")]),
    "value-lf": ("200 OK", [("X-App", "a\nInjected: 1")]),
    "value-cr": ("200 OK", [("X-App", "a\rInjected: 1")]),
    "value-nul": ("200 OK", [("X-App", "a\x00b")]),
    "name-crlf": ("200 OK", [("X-App: a\r\nInjected", "1")]),
    "name-space": ("200 OK", [("Inject ed", "1")]),
    "name-empty": ("200 OK", [("", "1")]),
    "name-colon": ("200 OK", [("Injected:", "1")]),
    "two-lengths": ("200 OK", [("Content-Length", "2"), ("Content-Length", "3")]),
    "length-signed": ("200 OK", [("Content-Length", "+2")]),
    "status-99": ("99 Low", []),
    "status-1000": ("1000 High", []),
    "reason-crlf": ("200 OK\r\nInjected: 1", []),
    "reason-nul": ("200 OK\x00", []),
}
"""Responses that must not go out: a status line as WSGI has it, and fields. ASGI has no reasons."""


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if scope["path"].startswith("/broken/"):
        status, fields = BROKEN[scope["path"].removeprefix("/broken/")]
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]
        await send({"type": "http.response.start", "status": int(status.partition(" ")[0]), "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})
        return
    answer = (
        UP
        if scope["path"] == "/up"
        else _answer(
            scope["method"],
            scope["path"],
            scope["query_string"].decode("latin-1"),
            [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]],
            body,
        )
    )
    head = [(b"content-type", b"application/json"), (SEEN.encode(), b"1"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": answer})


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/broken/"):
        status, fields = BROKEN[path.removeprefix("/broken/")]
        start_response(status, list(fields))
        return [b"ok"]
    fields = [
        (key.removeprefix("HTTP_").replace("_", "-").lower(), value)
        for key, value in environ.items()
        if key.startswith("HTTP_") or key in ("CONTENT_TYPE", "CONTENT_LENGTH")
    ]
    body = environ["wsgi.input"].read(None if environ.get("wsgi.input_terminated") else _length(environ))
    text = path.encode("latin-1").decode(errors="replace")
    answer = UP if path == "/up" else _answer(environ["REQUEST_METHOD"], text, environ["QUERY_STRING"], fields, body)
    head = [("Content-Type", "application/json"), (SEEN, "1"), ("Content-Length", str(len(answer)))]
    start_response("200 OK", head)
    return [answer]


def _length(environ):
    length = environ.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isdigit() else 0


def _answer(method, path, query, fields, body):
    joined = {}
    for name, value in fields:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return json.dumps(
        {"method": method, "path": path, "query": query, "fields": joined, "body": body.decode("latin-1")}
    ).encode()

"""Say what they know of where a request comes from: an ASGI app, with WebSockets, and a WSGI app."""

import json

KEYS = ("client", "server", "scheme", "path", "root_path")


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("none")
    said = json.dumps({key: scope[key] for key in KEYS} | {"raw_path": scope["raw_path"].decode()})
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": said})
        await send({"type": "websocket.close"})
        return
    if scope["path"].endswith("/raise"):
        raise RuntimeError("told to")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": said.encode()})


def wsgi(environ, start_response):
    start_response("200 OK", [])
    client = [environ["REMOTE_ADDR"], int(environ["REMOTE_PORT"])] if environ.get("REMOTE_ADDR") else None
    said = {
        "client": client,
        "server": [environ["SERVER_NAME"], int(environ["SERVER_PORT"])],
        "scheme": environ["wsgi.url_scheme"],
        "root_path": environ["SCRIPT_NAME"],
        "path": environ["SCRIPT_NAME"] + environ["PATH_INFO"],
    }
    return [json.dumps(said).encode()]

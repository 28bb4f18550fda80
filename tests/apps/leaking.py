"""Apps that leak on purpose: the query says how many bytes a request leaves behind."""

LEAKED: list[bytes] = []
SIZE = [0]  # of all of them: adding it up would make each request slower than the one before


def leak(query: bytes) -> bytes:
    LEAKED.append(b"x" * int(query or b"0"))
    SIZE[0] += len(LEAKED[-1])
    return b"%d" % SIZE[0]


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    body = leak(scope["query_string"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def wsgi(environ, start_response):
    body = leak(environ["QUERY_STRING"].encode())
    start_response("200 OK", [])
    return [body]

"""An ASGI app with one tiny WebSocket behaviour per path, for the end-to-end tests."""

import asyncio
import json
import os
import sys
import uuid

WORKER = uuid.uuid4().hex  # another one in each worker
SENT = [0]  # bytes, by `flood`
LISTEN = asyncio.Event()  # for `deaf`


def log(*words):
    print(*words, file=sys.stderr, flush=True)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": HTTP.get(scope["path"], hello)()})
        return
    message = await receive()
    assert message == {"type": "websocket.connect"}
    await BEHAVIORS[scope["path"].strip("/")](scope, receive, send)


async def accept(send, **fields):
    await send({"type": "websocket.accept", **fields})


async def say(send, text):
    await send({"type": "websocket.send", "text": text})


async def until_closed(receive):
    """Receive until the end, and note how it came."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            log(f"heard {message['code']} {message['reason']!r}")
            return


async def echo(scope, receive, send):
    await accept(send)
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            log(f"heard {message['code']} {message['reason']!r}")
            return
        await send({**message, "type": "websocket.send"})


async def scope_(scope, receive, send):
    await accept(send)
    shown = {key: value for key, value in scope.items() if key != "state"}
    shown["raw_path"] = shown["raw_path"].decode("latin-1")
    shown["query_string"] = shown["query_string"].decode("latin-1")
    shown["headers"] = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    await say(send, json.dumps(shown))


async def last_subprotocol(scope, receive, send):
    await accept(send, subprotocol=scope["subprotocols"][-1])
    await until_closed(receive)


async def headers(scope, receive, send):
    await accept(send, headers=[(b"x-one", b"1"), (b"set-cookie", b"a=b"), (b"set-cookie", b"c=d")])
    await until_closed(receive)


async def deny(scope, receive, send):
    await send({"type": "websocket.close", "code": 4000, "reason": "no"})


async def denial(scope, receive, send):
    assert "websocket.http.response" in scope["extensions"]
    headers = [(b"content-type", b"text/plain"), (b"x-why", b"because")]
    await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"who ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"are you?"})


async def raise_before(scope, receive, send):
    raise ValueError("raised before accepting")


async def return_before(scope, receive, send):
    pass


async def raise_after(scope, receive, send):
    await accept(send)
    raise ValueError("raised within the session")


async def return_after(scope, receive, send):
    await accept(send)


async def close(scope, receive, send):
    await accept(send)
    await say(send, "last words")
    await send({"type": "websocket.close", "code": 4321, "reason": "had enough ☃"})
    await until_closed(receive)


async def close_plainly(scope, receive, send):
    await accept(send)
    await send({"type": "websocket.close"})


async def send_after_close(scope, receive, send):
    await accept(send)
    await until_closed(receive)
    try:
        await say(send, "too late")
    except OSError as error:
        log(f"send raised {type(error).__name__}")
    await send({"type": "websocket.close"})
    log("tidied up")


async def flood(scope, receive, send):
    """Sends as much as it may; GET /sent returns how much that is."""
    await accept(send)
    size = int(scope["query_string"])
    try:
        while True:
            await send({"type": "websocket.send", "bytes": b"x" * size})
            SENT[0] += size
    except OSError:
        log(f"sent all of {SENT[0]}")


async def deaf(scope, receive, send):
    """Receives only once there was a GET /listen, and tells the number of messages."""
    await accept(send)
    await say(send, "deaf")
    await LISTEN.wait()
    count = 0
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("text") == "how many?":
            await say(send, str(count))
        count += 1


async def burn(scope, receive, send):
    """Computes in pure Python, holding this worker's GIL, until there is a file of the name that it is sent."""
    await accept(send)
    enough = (await receive())["text"]
    await say(send, "busy")
    await asyncio.sleep(0)
    log("burning")
    while not os.path.exists(enough):
        sum(range(1000))
    await say(send, f"burnt in {WORKER}")
    await until_closed(receive)


async def stop_loop(scope, receive, send):
    await accept(send)
    await say(send, WORKER)
    while (await receive()).get("text") != "stop":
        pass
    asyncio.get_running_loop().stop()
    await asyncio.sleep(60)


async def stubborn(scope, receive, send):
    """Goes on after the end of its session."""
    await accept(send)
    await until_closed(receive)
    await asyncio.sleep(60)


def listen():
    LISTEN.set()
    return b""


def sent():
    return str(SENT[0]).encode()


def hello():
    return b"hello"


HTTP = {"/listen": listen, "/sent": sent}

BEHAVIORS = {
    "scope": scope_,
    **{
        function.__name__.replace("_", "-"): function
        for function in (
            echo, last_subprotocol, headers, deny, denial, raise_before, return_before, raise_after, return_after,
            close, close_plainly, send_after_close, flood, deaf, burn, stop_loop, stubborn,
        )
    },
}  # fmt: skip

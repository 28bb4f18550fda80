"""What a server may have to wait for when it stops: `app` and `listening` speak ASGI, `wsgi` WSGI."""

import asyncio
import sys
import threading
import time


def say(text):
    print(text, file=sys.stderr, flush=True)


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await socket(receive, send)
    elif scope["path"] == "/events":
        await events(send)
    else:
        await answer(scope["path"], receive, send)


async def listening(scope, receive, send):
    """Events that listen for the disconnect, as frameworks do."""
    assert scope["type"] == "http"
    streaming = asyncio.create_task(events(send))
    while (await receive())["type"] != "http.disconnect":
        pass
    streaming.cancel()
    await asyncio.wait([streaming])


async def events(send):
    try:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        number = 0
        while True:
            number += 1
            await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
            await asyncio.sleep(0.1)
    finally:
        say("tidied up")


async def answer(path, receive, send):
    body = b"ok"
    if path == "/sleep":
        say("sleeps")
        await asyncio.sleep(2)
    elif path == "/large":
        body = bytes(10_000_000)
    elif path == "/upload":
        say("reads")
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            size, more = size + len(message["body"]), message["more_body"]
        body = b"%d" % size
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def socket(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    message = await receive()
    while message["type"] != "websocket.disconnect":
        message = await receive()
    say(f"heard {message['code']}")


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/events":
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        return wsgi_events()
    if path == "/upload":
        say("reads")
        body = b"%d" % len(environ["wsgi.input"].read())
    elif path == "/reads-on":
        threading.Thread(target=read_on, args=(environ["wsgi.input"],)).start()
        body = b"accepted"
    elif path == "/both":
        start_response("200 OK", [])
        return both(environ["wsgi.input"])
    else:
        body = b"ok"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def wsgi_events():
    number = 0
    try:
        while True:
            number += 1
            yield b"data: %d\n\n" % number
            time.sleep(0.1)
    finally:
        say("tidied up")


def read_on(stream):
    try:
        while stream.read(1000):
            pass
        say("the thread got all")
    except Exception as error:
        say(f"the thread got {type(error).__name__}")


def both(stream):
    """Reads in one thread, writes in another."""
    got = []
    reader = threading.Thread(target=lambda: got.append(len(stream.read())))
    reader.start()
    for _ in range(100):
        yield bytes(50_000)
    reader.join()
    yield b"read %d" % got[0]

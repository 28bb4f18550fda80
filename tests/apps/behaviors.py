"""An ASGI app with one tiny behaviour per path, for the end-to-end tests."""

import asyncio
import contextvars
import json
import os
import sys
import threading
import time
import uuid

WORKER = uuid.uuid4().hex  # another one in each worker, since each imports this module by itself
CALLS: list[str] = []
EVENTS: list[str] = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
        return
    name = scope["path"].strip("/").split("/")[0] or "index"
    CALLS.append(name)
    await BEHAVIORS[name](scope, receive, send)


async def lifespan(scope, receive, send):
    await receive()
    scope["state"]["started_in"] = WORKER
    print(f"lifespan startup {WORKER}", file=sys.stderr, flush=True)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    if os.environ.get("SLOW_SHUTDOWN"):
        time.sleep(float(os.environ["SLOW_SHUTDOWN"]))
    print(f"lifespan shutdown {WORKER}", file=sys.stderr, flush=True)
    await send({"type": "lifespan.shutdown.complete"})


async def answer(send, body, status=200, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": [(b"x-worker", WORKER.encode()), *headers]})
    await send({"type": "http.response.body", "body": body})


async def read(receive):
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return body
        body += message["body"]
        if not message["more_body"]:
            return body


async def index(scope, receive, send):
    await answer(send, b"hello")


async def scope_(scope, receive, send):
    shown = {key: value for key, value in scope.items() if key != "state"}
    shown["state"] = dict(scope["state"])
    shown["raw_path"] = shown["raw_path"].decode("latin-1")
    shown["query_string"] = shown["query_string"].decode("latin-1")
    shown["headers"] = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    await answer(send, json.dumps(shown).encode(), headers=[(b"content-type", b"application/json")])


async def echo(scope, receive, send):
    await answer(send, await read(receive))


async def echo_stream(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        message = await receive()
        await send({"type": "http.response.body", "body": message["body"], "more_body": message["more_body"]})
        if not message["more_body"]:
            return


async def length(scope, receive, send):
    total = 0
    while True:
        message = await receive()
        total += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await answer(send, b"%d" % total)


async def slow_reader(scope, receive, send):
    """Reads its body at a set speed (bytes a second in the query string)."""
    speed = int(scope["query_string"])
    total, began = 0, time.monotonic()
    while True:
        message = await receive()
        total += len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            break
        ahead = total / speed - (time.monotonic() - began)
        if ahead > 0:
            await asyncio.sleep(ahead)
    await answer(send, b"%d" % total)


async def stream(scope, receive, send):
    count, size = map(int, scope["query_string"].split(b","))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(count):
        await send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
    await send({"type": "http.response.body"})


async def one_body(scope, receive, send):
    await answer(send, b"x" * int(scope["query_string"]))


async def status(scope, receive, send):
    await answer(send, b"some body", int(scope["query_string"]))


async def headers(scope, receive, send):
    await answer(send, b"", headers=[(b"x-one", b"1"), (b"x-two", b"a"), (b"x-two", b"b"), (b"date", b"never")])


async def who(scope, receive, send):
    await answer(send, WORKER.encode())


async def sleep(scope, receive, send):
    await asyncio.sleep(float(scope["query_string"]))
    await answer(send, b"slept")


async def hold(scope, receive, send):
    """Answers when the file that the query names exists."""
    print("holding", file=sys.stderr, flush=True)
    while not os.path.exists(scope["query_string"]):
        await asyncio.sleep(0.005)
    await answer(send, b"held")


async def hold_loop(scope, receive, send):
    """Like `hold`, but blocks the worker's event loop meanwhile."""
    print("holding", file=sys.stderr, flush=True)
    while not os.path.exists(scope["query_string"]):
        time.sleep(0.005)
    await answer(send, b"held")


async def burn(scope, receive, send):
    end = time.thread_time() + float(scope["query_string"])
    while time.thread_time() < end:
        pass
    await answer(send, WORKER.encode())


async def calls(scope, receive, send):
    await answer(send, json.dumps({"worker": WORKER, "calls": CALLS, "events": EVENTS}).encode())


async def until_disconnect(scope, receive, send):
    """Streams until the client leaves, and notes how it learnt of that."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-worker", WORKER.encode())]})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    message = await receive()
    while message["type"] == "http.request":
        message = await receive()
    print(f"heard {message['type']}", file=sys.stderr, flush=True)
    await send({"type": "http.response.body", "body": b"more", "more_body": True})
    print("committed what it did", file=sys.stderr, flush=True)


async def quiet_events(scope, receive, send):
    """An event stream whose first event comes when the file that the query names exists."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    while not os.path.exists(scope["query_string"]):
        await asyncio.sleep(0.005)
    await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
    await send({"type": "http.response.body"})


async def after_response(scope, receive, send):
    await receive()
    await answer(send, b"done")
    message = await receive()
    print(f"after response {message['type']}", file=sys.stderr, flush=True)


async def background(scope, receive, send):
    await answer(send, b"answered")
    await asyncio.sleep(0.2)
    print("background work finished", file=sys.stderr, flush=True)


async def raise_before(scope, receive, send):
    raise ValueError("raised before the response")


async def raise_exit(scope, receive, send):
    raise SystemExit(5)


async def raise_within(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"some", "more_body": True})
    raise ValueError("raised within the response")


async def no_response(scope, receive, send):
    pass


async def half_response(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"some", "more_body": True})


async def wrong_order(scope, receive, send):
    await send({"type": "http.response.body", "body": b"too early"})


async def twice(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def too_long(scope, receive, send):
    await answer(send, b"more than three", headers=[(b"content-length", b"3")])


async def too_short(scope, receive, send):
    await answer(send, b"abc", headers=[(b"content-length", b"30")])


async def too_long_stream(scope, receive, send):
    await stream_of(send, [b"abc", b"more than five"])


async def too_short_stream(scope, receive, send):
    await stream_of(send, [b"abc"])


async def stream_of(send, pieces):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


async def bad_header(scope, receive, send):
    await answer(send, b"", headers=[(b"x-evil", b"a\r\nx-injected: yes")])


async def control_header(scope, receive, send):
    await answer(send, b"", headers=[(b"x-colour", b"\x1b[31mred")])


async def text_header(scope, receive, send):
    await answer(send, b"", headers=[("x-text", "not bytes")])


async def ignore_body(scope, receive, send):
    await answer(send, b"ignored")


async def late_read(scope, receive, send):
    """Reads only after a while, so that a client waiting for 100 (Continue) has to wait, too."""
    await asyncio.sleep(0.2)
    print("reading now", file=sys.stderr, flush=True)
    await answer(send, await read(receive))


async def stop_loop(scope, receive, send):
    asyncio.get_running_loop().stop()
    await asyncio.sleep(60)


async def stop_and_block(scope, receive, send):
    asyncio.get_running_loop().stop()
    print("loop stopped", file=sys.stderr, flush=True)
    while not os.path.exists(scope["query_string"]):
        time.sleep(0.005)


async def threads(scope, receive, send):
    result = await asyncio.get_running_loop().run_in_executor(None, lambda: threading.current_thread().name)
    await answer(send, result.encode())


REQUEST = contextvars.ContextVar("request")


async def context(scope, receive, send):
    REQUEST.set((scope, receive, send))  # as starlette-context and others do
    await asyncio.sleep(0)
    await answer(send, b"")


async def print_(scope, receive, send):
    print("printed by the app")
    await answer(send, b"")


BEHAVIORS = {
    "scope": scope_,
    "print": print_,
    **{
        function.__name__.replace("_", "-"): function
        for function in (
            index, echo, echo_stream, length, slow_reader, stream, one_body, status, headers, who, sleep,
            hold, hold_loop, burn, calls, until_disconnect, after_response, background, raise_before, raise_exit,
            raise_within, no_response, half_response, wrong_order, twice, too_long, too_short, too_long_stream,
            too_short_stream, quiet_events, bad_header, control_header, text_header, ignore_body, late_read, stop_loop,
            stop_and_block, threads, context,
        )
    },
}  # fmt: skip

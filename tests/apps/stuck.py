"""Apps whose requests get stuck, each in another way."""

import asyncio
import threading

_event = threading.Event()


async def spin():
    while True:
        pass


def wait_in_a_thread():
    _event.wait()


async def wait_for_others():
    await asyncio.gather(asyncio.sleep(1000), asyncio.Event().wait())


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("only HTTP")
    match scope["path"]:
        case "/spin":
            await spin()
        case "/gather":
            await wait_for_others()
        case "/thread":
            await asyncio.to_thread(wait_in_a_thread)
        case "/release":
            _event.set()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def spin_for_ever():
    while True:
        pass


def wsgi(environ, start_response):
    if environ["PATH_INFO"] == "/spin":
        spin_for_ever()
    if environ["PATH_INFO"] == "/thread":
        wait_in_a_thread()
    start_response("200 OK", [])
    return [b"ok"]

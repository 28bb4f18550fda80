"""Apps that hang, each in its own way: `asgi` and `wsgi`, and the same in frameworks: `api` (FastAPI) and `flask`."""

import asyncio
import ctypes
import time
from importlib.util import find_spec

from fastapi import FastAPI, Request, WebSocket
from flask import Flask


def burn():
    print("begun", flush=True)
    while True:
        pass


def burn_on():
    """Handlers for the app's own errors do not end it."""
    while True:
        try:
            while True:
                pass
        except Exception:
            pass


def never_end():
    """Only the end of the process ends this."""
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            pass


def sleep():
    time.sleep(1000)


def keep_the_gil():
    ctypes.PyDLL(None).sleep(4)


WAYS = {"/burn": burn, "/burn_on": burn_on, "/never_end": never_end, "/sleep": sleep, "/gil": keep_the_gil}


def wsgi(environ, start_response):
    path = environ["PATH_INFO"]
    if path in WAYS:
        WAYS[path]()
    elif path == "/stream":
        return stream(start_response, float(environ["QUERY_STRING"]))
    elif path == "/upload":
        return answer(start_response, b"%d" % len(environ["wsgi.input"].read()))
    return answer(start_response, b"Hello, world!")


def answer(start_response, body):
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def stream(start_response, seconds):
    start_response("200 OK", [])
    yield b"begins"
    time.sleep(seconds)
    yield b", ends"


async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("none")
    path = scope["path"]
    if scope["type"] == "websocket":
        await websocket(path, receive, send)
        return
    body = b"Hello, world!"
    if path in WAYS:
        WAYS[path]()
    elif path == "/await":
        print("begun", flush=True)
        await asyncio.sleep(1000)
    elif path == "/shrug":
        await shrug()
    elif path == "/thread":
        await asyncio.to_thread(burn)
    elif path == "/upload":
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message["body"]), message["more_body"]
        body = b"%d" % size
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if path == "/stream":
        await send({"type": "http.response.body", "body": b"begins", "more_body": True})
        await asyncio.sleep(float(scope["query_string"]))
        body = b", ends"
    await send({"type": "http.response.body", "body": body})


async def shrug():
    """Ignores its cancellation for a while."""
    end = time.monotonic() + 1000
    while time.monotonic() < end:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass


async def websocket(path, receive, send):
    await receive()
    if path == "/accepted":
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"]})
    await asyncio.sleep(1000)


flask = Flask(__name__)
flask.add_url_rule("/", "hello", lambda: "Hello, world!")
for _path, _hang in WAYS.items():
    flask.add_url_rule(_path, _path, _hang)

api = FastAPI()


@api.get("/")
async def hello():
    return "Hello, world!"


@api.get("/def")
def in_a_thread():
    burn()


@api.get("/def_sleep")
def sleep_in_a_thread():
    time.sleep(1)


@api.get("/async")
async def in_the_loop():
    burn()


@api.websocket("/socket")
async def never_accepts(socket: WebSocket):
    await asyncio.sleep(1000)


layered = FastAPI()
layered.include_router(api.router)


@layered.middleware("http")
async def in_a_task_of_its_own(request: Request, call_next):
    return await call_next(request)


if find_spec("django") is not None:
    import django
    from django.conf import settings
    from django.core.handlers.asgi import ASGIHandler
    from django.http import HttpResponse
    from django.urls import path as url

    if not settings.configured:
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="none")
        django.setup(set_prefix=False)
    urlpatterns = [
        url("", lambda request: HttpResponse("Hello, world!")),
        url("burn", lambda request: burn()),
    ]
    django_asgi = ASGIHandler()

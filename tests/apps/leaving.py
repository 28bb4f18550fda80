"""Clients leave these apps, each in a framework of its own: endless streams, and work that has to be done all the same.

`/stream` never ends; `/running` says how many of them go on, and what was done. FastAPI's `/order` takes until its
client has left; a dependency then commits, and something runs in the background.
"""

import asyncio
import gc

PAUSE = 0.1  # seconds
RUNNING = set()
DONE = []


def told():
    gc.collect()  # a generator that was left where it yields is closed when it goes
    return {"running": len(RUNNING), "done": DONE}


async def ticks():
    """An endless stream."""
    me = object()
    RUNNING.add(me)
    try:
        while True:
            yield b"data: tick\n\n"
            await asyncio.sleep(PAUSE)
    finally:
        RUNNING.discard(me)


# -- by itself --------------------------------------------------------------------------------------------------------


async def raw(scope, receive, send):
    """An app that only sends; it never asks whether its client is there."""
    import json

    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/running":
        await send({"type": "http.response.body", "body": json.dumps(told()).encode()})
        return
    async for tick in ticks():
        await send({"type": "http.response.body", "body": tick, "more_body": True})


async def restless(scope, receive, send):
    """The same, and it waits for nothing but the client."""
    if scope["path"] == "/running":
        await raw(scope, receive, send)
        return
    me = object()
    RUNNING.add(me)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    try:
        while True:
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
    finally:
        RUNNING.discard(me)


def wsgi(environ, start_response):
    """A stream in a thread."""
    import json
    import time

    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/running":
        return [json.dumps(told()).encode()]

    def stream():
        me = object()
        RUNNING.add(me)
        try:
            while True:
                yield b"data: tick\n\n"
                time.sleep(PAUSE)
        finally:
            RUNNING.discard(me)

    return stream()


# -- Starlette --------------------------------------------------------------------------------------------------------


def starlette():
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.responses import JSONResponse, StreamingResponse
    from starlette.routing import Route

    async def stream(request):
        return StreamingResponse(ticks(), media_type="text/event-stream")

    async def running(request):
        return JSONResponse(told())

    async def pass_on(request, call_next):
        return await call_next(request)

    return Starlette(
        routes=[Route("/stream", stream), Route("/running", running)],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)],
    )


# -- FastAPI ----------------------------------------------------------------------------------------------------------


def fastapi():
    from typing import Annotated

    from fastapi import BackgroundTasks, Depends, FastAPI, Request
    from fastapi.responses import StreamingResponse

    app = FastAPI()

    async def session():
        try:
            yield
            DONE.append("committed")
        except BaseException as error:
            DONE.append(f"rolled back: {error!r}")
            raise

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(ticks(), media_type="text/event-stream")

    @app.get("/running")
    async def running() -> dict:
        return told()

    @app.get("/order")
    async def order(request: Request, tasks: BackgroundTasks, _: Annotated[None, Depends(session)]) -> dict:
        tasks.add_task(DONE.append, "mailed")
        while not await request.is_disconnected():
            await asyncio.sleep(0.005)
        return {"ordered": True}

    @app.post("/upload")
    async def upload(request: Request) -> int:
        RUNNING.add("upload")
        try:
            return len(await request.body())
        finally:
            RUNNING.discard("upload")
            DONE.append("upload is over")

    return app


# -- Quart ------------------------------------------------------------------------------------------------------------


def quart():
    from quart import Quart

    app = Quart(__name__)

    @app.get("/stream")
    async def stream():
        response = await app.make_response(ticks())
        response.timeout = None
        return response

    @app.get("/running")
    async def running():
        return told()

    return app


# -- Django -----------------------------------------------------------------------------------------------------------


def django():
    from django.conf import settings

    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="for tests")
    from django.core.asgi import get_asgi_application

    return get_asgi_application()


def __getattr__(name):
    if name != "urlpatterns":
        raise AttributeError(name)
    from django.http import JsonResponse, StreamingHttpResponse
    from django.urls import path

    async def stream(request):
        return StreamingHttpResponse(ticks(), content_type="text/event-stream")

    async def running(request):
        return JsonResponse(told())

    return [path("stream", stream), path("running", running)]


# -- Falcon -----------------------------------------------------------------------------------------------------------


def falcon():
    import falcon.asgi

    class Stream:
        async def on_get(self, request, response):
            response.content_type = "text/event-stream"
            response.stream = ticks()

    class Running:
        async def on_get(self, request, response):
            response.media = told()

    app = falcon.asgi.App()
    app.add_route("/stream", Stream())
    app.add_route("/running", Running())
    return app


# -- Litestar ---------------------------------------------------------------------------------------------------------


def litestar():
    from litestar import Litestar, get
    from litestar.response import Stream

    @get("/stream")
    async def stream() -> Stream:
        return Stream(ticks())

    @get("/running")
    async def running() -> dict:
        return told()

    return Litestar([stream, running])

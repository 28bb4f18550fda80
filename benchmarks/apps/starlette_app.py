import asyncio
import time

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from benchmarks.apps.work import worker_slowly

INTERVAL = 0.1  # seconds from one event to the next


async def hello(request):
    return PlainTextResponse("Hello, world!")


async def as_json(request):
    return JSONResponse({"message": "Hello, world!"})


async def worker(request):
    return PlainTextResponse(worker_slowly())


async def events(request):
    return StreamingResponse(ticks(), media_type="text/event-stream")


async def ticks():
    """Each event says when it was due, by a clock that all processes of the machine have in common."""
    due = time.monotonic()
    while True:
        yield f"data: {due:.6f}\n\n"
        due += INTERVAL
        await asyncio.sleep(due - time.monotonic())


app = Starlette(routes=[Route("/", hello), Route("/json", as_json), Route("/worker", worker), Route("/events", events)])

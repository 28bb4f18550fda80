"""A Starlette app that sends the file in FILE, also behind a middleware, and an app that sends what is asked for."""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import FileResponse
from starlette.routing import Mount, Route

FILE = os.environ["FILE"]


async def file(request):
    return FileResponse(FILE, filename="sent.bin")


class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers["x-passed"] = "yes"
        return response


async def raw(scope, receive, send):
    """Send the file that the query names, without its length, and tell of it afterwards."""
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.pathsend", "path": scope["query_string"].decode()})


app = Starlette(
    routes=[
        Route("/file", file),
        Mount("/passed", routes=[Route("/file", file)], middleware=[Middleware(Passing)]),
        Mount("/raw", raw),
    ]
)

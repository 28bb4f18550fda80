from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from benchmarks.apps.work import worker_slowly


async def hello(request):
    return PlainTextResponse("Hello, world!")


async def worker(request):
    return PlainTextResponse(worker_slowly())


app = Starlette(routes=[Route("/", hello), Route("/worker", worker)])

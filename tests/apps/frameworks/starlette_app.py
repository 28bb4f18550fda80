from contextlib import asynccontextmanager
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route


@asynccontextmanager
async def lifespan(app):
    yield {"greeted": []}


async def hello(request):
    request.state.greeted.append(request.path_params["name"])
    return PlainTextResponse(f"{request.query_params['greeting']} {request.path_params['name']}")


async def form(request):
    fields = parse_qs((await request.body()).decode())
    return JSONResponse({"length": len(fields["text"][0])})


async def stream(request):
    async def lines():
        for number in range(100):
            yield f"line {number}\n"

    return StreamingResponse(lines())


async def where(request):
    return PlainTextResponse(f"{request.client.host} {request.url_for('where')}")


app = Starlette(
    routes=[
        Route("/hello/{name}", hello),
        Route("/form", form, methods=["POST"]),
        Route("/stream", stream),
        Route("/where", where),
    ],
    lifespan=lifespan,
)

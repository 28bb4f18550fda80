"""Starlette: lifespan state, a JSON endpoint and a streamed one.

pip install starlette
snakepit run starlette_app:app --interpreters 2
curl -N http://127.0.0.1:8000/stream
"""

import asyncio
import contextlib
import uuid

from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route


@contextlib.asynccontextmanager
async def lifespan(app):
    yield {"worker": uuid.uuid4().hex[:8]}  # runs once in each worker


async def hello(request):
    return JSONResponse({"hello": "world", "worker": request.state.worker})


async def stream(request):
    async def lines():
        for number in range(1, 4):
            yield f"{number} of 3 from worker {request.state.worker}\n"
            await asyncio.sleep(0.2)

    return StreamingResponse(lines(), media_type="text/plain")


app = Starlette(routes=[Route("/", hello), Route("/stream", stream)], lifespan=lifespan)

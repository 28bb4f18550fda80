"""Apps with OpenTelemetry's SDK, which each worker sets up as its documentation says for one process."""

import asyncio
from contextvars import ContextVar

from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from flask import Flask, request
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

SERVICE = "shop"

provider = TracerProvider(resource=Resource.create({"service.name": SERVICE}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("traced")
visitor: ContextVar[str] = ContextVar("visitor")


def work(name="work"):
    """Make a span below the current one, wherever this is called."""
    with tracer.start_as_current_span(name) as span:
        span.set_attribute("visitor", visitor.get("nobody"))


def make_api():
    api = FastAPI()

    @api.get("/task")
    async def in_a_task(who: str):
        visitor.set(who)
        await asyncio.create_task(asyncio.to_thread(work))
        return "done"

    @api.get("/thread")
    def in_a_thread(who: str):
        visitor.set(who)
        work()
        return "done"

    @api.get("/fail")
    async def fail():
        raise RuntimeError("as asked for")

    @api.get("/stream")
    async def stream():
        async def endless():
            while True:
                yield b"more\n"
                await asyncio.sleep(0.01)

        return StreamingResponse(endless())

    @api.websocket("/chat")
    async def chat(socket: WebSocket):
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close()

    FastAPIInstrumentor.instrument_app(api)
    return api


def make_flask():
    app = Flask(__name__)

    @app.get("/thread")
    def in_a_thread():
        visitor.set(request.args["who"])
        work()
        return "done"

    @app.get("/fail")
    def fail():
        raise RuntimeError("as asked for")

    FlaskInstrumentor().instrument_app(app)
    return app

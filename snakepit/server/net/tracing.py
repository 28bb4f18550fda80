"""A span for each request, with the times in the line and in the app as its parts, sent by OpenTelemetry's SDK.

The SDK is asked at the begin whether the trace is to be kept, and told the rest once the request is over. What sends is
a thread of its own.
"""

import asyncio
import logging
import os
import threading
import time
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING

from snakepit.errors import ConfigError
from snakepit.http.trace_context import TRACEPARENT, TraceParent, trace_parent
from snakepit.system.import_order import StandardLibraryFirst
from snakepit.system.version import __version__

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.watched import WatchedExchange

LAST_SECONDS = 3.0
"""Seconds that are left at the server's end for the spans that have not been sent."""

_NEEDED = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


class Tracing:
    """Watches exchanges, and makes spans of them. Raises ConfigError if the SDK is not installed.

    What is sent, where and with which name of the service is said by the environment variables OTEL_… of the SDK.

    Args:
        service: the name of the service, if no variable says it.
    """

    def __init__(self, service: str) -> None:
        if not all(map(_is_there, _NEEDED)):
            raise ConfigError(
                "otel needs OpenTelemetry's SDK, which is not installed: pip install 'snakepit-server[otel]'"
            )
        with StandardLibraryFirst():
            from opentelemetry import trace
            from opentelemetry.context import Context
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
        _log_as_the_server()
        self._api = trace
        self._no_parent = Context()
        self._provider = TracerProvider(
            resource=Resource.create({} if named else {"service.name": service}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("snakepit", __version__)

    def begin(self, head: "RequestHead") -> "Span":
        """Begin the span of a request, to which the app's are to belong: the request says so."""
        parent = self._context(trace_parent(head.headers))
        span = self._tracer.start_span(head.method, parent, self._api.SpanKind.SERVER)
        context = span.get_span_context()
        field = b"00-%032x-%016x-%02x" % (context.trace_id, context.span_id, context.trace_flags)
        head.headers = [*(each for each in head.headers if each[0] != TRACEPARENT), (TRACEPARENT, field)]
        return span

    def switched(self, exchange: "WatchedExchange") -> None:
        """A session on a WebSocket is one span."""

    def over(self, exchange: "WatchedExchange") -> None:
        """End the span of a request, if its trace is kept and the access log is to have it, too."""
        span: Span | None = exchange.span
        if span is None or not span.is_recording() or not exchange.is_logged:
            return
        since = time.time() - monotonic()
        _describe(span, exchange)
        if exchange.status >= 500 or exchange.client_left:
            span.set_attribute("error.type", str(exchange.status) if exchange.status >= 500 else "client_left")
        if exchange.status >= 500:
            span.set_status(self._api.StatusCode.ERROR)
        context = self._api.set_span_in_context(span)
        assigned_at, ended_at = exchange.assigned_at, exchange.ended_at or monotonic()
        self._add_part("queue", exchange.began + since, (assigned_at or ended_at) + since, context)
        if assigned_at is not None:
            self._add_part("app", assigned_at + since, (exchange.responded_at or ended_at) + since, context)
        span.end(_nanoseconds(ended_at + since))

    async def close(self) -> None:
        """Send what is left, as far as that can be done soon; nothing can be traced any more."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            try:
                loop.call_soon_threadsafe(done.set)
            except RuntimeError:  # that took so long that the loop is closed
                pass

        threading.Thread(target=shut_down, name="snakepit-last-spans", daemon=True).start()
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await done.wait()
        except TimeoutError:
            logging.getLogger("snakepit.server").warning(
                "The last spans were not taken within %g s, and are lost: see what OTEL_EXPORTER_OTLP_ENDPOINT names",
                LAST_SECONDS,
            )

    def _add_part(self, name: str, begin: float, end: float, context: "Context") -> None:
        self._tracer.start_span(name, context, start_time=_nanoseconds(begin)).end(_nanoseconds(end))

    def _context(self, parent: TraceParent | None) -> "Context":
        api = self._api
        if parent is None:
            return self._no_parent
        flags = api.TraceFlags(api.TraceFlags.SAMPLED if parent.sampled else api.TraceFlags.DEFAULT)
        before = api.SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), True, flags)
        context: Context = api.set_span_in_context(api.NonRecordingSpan(before), self._no_parent)
        return context


def _log_as_the_server() -> None:
    """Have the SDK's messages, such as that nothing takes the spans, look like the server's, unless it was set up."""
    sdk, ours = logging.getLogger("opentelemetry"), logging.getLogger("snakepit")
    if not sdk.handlers and not logging.root.handlers:
        sdk.handlers[:], sdk.propagate = ours.handlers, False


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package that it is in
        return False


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def _describe(span: "Span", exchange: "WatchedExchange") -> None:
    """Set the attributes that a server's span has (OpenTelemetry, "Semantic conventions for HTTP spans")."""
    head = exchange.head
    client, server, scheme, _, _ = exchange.endpoints
    path, asked, query = head.target.decode("latin-1").partition("?")
    span.set_attribute("http.request.method", head.method)
    span.set_attribute("url.path", path)
    span.set_attribute("url.scheme", scheme)
    span.set_attribute("network.protocol.version", head.http_version)
    span.set_attribute("snakepit.served_by", exchange.served_by)
    span.set_attribute("http.response.body.size", exchange.body_sent)
    if asked:
        span.set_attribute("url.query", query)
    if exchange.status:
        span.set_attribute("http.response.status_code", exchange.status)
    if client is not None:
        span.set_attribute("client.address", client[0])
    if server is not None:
        span.set_attribute("server.address", server[0])
        if server[1] is not None:
            span.set_attribute("server.port", server[1])

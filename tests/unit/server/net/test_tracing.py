"""snakepit.server.net.tracing: which spans the SDK gets, with an exporter that keeps them."""

import asyncio
import logging
import threading

import pytest
from clients import FakeClient
from sinks import FakeDestination, FakeEnd

from snakepit.config.options import Config
from snakepit.errors import ConfigError
from snakepit.http.events import RequestHead
from snakepit.http.fields import NONE
from snakepit.http.trace_context import trace_parent
from snakepit.server.exchanges.watched import WatchedExchange
from snakepit.server.net import tracing as tracing_module
from snakepit.server.net.tracing import Tracing

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.exporter.otlp.proto.http import trace_exporter

TRACE, SPAN = "a" * 32, "b" * 16


class Exporter:
    """Keeps spans, and may hang when it is shut down."""

    def __init__(self):
        self.spans = []
        self.hangs = threading.Event()
        self.hangs.set()

    def export(self, spans):
        self.spans += spans

    def shutdown(self):
        self.hangs.wait(30)

    def force_flush(self, timeout_millis=0):
        return True


@pytest.fixture
def exporter(monkeypatch):
    made = Exporter()
    monkeypatch.setattr(trace_exporter, "OTLPSpanExporter", lambda: made)
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER"):
        monkeypatch.delenv(name, raising=False)
    return made


def traced(
    tracing, headers=(), target=b"/a?b", is_logged=True, play=lambda exchange: exchange.answer(200, NONE, b"ok")
):
    """Trace a request; returns the head that the app gets."""
    head = RequestHead("GET", target, "1.1", [*headers], False)
    span = tracing.begin(head)
    exchange = WatchedExchange(1, FakeClient(), FakeDestination(), head)
    exchange.watchers = (tracing,)
    exchange.span, exchange.is_logged = span, is_logged
    exchange.assigned_to(FakeEnd(), "worker 1")
    play(exchange)
    return head


def spans(exporter, tracing):
    asyncio.run(tracing.close())
    return {span.name: span for span in exporter.spans}


def test_a_request_without_a_trace_begins_one(exporter):
    tracing = Tracing("shop")
    head = traced(tracing)
    found = spans(exporter, tracing)
    assert found.keys() == {"GET", "queue", "app"}
    span = found["GET"]
    assert span.parent is None
    told = trace_parent(head.headers)
    assert (int(told.trace_id, 16), int(told.span_id, 16)) == (span.context.trace_id, span.context.span_id)
    assert told.sampled
    assert span.resource.attributes["service.name"] == "shop"
    assert {each.parent.span_id for each in (found["queue"], found["app"])} == {span.context.span_id}
    assert span.attributes["http.response.body.size"] == 2
    assert (span.attributes["url.path"], span.attributes["url.query"]) == ("/a", "b")


def test_a_request_with_a_trace_goes_on_with_it(exporter):
    tracing = Tracing("shop")
    headers = [(b"traceparent", f"00-{TRACE}-{SPAN}-01".encode()), (b"tracestate", b"a=1")]
    head = traced(tracing, headers)
    span = spans(exporter, tracing)["GET"]
    assert (span.context.trace_id, span.parent.span_id) == (int(TRACE, 16), int(SPAN, 16))
    assert (b"tracestate", b"a=1") in head.headers
    assert sum(name == b"traceparent" for name, _ in head.headers) == 1
    assert trace_parent(head.headers).span_id == f"{span.context.span_id:016x}"


def test_a_trace_that_the_client_does_not_keep(exporter):
    tracing = Tracing("shop")
    head = traced(tracing, [(b"traceparent", f"00-{TRACE}-{SPAN}-00".encode())])
    assert spans(exporter, tracing) == {}
    told = trace_parent(head.headers)
    assert (told.trace_id, told.sampled) == (TRACE, False)


def test_what_fails_and_who_leaves(exporter):
    tracing = Tracing("shop")
    traced(tracing, play=lambda exchange: exchange.done("it failed"))
    traced(tracing, play=lambda exchange: exchange.client_gone())
    asyncio.run(tracing.close())
    failed, left = [span for span in exporter.spans if span.name == "GET"]
    assert (failed.attributes["error.type"], failed.status.status_code.name) == ("500", "ERROR")
    assert (left.attributes["error.type"], left.status.status_code.name) == ("client_left", "UNSET")
    assert "http.response.status_code" not in left.attributes


def test_what_is_not_logged_has_no_span(exporter):
    tracing = Tracing("shop")
    traced(tracing, is_logged=False)
    assert spans(exporter, tracing) == {}


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_SERVICE_NAME", "mine"), ("OTEL_RESOURCE_ATTRIBUTES", "a=b,service.name=mine")]
)
def test_variables_name_the_service(exporter, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    tracing = Tracing("shop")
    traced(tracing)
    assert spans(exporter, tracing)["GET"].resource.attributes["service.name"] == "mine"


def test_what_takes_no_spans_holds_the_end_up_for_a_bounded_time(exporter, monkeypatch, caplog):
    monkeypatch.setattr(tracing_module, "LAST_SECONDS", 0.01)
    tracing = Tracing("shop")
    exporter.hangs.clear()
    try:
        asyncio.run(tracing.close())
    finally:
        exporter.hangs.set()
    assert "The last spans were not taken within 0.01 s" in caplog.text


def test_messages_of_the_sdk_look_like_the_servers(exporter, monkeypatch):
    sdk, ours, handler = logging.getLogger("opentelemetry"), logging.getLogger("snakepit"), logging.NullHandler()
    for logger, handlers in ((sdk, []), (ours, [handler]), (logging.root, [])):
        monkeypatch.setattr(logger, "handlers", handlers)
    monkeypatch.setattr(sdk, "propagate", True)
    asyncio.run(Tracing("shop").close())
    assert (sdk.handlers, sdk.propagate) == ([handler], False)
    own = logging.NullHandler()
    monkeypatch.setattr(sdk, "handlers", [own])
    asyncio.run(Tracing("shop").close())
    assert sdk.handlers == [own], "which somebody has set up"


def test_without_the_sdk(monkeypatch):
    def missing(name, *more):
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(name)
        return

    monkeypatch.setattr(tracing_module, "find_spec", missing)
    with pytest.raises(ConfigError, match=r"pip install 'snakepit-server\[otel\]'"):
        Tracing("shop")
    assert Config("app:app", otel=True).otel

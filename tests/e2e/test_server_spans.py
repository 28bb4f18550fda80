"""--otel: the server's own spans, and how those of apps and of clients hang together with them."""

import json

import pytest
from collecting import collecting
from support import ONE_RUNTIME, running, wait_until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"traceparent: 00-{TRACE}-{PARENT}-01"
SERVER = 2  # a span's kind

pytestmark = ONE_RUNTIME


@pytest.fixture
def collector():
    with collecting() as found:
        yield found


def tracing(app, collector, *options, workers=2, **env):
    """Run an app of which the server sends spans at once."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"} | env
    return running(app, "--otel", *options, workers=workers, env=env)


def server_span(collector, path):
    def found():
        return [span for span in collector.spans if span.kind == SERVER and span.attributes.get("url.path") == path]

    wait_until(lambda: found(), f"a span for {path}")
    [span] = found()
    return span


def test_a_request_and_its_parts(collector):
    with tracing("behaviors:app", collector) as server:
        assert server.get("/index?a=b", TRACEPARENT).status == 200
        span = server_span(collector, "/index")
        assert (span.trace, span.parent, span.name, span.status) == (TRACE, PARENT, "GET", 0)
        assert span.service == "behaviors:app"
        assert span.attributes["http.response.status_code"] == 200
        assert span.attributes["url.query"] == "a=b"
        assert span.attributes["client.address"] == "127.0.0.1"
        assert span.attributes["snakepit.served_by"].startswith("worker ")
        parts = collector.children_of(span)
        assert parts.keys() == {"queue", "app"}
        queue, app = parts["queue"], parts["app"]
        slack = 1_000_000  # ns: clocks are read several times
        assert span.begin - slack <= queue.begin <= queue.end == app.begin <= app.end <= span.end + slack
        assert server.stop() == 0


def test_the_spans_of_apps_hang_below_those_of_the_server(collector):
    with tracing("traced:make_api", collector, "--factory") as server:
        assert server.get("/task?who=alice").status == 200
        of_server = server_span(collector, "/task")
        [of_app] = collector.wait_spans("GET /task", 1)
        assert (of_app.trace, of_app.parent) == (of_server.trace, of_server.id)
        assert of_server.parent == ""
        assert server.stop() == 0


def test_what_fails(collector):
    with tracing("behaviors:app", collector) as server:
        assert server.get("/raise_before").status == 500
        span = server_span(collector, "/raise_before")
        assert (span.status, span.attributes["error.type"]) == (2, "500")


def test_traces_that_nobody_keeps(collector):
    with tracing("behaviors:app", collector, "--log-format", "json", OTEL_TRACES_SAMPLER="always_off") as server:
        assert server.get("/index").status == 200
        wait_until(lambda: '"path": "/index"' in server.out, "a line of the access log")
        [line] = [json.loads(line) for line in server.out.splitlines() if '"path": "/index"' in line]
        assert len(line["trace_id"]) == 32
        assert server.stop() == 0
    assert collector.spans == []


def test_no_span_is_lost_at_the_end(collector):
    with tracing("behaviors:app", collector, OTEL_BSP_SCHEDULE_DELAY="60000") as server:
        for _ in range(20):
            server.get("/index")
        assert server.stop() == 0
    assert len([span for span in collector.spans if span.kind == SERVER]) == 20


def test_a_collector_that_hangs_holds_nothing_up(collector):
    collector.answer = 0
    with tracing("behaviors:app", collector) as server:
        for _ in range(20):
            assert server.get("/index").status == 200
        assert server.stop() == 0
        assert "The last spans were not taken within 3 s" in server.err


def test_health_checks_have_no_spans(collector):
    with tracing("behaviors:app", collector, "--health") as server:
        assert server.get("/livez").status == 200
        server.get("/index")
        server_span(collector, "/index")
        assert server.stop() == 0
    assert {span.attributes["url.path"] for span in collector.spans if span.kind == SERVER} == {"/index"}

"""OpenTelemetry's SDK, set up by apps: their spans come from all workers, and none is lost when a worker ends."""

import pytest
from collecting import collecting
from support import ONE_RUNTIME, Load, running, wait_until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"traceparent: 00-{TRACE}-{PARENT}-01"

pytestmark = ONE_RUNTIME

APPS = ["make_api", "make_flask"]
VISITS = 40
DAEMONS_LEFT = "daemon thread"


@pytest.fixture
def collector():
    with collecting() as found:
        yield found


def tracing(app, collector, *options, delay="60000", workers=2):
    """Run an app that sends its spans only when it ends, unless another `delay` (ms) is given."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": delay}
    return running(f"traced:{app}", "--factory", *options, workers=workers, env=env)


def visit(server):
    for _ in range(VISITS):
        assert server.get("/thread?who=bob").status == 200


@pytest.mark.parametrize(("app", "path"), [("make_api", "task"), ("make_api", "thread"), ("make_flask", "thread")])
def test_the_spans_of_an_app(app, path, collector):
    with tracing(app, collector, delay="50") as server:
        assert server.get(f"/{path}?who=alice", TRACEPARENT).status == 200
        [work] = collector.wait_spans("work", 1)
        [of_app] = collector.wait_spans(f"GET /{path}", 1)
        assert (of_app.trace, of_app.parent) == (TRACE, PARENT)
        assert (work.trace, work.parent) == (TRACE, of_app.id)
        assert work.attributes == {"visitor": "alice"}
        assert of_app.service == "shop"
        assert server.stop() == 0
        assert "Traceback" not in server.err


@pytest.mark.parametrize("app", APPS)
def test_no_span_is_lost_at_the_end(app, collector):
    with tracing(app, collector) as server:
        visit(server)
        assert not collector.spans, "they are sent in the end"
        assert server.stop() == 0
        assert len(collector.named("work")) == len(collector.named("GET /thread")) == VISITS
        assert DAEMONS_LEFT not in server.err


@pytest.mark.parametrize("app", APPS)
def test_no_span_is_lost_when_workers_are_replaced(app, collector):
    with tracing(app, collector) as server:
        with Load(server, 2, path="/thread?who=bob") as load:
            load.wait_for_more(50)
            assert server.command("reload").returncode == 0
            load.wait_for_more(50)
        assert not load.troubles
        assert server.stop() == 0
        assert len(collector.named("work")) == len(collector.named("GET /thread")) == load.answers
        assert DAEMONS_LEFT not in server.err


def test_no_span_is_lost_of_workers_with_few_requests(collector):
    with tracing("make_flask", collector, "--limit-max-requests", "5") as server:
        visit(server)
        assert server.stop() == 0
        assert len(collector.named("work")) == VISITS
        assert DAEMONS_LEFT not in server.err


def test_an_error_is_in_its_span(collector):
    with tracing("make_api", collector, delay="50") as server:
        assert server.get("/fail", TRACEPARENT).status == 500
        [span] = collector.wait_spans("GET /fail", 1)
        assert (span.parent, span.status) == (PARENT, 2)


@pytest.mark.parametrize("answer", [503, 0], ids=["refuses", "hangs"])
def test_a_collector_that_takes_nothing(answer, collector):
    collector.answer = answer
    with tracing("make_api", collector, delay="50") as server:
        visit(server)
        wait_until(lambda: collector.requests, "spans are sent")
        visit(server)

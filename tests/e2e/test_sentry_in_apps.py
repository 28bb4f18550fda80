"""Sentry's SDK, set up by apps: errors and traces come from all workers, and none is lost when a worker ends."""

import pytest
from collecting import collecting
from support import ONE_RUNTIME, running, wait_until

TRACE, PARENT = "771a43a4192642f0b136d5159a501700", "8e9a2c4f6b1d3057"
SENTRY_TRACE = f"sentry-trace: {TRACE}-{PARENT}-1"

pytestmark = ONE_RUNTIME

APPS = ["make_api", "make_flask"]
VISITS = 20


@pytest.fixture
def collector():
    with collecting() as found:
        yield found


def reporting(app, collector, *options, workers=2):
    return running(f"reporting:{app}", "--factory", *options, workers=workers, env={"SENTRY_DSN": collector.dsn})


@pytest.mark.parametrize("app", APPS)
def test_an_error_and_its_trace(app, collector):
    with reporting(app, collector) as server:
        assert server.get("/fail/alice", SENTRY_TRACE).status == 500
        wait_until(lambda: collector.items("event") and collector.items("transaction"), "both are reported")
        [event] = [
            each for each in collector.items("event") if "exception" in each
        ]  # in a thread, logged ones come, too
        [transaction] = collector.items("transaction")
        error = event["exception"]["values"][-1]
        assert (error["type"], error["value"], event["user"]["id"]) == ("RuntimeError", "alice", "alice")
        assert "fail" in [frame["function"] for frame in error["stacktrace"]["frames"]]
        assert event["request"]["url"].endswith("/fail/alice")
        trace = transaction["contexts"]["trace"]
        assert (trace["trace_id"], trace["parent_span_id"]) == (TRACE, PARENT)
        assert event["contexts"]["trace"]["trace_id"] == TRACE
        assert server.stop() == 0


@pytest.mark.parametrize("app", APPS)
def test_no_report_is_lost_at_the_end(app, collector):
    with reporting(app, collector) as server:
        for number in range(VISITS):
            assert server.get(f"/thread/{number}").status == 200
        assert server.stop() == 0
        assert {event["message"] for event in collector.items("event")} == {f"hello {n}" for n in range(VISITS)}


@pytest.mark.parametrize("app", APPS)
def test_no_report_is_lost_when_workers_are_replaced(app, collector):
    with reporting(app, collector) as server:
        for number in range(VISITS):
            assert server.get(f"/thread/{number}").status == 200
        assert server.command("reload").returncode == 0
        for number in range(VISITS, 2 * VISITS):
            assert server.get(f"/thread/{number}").status == 200
        assert server.stop() == 0
        assert {event["message"] for event in collector.items("event")} == {f"hello {n}" for n in range(2 * VISITS)}

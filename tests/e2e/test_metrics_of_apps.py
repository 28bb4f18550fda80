"""The metrics that apps keep by prometheus-client: the server has those of all workers, without files."""

import pytest
from scraping import scrape
from support import NEEDS_TWO_WORKERS, ONE_RUNTIME, RUNTIME, Load, running, wait_until, workers_of

WORKERS = 4
VISITS = 100


def visit(server, times=VISITS):
    for number in range(times):
        assert server.get("/b" if number % 4 == 0 else "/a").status == 200


@pytest.mark.parametrize(
    ("app", "name"),
    [("make_api", "http_request_duration_seconds_count"), ("make_flask", "flask_http_request_duration_seconds_count")],
)
def test_totals_of_all_workers(app, name):
    with running(
        f"counting_metrics:{app}", "--factory", "--metrics", "/metrics", "--threads", "1", workers=WORKERS
    ) as server:
        server.wait_listening(WORKERS)
        with Load(server, path="/c") as load:  # so that all of them have something to do
            load.wait_for_more()
        visit(server)
        found = scrape(server)
        assert found.get("visits_total", kind="a") == VISITS * 3 // 4
        assert found.get("visits_total", kind="b") == VISITS // 4
        assert found.sum(name) == found.sum("visits_total")
        assert found.get("total") == 2 * workers_of(WORKERS)
        assert found.get("highest") == 3
        levels = {labels for metric, labels in found.values if metric == "level"}
        assert levels == {frozenset({("worker", str(number))}) for number in range(1, workers_of(WORKERS) + 1)}
        assert sum(found.get("snakepit_worker_requests_total", app=f"counting_metrics:{app}", worker=str(number)) > 0
                   for number in range(1, workers_of(WORKERS) + 1)) > (RUNTIME != "thread")  # fmt: skip
        assert server.stop() == 0


@NEEDS_TWO_WORKERS
@pytest.mark.parametrize("app", ["make_api", "make_flask"])
def test_what_was_counted_stays_when_workers_are_replaced(app):
    options = ("--factory", "--metrics", "/metrics", "--limit-max-requests", "15")
    with running(f"counting_metrics:{app}", *options) as server:
        visit(server)
        for _ in range(2):
            assert server.command("reload").returncode == 0
            found = scrape(server)
            assert found.get("visits_total", kind="a") == VISITS * 3 // 4
            assert found.get("visits_total", kind="b") == VISITS // 4
            wait_until(lambda: scrape(server).get("total") == 4, "of those that live")
        assert found.sum("snakepit_workers_replaced_total") >= 4
        assert server.stop() == 0


@NEEDS_TWO_WORKERS
def test_a_worker_that_hangs_holds_up_nobody_and_nothing_is_lost(held):
    with running("behaviors:app", "--metrics", "/metrics", workers=1) as server:
        assert server.get("/").status == 200
        sock = server.connect()
        sock.sendall(held.request("/hold-loop"))
        server.wait_logged("holding")
        found = scrape(server)
        assert found.get("snakepit_requests_in_flight", app="behaviors:app") == 1
        held.release()
        assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
        sock.close()


@ONE_RUNTIME
def test_several_apps_have_their_names_in_a_label(tmp_path):
    code = "from prometheus_client import Counter\nhits = Counter('hits', 'Hits.')\n"
    code += "async def app(scope, receive, send):\n    hits.inc()\n"
    code += '    await send({"type": "http.response.start", "status": 204, "headers": []})\n'
    code += '    await send({"type": "http.response.body"})\n'
    (tmp_path / "one.py").write_text(code)
    (tmp_path / "two.py").write_text(code)
    options = ("--mount", "/one=one:app", "--mount", "/two=two:app", "--lifespan", "off")
    with running(*options, "--metrics", "/metrics", workers=1, cwd=tmp_path) as server:
        assert [server.get(path).status for path in ("/one", "/one", "/two")] == [204] * 3
        found = scrape(server)
        assert (found.get("hits_total", app="/one"), found.get("hits_total", app="/two")) == (2, 1)

"""Metrics of a server, as Prometheus reads them."""

import http.client
import re
import ssl
import time

import pytest
from certificates import pem
from pebble import free_ports
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from scraping import Scraped, scrape
from support import NEEDS_TWO_WORKERS, ONE_RUNTIME, PATIENCE, RUNTIME, Client, running, wait_until, workers_of

OPENMETRICS = "Accept: application/openmetrics-text; version=1.0.0, text/plain;version=0.0.4;q=0.5"
APP = "behaviors:app"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_requests_are_counted_by_what_became_of_them(parts):
    with running(APP, *parts, "--metrics", "/metrics") as server:
        for _ in range(3):
            assert server.get("/").status == 200
        assert server.get("/status?404").status == 404
        assert server.get("/echo", method="POST", body=b"x" * 100_000).body == b"x" * 100_000
        assert server.get("/raise-before").status == 500
        assert server.get("/no-response").status == 500
        assert server.get("/status?302", method="BREW").status == 302
        assert len(server.get("/stream?3,50000").body) == 150_000
        found = scrape(server)
        count = "snakepit_requests_total"
        assert found.get(count, app=APP, method="GET", status="2xx") == 4
        assert found.get(count, app=APP, method="POST", status="2xx") == 1
        assert found.get(count, app=APP, method="GET", status="4xx") == 1
        assert found.get(count, app=APP, method="GET", status="5xx") == 2
        assert found.get(count, app=APP, method="other", status="3xx") == 1
        assert found.sum(count) == 9, "the requests for metrics do not count"
        for name in ("snakepit_request_queue_seconds", "snakepit_request_app_seconds", "snakepit_request_seconds"):
            assert found.kinds[name] == "histogram"
            assert found.get(f"{name}_bucket", app=APP, le="+Inf") == found.get(f"{name}_count", app=APP) == 9
            assert 0 < found.get(f"{name}_sum", app=APP) < 9 * PATIENCE
        assert found.get("snakepit_request_body_bytes_total", app=APP) == 100_000
        assert found.get("snakepit_response_body_bytes_total", app=APP) > 250_000
        assert found.sum("snakepit_worker_requests_total", app=APP) == 9
        assert 0 < found.sum("snakepit_worker_busy_seconds_total", app=APP) < 9 * PATIENCE
        assert found.get("snakepit_workers", app=APP, state="ready") == workers_of(2)
        assert found.get("snakepit_connections", state="serving") == 1, "the one that asks"
        assert found.get("snakepit_connections_accepted_total") == 10
        assert found.get("snakepit_main_loop_lag_seconds_count") >= 0
        assert found.get("process_start_time_seconds") > time.time() - 10 * PATIENCE
        assert server.stop() == 0


def test_openmetrics():
    with running(APP, "--metrics", "/metrics", workers=1) as server:
        assert server.get("/", f"traceparent: 00-{TRACE}-b7ad6b7169203331-01").status == 200
        answer = server.get("/metrics", OPENMETRICS)
        assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
        found = Scraped(parse_openmetrics(answer.text))
        assert found.get("snakepit_requests_total", app=APP, method="GET", status="2xx") == 1
        assert found.kinds["snakepit_requests"] == "counter"
        for name in ("queue_seconds", "app_seconds", "seconds"):
            exemplar = rf'snakepit_request_{name}_bucket\{{.* 1\.0 # \{{trace_id="{TRACE}"\}} '
            assert re.search(exemplar, answer.text), name
        assert server.get("/metrics", method="HEAD").body == b""
        assert server.get("/metrics", method="POST").status == 405


def test_what_is_going_on_is_told_while_workers_hang(held):
    with running(APP, "--metrics", "/metrics", "--limit-waiting", "1", workers=1) as server:
        clients = [Client(server) for _ in range(2)]
        clients[0].send(held.request("/hold-loop"))
        server.wait_logged("holding")
        began = time.monotonic()
        clients[1].send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        wait_until(lambda: scrape(server).get("snakepit_requests_waiting", app=APP) == 1, "one waits")
        found = scrape(server)
        assert found.get("snakepit_requests_in_flight", app=APP) == 2
        assert found.get("snakepit_worker_requests_in_flight", app=APP, worker="1") == 1
        assert found.get("snakepit_connections", state="serving") == 3, "with the one that asks"
        busy = found.get("snakepit_worker_busy_seconds_total", app=APP, worker="1")
        assert 0 < busy < time.monotonic() - began + PATIENCE
        later = scrape(server).get("snakepit_worker_busy_seconds_total", app=APP, worker="1")
        assert later > busy, "it is at it still"
        clients[1].close()
        wait_until(lambda: scrape(server).get("snakepit_requests_left_total", app=APP) == 1, "its client has gone")
        assert scrape(server).get("snakepit_requests_total", app=APP, method="GET", status="none") == 1
        held.release()
        assert clients[0].read().status == 200
        clients[0].close()
        wait_until(lambda: scrape(server).get("snakepit_requests_in_flight", app=APP) == 0, "nothing is in flight")


def test_the_inside_of_workers(held):
    lag = "snakepit_worker_loop_lag_seconds"
    with running(APP, "--metrics", "/metrics", workers=1) as server, Client(server) as client:
        here = {"app": APP, "worker": "1"}
        wait_until(lambda: scrape(server).get(f"{lag}_count", **here), "the lag is measured")
        client.send(held.request("/hold-loop"))
        server.wait_logged("holding")
        began = time.monotonic()
        found = scrape(server)
        items = "snakepit_worker_channel_items"
        wait_until(lambda: scrape(server).get(items, direction="to_worker", **here) >= 1, "it does not take what came")
        assert found.get(items, direction="from_worker", **here) >= 0
        assert found.get("snakepit_worker_channel_held_envelopes", **here) >= 0
        assert found.get("snakepit_worker_channel_held_bytes", **here) == 0
        assert found.get("snakepit_worker_private_copies", **here) == 0
        assert found.get("snakepit_worker_private_copies_bytes", **here) == 0
        computed = found.get("snakepit_main_cpu_seconds_total")
        assert 0 < computed < scrape(server).get("snakepit_main_cpu_seconds_total")
        wait_until(lambda: time.monotonic() - began > 0.6, "the loop is late")
        held.release()
        assert client.read().status == 200
        wait_until(lambda: scrape(server).get(f"{lag}_sum", **here) > 0.2, "the loop was late")
        found = scrape(server)
        assert found.kinds[lag] == "histogram"
        assert found.get(f"{lag}_bucket", le="+Inf", **here) == found.get(f"{lag}_count", **here)


def test_what_is_refused(held):
    options = ("--metrics", "/metrics", "--limit-concurrency", "1")
    with running(APP, *options, workers=1) as server, Client(server) as client:
        client.send(held.request())
        server.wait_logged("holding")
        assert server.get("/").status == 503
        found = scrape(server)
        assert found.get("snakepit_requests_refused_total", app=APP) == 1
        assert found.get("snakepit_requests_total", app=APP, method="GET", status="5xx") == 1
        held.release()
        assert client.read().status == 200


def test_websockets():
    with running("websocket_behaviors:app", "--metrics", "/metrics", workers=1) as server:
        handshake = b"GET /echo HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        handshake += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        with server.connect() as sock:
            sock.sendall(handshake)
            assert sock.recv(1000).startswith(b"HTTP/1.1 101 ")
            found = scrape(server)
            assert found.get("snakepit_connections", state="websocket") == 1
            assert found.sum("snakepit_requests_total") == 0
        app = "websocket_behaviors:app"
        wait_until(
            lambda: scrape(server).get("snakepit_requests_total", app=app, method="GET", status="1xx") == 1,
            "the session is counted",
        )
        found = scrape(server)
        assert found.get("snakepit_request_seconds_count", app=app) == 0, "it is as long as its client likes"
        assert found.get("snakepit_request_app_seconds_count", app=app) == 1
        assert server.stop() == 0
        assert "Traceback" not in server.err


@NEEDS_TWO_WORKERS
def test_workers_that_are_replaced():
    with running(APP, "--metrics", "/metrics", "--limit-max-requests", "3", workers=1) as server:
        for _ in range(3):
            assert server.get("/").status == 200
        wait_until(
            lambda: scrape(server).get("snakepit_workers_replaced_total", app=APP, reason="requests") == 1,
            "it is replaced",
        )
        assert server.command("reload").returncode == 0
        found = scrape(server)
        assert found.get("snakepit_workers_replaced_total", app=APP, reason="reload") == 1
        assert found.get("snakepit_worker_generation", app=APP, worker="1") == 3
        assert found.get("snakepit_worker_requests_total", app=APP, worker="1") == 0
        assert found.get("snakepit_requests_total", app=APP, method="GET", status="2xx") == 3


@ONE_RUNTIME
def test_apps_and_what_is_for_none_of_them(tmp_path):
    app = "async def app(scope, receive, send):\n"
    app += '    await send({"type": "http.response.start", "status": 204, "headers": []})\n'
    app += '    await send({"type": "http.response.body"})\n'
    (tmp_path / "one.py").write_text(app)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.txt").write_text("a" * 500)
    options = ("--mount", "/one=one:app", "--mount", "/two=one:app", "--static-path", str(tmp_path / "files"))
    with running(*options, "--metrics", "/metrics", "--limit-request-body", "100", workers=1, cwd=tmp_path) as server:
        assert [server.get(path).status for path in ("/one", "/one", "/two", "/three")] == [204, 204, 204, 404]
        assert server.get("/static/a.txt").status == 200
        assert server.get("/one", method="POST", body=b"x" * 101).status == 413
        assert server.command("apps", "stop", "/two").returncode == 0
        assert server.get("/two").status == 503
        found = scrape(server)
        count = "snakepit_requests_total"
        assert found.get(count, app="/one", method="GET", status="2xx") == 2
        assert found.get(count, app="/one", method="POST", status="4xx") == 1
        assert found.get(count, app="/two", method="GET", status="2xx") == 1
        assert found.get(count, app="/two", method="GET", status="5xx") == 1
        assert found.get(count, app="", method="GET", status="2xx") == 1
        assert found.get(count, app="", method="GET", status="4xx") == 1
        assert found.get("snakepit_response_body_bytes_total", app="") == 500
        assert found.get("snakepit_workers", app="/one", state="ready") == 1


def test_a_socket_that_is_for_metrics_alone():
    (port,) = free_ports(1)
    with running(APP, "--metrics-bind", f"127.0.0.1:{port}", "--health", workers=1) as server:
        assert f", http://127.0.0.1:{port} (metrics) (Ctrl+C to stop)" in server.err
        assert server.get("/metrics").status == 500, "it is the app's, which has no such path"

        def ask(path):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
            connection.close()
            return answer.status, body

        status, text = ask("/metrics")
        assert status == 200
        found = Scraped(parse_text(text))
        assert found.get("snakepit_requests_total", app=APP, method="GET", status="5xx") == 1
        assert ask("/") == (404, "Nothing is served at this address\n")
        assert ask("/readyz") == (200, "ready\n")
        if RUNTIME == "thread":  # which has no supervisor
            return
        assert server.command("upgrade").returncode == 0
        status, text = ask("/metrics")
        assert (status, Scraped(parse_text(text)).sum("snakepit_requests_total")) == (200, 0), "another process"
        assert server.stop() == 0


@ONE_RUNTIME
def test_when_certificates_end(tmp_path):
    (tmp_path / "one.pem").write_bytes(pem(("localhost", "example.com"), start=1_790_000_000, days=100))
    (port,) = free_ports(1)
    options = ("--ssl-certfile", str(tmp_path / "one.pem"), "--redirect-http", str(port), "--health")
    with running(APP, "--metrics", "/metrics", *options, workers=1) as server:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=PATIENCE, context=context)
        connection.request("GET", "/metrics")
        found = Scraped(parse_text(connection.getresponse().read().decode()))
        connection.close()
        ends = found.get("snakepit_certificate_expiry_timestamp_seconds", names="localhost,example.com")
        assert ends == 1_790_000_000 + 100 * 86400
        for path, status in (("/readyz", 200), ("/metrics", 308), ("/", 308)):
            plain = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            plain.request("GET", path)
            assert plain.getresponse().status == status
            plain.close()


@pytest.mark.parametrize("app", ["wsgi_behaviors:app"])
def test_a_wsgi_app(app, parts):
    with running(app, *parts, "--metrics", "/metrics", "--threads", "2") as server:
        for _ in range(20):
            assert server.get("/").status == 200
        found = scrape(server)
        assert found.get("snakepit_requests_total", app=app, method="GET", status="2xx") == 20
        assert found.get("snakepit_request_app_seconds_count", app=app) == 20
        assert found.sum("snakepit_worker_requests_total", app=app) == 20
        assert found.sum("snakepit_worker_loop_lag_seconds_count") == 0, "threads have no loop"
        assert found.sum("snakepit_worker_channel_items", app=app) >= 0

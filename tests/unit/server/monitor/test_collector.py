"""server.monitor.collector and server.monitor.insides: what is written, read by prometheus-client's own parsers."""

import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from late_loops import LateLoop
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from snakepit.server.lifecycle import WorkerState
from snakepit.server.monitor.app_metrics import AppMetrics
from snakepit.server.monitor.collector import ServerCollector, writer
from snakepit.server.monitor.counters import Counters
from snakepit.server.monitor.loop_lag import LoopLag
from snakepit.server.net.connections import Connections
from snakepit.server.workers.report import WorkerReport
from snakepit.server.workers.worker import ChannelLoad
from snakepit.system.buckets import BOUNDS
from snakepit.system.late_timer import PERIOD
from snakepit.wire import envelopes

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Worker:
    """A worker as a collector sees it."""

    def __init__(self, number, state=WorkerState.READY, memory=None):
        self.number = number
        self.state = state
        self.served = 5 * number
        self.generation = number + 1
        self.exchanges = {}
        self.report = WorkerReport()
        self.busyness = None
        self.thread = SimpleNamespace(began=0.0, memory=memory)

    def channel_load(self):
        return ChannelLoad(self.number, 3, 4, 500)


class Queue:
    """A queue as a collector sees it."""

    in_progress, waiting, wake_ups = 3, 2, SimpleNamespace(lost=0)


class App:
    """An app as a collector sees it."""

    def __init__(self, name, *workers, retiring=()):
        self.name = name
        self.destination = queue = Queue()
        self.pool = SimpleNamespace(
            queue=queue, workers=workers, retiring=retiring, wanted=2, replaced={"hang": 4, "reload": 0}, abandoned=1
        )

    def has_led_to(self, destination):
        return destination is self.destination


def written(collector, accept=""):
    kind, text = writer(collector)(accept)
    parse = parse_openmetrics if "openmetrics" in kind else parse_text
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parse(text.decode())
        for sample in family.samples
    }


def make(*apps, certificates=None, lag=None):
    counters = Counters(apps)
    of_apps = AppMetrics(apps, False, None)
    collector = ServerCollector(apps, counters, Connections(), lag or LoopLag(LateLoop()), 3, certificates, of_apps)
    return collector, counters


@pytest.mark.parametrize("accept", ["", OPENMETRICS, "text/html, */*"])
def test_requests(accept):
    app = App("/shop")
    collector, counters = make(app)
    tally = counters.tally_of(app.destination)
    tally.count("GET", 200)
    tally.count("GET", 204)
    tally.count("BREW", 418)
    for seconds in (0.0005, 0.3, 1000.0):
        tally.took.add(seconds)
    found = written(collector, accept)
    shop = ("app", "/shop")
    assert found["snakepit_requests_total", shop, ("method", "GET"), ("status", "2xx")] == 2
    assert found["snakepit_requests_total", shop, ("method", "other"), ("status", "4xx")] == 1
    assert len([key for key in found if key[0] == "snakepit_requests_total"]) == 2
    buckets = [found["snakepit_request_seconds_bucket", shop, ("le", str(bound))] for bound in (*BOUNDS, "+Inf")]
    assert buckets == [1] * 7 + [1] + [2] * 7 + [3]
    assert (found["snakepit_request_seconds_count", shop], found["snakepit_request_seconds_sum", shop]) == (
        3,
        1000.3005,
    )
    assert found["snakepit_request_seconds_count", ("app", "")] == 0


def test_workers():
    retiring = Worker(1, WorkerState.RETIRING)
    workers = Worker(1, memory=1000), Worker(2, WorkerState.STARTING)
    collector, counters = make(App("/", *workers, retiring=(retiring, workers[1])))
    workers[0].busyness = counters.new_busyness(workers[0])
    workers[0].busyness.seconds = 2.5
    found = written(collector)
    first, second = ("app", "/"), ("worker", "1")
    assert found["snakepit_worker_busy_seconds_total", first, second] == 2.5
    assert found["snakepit_worker_requests_total", first, second] == 5
    assert found["snakepit_worker_generation", first, second] == 2
    assert found["snakepit_worker_resident_memory_bytes", first, second] == 1000
    assert found["snakepit_worker_age_seconds", first, second] > 0
    assert ("snakepit_worker_resident_memory_bytes", first, ("worker", "2")) not in found
    states = {key[2][1]: value for key, value in found.items() if key[0] == "snakepit_workers"}
    assert states == {"ready": 1, "starting": 1, "retiring": 1}
    assert found["snakepit_workers_replaced_total", first, ("reason", "hang")] == 4
    assert found["snakepit_workers_replaced_total", first, ("reason", "reload")] == 0
    assert found["snakepit_workers_abandoned", first] == 1
    assert (found["snakepit_requests_in_flight", first], found["snakepit_requests_waiting", first]) == (3, 2)
    assert found["snakepit_process_restarts_total",] == 3


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_the_inside_of_workers(accept):
    workers = Worker(1), Worker(2)
    workers[0].report.copies = [("numpy._core", 1000), ("other", 500)]
    workers[1].report.told_lag(envelopes.lag([7] + [0] * 6 + [2] + [0] * 7 + [1], 71.5))
    collector, _ = make(App("/", *workers))
    before = time.thread_time()
    found = written(collector, accept)
    assert before <= found["snakepit_main_cpu_seconds_total",] <= time.thread_time()
    one, two = (("app", "/"), ("worker", "1")), (("app", "/"), ("worker", "2"))
    assert found["snakepit_worker_private_copies", *one] == 2
    assert found["snakepit_worker_private_copies_bytes", *one] == 1500
    assert found["snakepit_worker_private_copies", *two] == found["snakepit_worker_private_copies_bytes", *two] == 0
    items = {key[2:]: value for key, value in found.items() if key[0] == "snakepit_worker_channel_items"}
    assert items == {
        (("direction", direction), ("worker", worker)): count
        for worker, direction, count in [
            ("1", "to_worker", 1),
            ("1", "from_worker", 3),
            ("2", "to_worker", 2),
            ("2", "from_worker", 3),
        ]
    }
    assert found["snakepit_worker_channel_held_envelopes", *one] == 4
    assert found["snakepit_worker_channel_held_bytes", *one] == 500
    lag = "snakepit_worker_loop_lag_seconds"
    assert (f"{lag}_count", *one) not in found, "it has not said"
    assert (found[f"{lag}_count", *two], found[f"{lag}_sum", *two]) == (10, 71.5)
    buckets = [found[f"{lag}_bucket", two[0], ("le", le), two[1]] for le in ("0.001", "0.1", "0.25", "60.0", "+Inf")]
    assert buckets == [7, 7, 9, 9, 10]


def test_names_that_need_escapes():
    name = 'a"b\\c\nd'
    collector, _ = make(App(name))
    for accept in ("", OPENMETRICS):
        assert written(collector, accept)["snakepit_workers_wanted", ("app", name)] == 2


def test_certificates():
    ends = datetime(2026, 12, 24, tzinfo=UTC)
    certificate = SimpleNamespace(names=("a.example", "*.b.example"), facts=SimpleNamespace(not_after=ends))
    collector, _ = make(certificates=SimpleNamespace(all=[certificate, certificate]))
    names = ("names", "a.example,*.b.example")
    assert written(collector)["snakepit_certificate_expiry_timestamp_seconds", names] == ends.timestamp()


def test_how_late_the_loop_is():
    loop = LateLoop()
    lag = LoopLag(loop)
    lag.start()
    for late in (0.0, 0.002, 0.3):
        loop.go_on(late)
    assert [when for when, _, _ in loop.due] == [pytest.approx(4 * PERIOD + 0.302)]
    found = written(make(lag=lag)[0])
    assert found["snakepit_main_loop_lag_seconds_count",] == 3
    assert found["snakepit_main_loop_lag_seconds_sum",] == pytest.approx(0.302)
    lag.close()
    assert loop.due == []

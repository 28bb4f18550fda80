"""snakepit.server.operate.app_events: what a pool tells becomes events of its app."""

from types import SimpleNamespace

from snakepit.http.events import RequestHead
from snakepit.server.events.events import Events
from snakepit.server.events.kinds import Kind
from snakepit.server.operate.app_events import AppEvents, connection_refused
from snakepit.server.pool.observer import Observer
from snakepit.server.workers.report import WorkerReport


class Rest(Observer):
    """Keeps what it hears."""

    def __init__(self):
        self.heard = []

    def worker_ready(self, worker):
        self.heard.append("ready")

    def worker_replaced(self, worker, delay):
        self.heard.append(delay)

    def successor_failed(self, worker, fault):
        self.heard.append(fault)

    def memory_kept(self, predecessor, size):
        self.heard.append(size)

    def worn_out(self, reason):
        self.heard.append(reason)
        return True


class Worker:
    number = 2
    failure = ("import", "no such module")

    def __init__(self):
        self.report = WorkerReport()
        self.report.interface, self.report.import_seconds = "asgi", 0.25

    def __str__(self):
        return "worker 2"


def kept(events):
    return [(event.kind, event.app, event.worker, event.reason, event.text) for event in events.after(0)]


def test_what_is_told_is_kept_and_told_to_another():
    events, rest, worker = Events(), Rest(), Worker()
    observer = AppEvents(events, "shop", False, rest)
    observer.worker_ready(worker)
    observer.worker_replaced(worker, 1.5)
    observer.successor_failed(worker, "no such module")
    observer.memory_kept(worker, 7)
    assert observer.worn_out("it is old")
    observer.happened(Kind.WORKER_HUNG, "Worker 2 is replaced", 2, "hang")
    assert rest.heard == ["ready", 1.5, "no such module", 7, "it is old"]
    assert kept(events) == [
        (Kind.WORKER_READY, "shop", 2, "", "Worker 2 ready: ASGI, import 0.25 s"),
        (
            Kind.WORKER_FAILED,
            "shop",
            2,
            "import",
            "A new worker 2 can't start, the one before goes on: no such module",
        ),
        (Kind.WORKER_HUNG, "shop", 2, "hang", "Worker 2 is replaced"),
    ]


def test_refusals_and_interruptions_are_summed_up():
    events = Events()
    observer = AppEvents(events, "/api", True, Observer())
    for path in (b"/a?secret=1", b"/b"):
        observer.request_refused("limit-waiting", "Too many requests are waiting")
        exchange = SimpleNamespace(head=RequestHead("GET", path, "1.1", [], False))
        observer.request_interrupted(Worker(), exchange, "timeout-request", "no response after 5 s")
    assert sorted(kept(events)) == [
        (
            Kind.INTERRUPTED,
            "/api",
            None,
            "timeout-request",
            "2 requests of /api interrupted (no response after 5 s); the latest: GET /b in worker 2",
        ),
        (
            Kind.REFUSED,
            "/api",
            None,
            "limit-waiting",
            "2 requests of /api refused: too many requests are waiting (--limit-waiting)",
        ),
    ]


def test_one_of_each():
    events = Events()
    observer = AppEvents(events, "main:app", False, Observer())
    observer.request_refused("limit-waiting", "Too many requests are waiting")
    exchange = SimpleNamespace(head=RequestHead("GET", b"/a?secret=1", "1.1", [], False))
    observer.request_interrupted(Worker(), exchange, "dashboard", "interrupted from the dashboard")
    connection_refused(events, "limit-connections", "Too many connections")
    assert [text for *_, text in kept(events)] == [
        "1 request refused: too many requests are waiting (--limit-waiting)",
        "GET /a in worker 2 is interrupted: interrupted from the dashboard",
        "1 connection refused: too many connections (--limit-connections)",
    ]

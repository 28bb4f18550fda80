"""snakepit.server.operate.stop_report: what a stop waits for, the first that there is of three."""

from types import SimpleNamespace

import pytest
from fakes import fake_of

from snakepit.server.apps import table
from snakepit.server.net.connections import Connections
from snakepit.server.operate import stop_report
from snakepit.server.operate.stop_report import what_is_waited_for


@fake_of(table.Apps)
class Apps:
    """Apps by the workers that each has."""

    def __init__(self, *workers, in_progress=0, oldest=None):
        self.workers = workers
        self.in_progress = in_progress
        self.oldest_exchange = oldest

    def __iter__(self):
        return iter([SimpleNamespace(pool=SimpleNamespace(living=living)) for living in self.workers])


@pytest.fixture
def oldest(monkeypatch):
    """A request that came twelve seconds ago."""
    monkeypatch.setattr(stop_report, "monotonic", lambda: 112.4)
    return SimpleNamespace(began=100.0, asked_for="GET /slow")


def connections(count):
    made = Connections()
    for number in range(count):
        made.add(number)
    return made


def test_a_request(oldest):
    apps = Apps(["worker 1"], in_progress=1, oldest=oldest)
    assert what_is_waited_for(apps, connections(3)) == "GET /slow, which came 12 s ago"


def test_requests(oldest):
    said = what_is_waited_for(Apps(["worker 1"], in_progress=3, oldest=oldest), connections(3))
    assert said == "3 requests, of which the oldest, GET /slow, came 12 s ago"


@pytest.mark.parametrize(
    ("count", "said"), [(1, "a client to read its answer"), (2, "2 clients to read their answers")]
)
def test_clients(count, said):
    assert what_is_waited_for(Apps(["worker 1"]), connections(count)) == said


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        ([["worker 1"]], "worker 1"),
        ([["worker 1", "worker 2"], [], ["worker 3"]], "worker 1 and worker 2 and worker 3"),
        ([[]], "the end"),
    ],
)
def test_workers(workers, said):
    assert what_is_waited_for(Apps(*workers), connections(0)) == said

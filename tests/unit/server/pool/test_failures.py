"""snakepit.server.pool.failures: whose fault it is that a worker does not serve, and what is said of it."""

import pytest
from fakes import fake_of

from snakepit.errors import AppImportError, ConfigError, LifespanError, StartTimeout, WorkerLost
from snakepit.server.pool import failures
from snakepit.server.pool.failures import as_error, cause_of_end, of_daemon_threads
from snakepit.server.workers.report import WorkerReport
from snakepit.server.workers.worker import WorkerHandle

TRACEBACK = "Traceback\nValueError: no"


@fake_of(WorkerHandle)
class Worker:
    def __init__(self, kind="", fault="", daemon_threads=()):
        self.failure = kind, fault
        self.report = WorkerReport()
        self.report.daemon_threads = list(daemon_threads)

    def __str__(self):
        return "worker 3"


@pytest.fixture(autouse=True)
def limit(monkeypatch):
    """What the system's limits have to do with a fault: nothing, until the test says otherwise."""

    def say(what):
        monkeypatch.setattr(failures.limits, "explain", lambda fault: what)

    say(None)
    return say


@pytest.mark.parametrize(
    ("kind", "error"),
    [("config", ConfigError), ("import", AppImportError), ("lifespan", LifespanError), ("timeout", StartTimeout)],
)
def test_what_is_known_is_the_fault_alone(kind, error):
    found = as_error(Worker(kind, TRACEBACK))
    assert type(found) is error
    assert str(found) == TRACEBACK


@pytest.mark.parametrize("kind", ["lost", ""])
@pytest.mark.parametrize(("fault", "also"), [(TRACEBACK, f"\n{TRACEBACK}"), ("", "")])
def test_one_that_is_lost(kind, fault, also):
    found = as_error(Worker(kind, fault))
    assert type(found) is WorkerLost
    assert str(found) == f"worker 3 ended before it was ready{also}"


@pytest.mark.parametrize("kind", ["import", "lifespan", "lost"])
def test_limits_of_the_system_are_the_operators(limit, kind):
    limit("there are no more threads")
    found = as_error(Worker(kind, TRACEBACK))
    assert type(found) is ConfigError
    assert str(found) == f"worker 3 can't start: there are no more threads\n{TRACEBACK}"


def test_what_is_said_to_the_operator_already_is_not_explained(limit):
    limit("there are no more threads")
    assert str(as_error(Worker("config", "--root-path"))) == "--root-path"


@pytest.mark.parametrize(
    ("kind", "fault", "said"),
    [
        ("lost", "killed by SIGKILL", "killed by SIGKILL"),
        ("lost", TRACEBACK, f"lost\n{TRACEBACK}"),
        ("lifespan", "shut-down failed", "lifespan\nshut-down failed"),
        ("", "", "without a word"),
    ],
)
def test_the_cause_of_an_end(kind, fault, said):
    assert cause_of_end(Worker(kind, fault)) == said


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a"], "Worker 3 leaves a daemon thread running (a), "),
        (["a", "b"], "Worker 3 leaves daemon threads running (a, b), "),
    ],
)
def test_daemon_threads(names, said):
    assert of_daemon_threads(Worker(daemon_threads=names)).startswith(said)

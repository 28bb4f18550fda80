"""State that workers in one process share: the log names what an app uses that does not work with it."""

import pytest
from support import RUNTIME, Server, running

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""

PATCHES = """
import sys, types
sys.modules["gevent.monkey"] = types.ModuleType("gevent.monkey")  # stands for the real one, which patches a lot
sys.modules["gevent.monkey"].saved = {"socket": {}}
"""

PROMETHEUS = "PROMETHEUS_MULTIPROC_DIR is set: prometheus_client names its files by process"
GEVENT = "gevent has patched the standard library"


@pytest.fixture
def serve(tmp_path):
    def start(text, **options):
        (tmp_path / "used.py").write_text(text, encoding="utf-8")
        return running("used:app", cwd=tmp_path, **options)

    return start


@pytest.mark.parametrize("by_the_app", [False, True])
@pytest.mark.parametrize("workers", [1, 3])
def test_prometheus_by_process(serve, tmp_path, workers, by_the_app):
    setting = f"import os\nos.environ['PROMETHEUS_MULTIPROC_DIR'] = {str(tmp_path)!r}\n"
    env = {} if by_the_app else {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    with serve((setting if by_the_app else "") + APP, workers=workers, env=env) as server:
        assert server.get("/").body == b"hello"
        assert server.stop() == 0
        matters = RUNTIME == "interpreter" and workers > 1
        assert server.err.count(PROMETHEUS) == (1 if matters else 0)  # once, not for each worker


METRICS = """
import os
import uuid

WORKER = f"{os.getpid()}-{uuid.uuid4().hex[:8]}"

from prometheus_client import values

values.ValueClass = values.MultiProcessValue(lambda: WORKER)

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

HITS = Counter("hits", "requests")


def app(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/metrics":
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return [generate_latest(registry)]
    HITS.inc()
    return [WORKER.encode()]
"""


@pytest.mark.skipif(RUNTIME == "thread", reason="the main interpreter has one worker")
def test_metrics_named_by_worker_as_the_docs_have_it(serve, tmp_path):
    folder = tmp_path / "metrics"
    folder.mkdir()
    with serve(METRICS, workers=3, env={"PROMETHEUS_MULTIPROC_DIR": str(folder)}) as server:
        seen = set()
        for sent in range(1, 1000):
            seen.add(server.get("/").body)
            if len(seen) == 3 and sent >= 50:
                break
        assert f"hits_total {sent}.0\n" in server.get("/metrics").text
        assert server.stop() == 0


def test_a_patched_standard_library(serve):
    with serve(PATCHES + APP) as server:
        assert server.get("/").body == b"hello"
        assert server.stop() == 0
        assert server.err.count(GEVENT) == 1


def test_a_patched_standard_library_may_be_why_an_import_fails(tmp_path):
    (tmp_path / "used.py").write_text(PATCHES + "raise RuntimeError('cannot release un-acquired lock')\n")
    server = Server("used:app", "--port", "0", cwd=tmp_path)
    assert server.wait_ended() == 3
    assert "RuntimeError: cannot release un-acquired lock\n" + GEVENT in server.err


def test_nothing_is_said_of_an_ordinary_app(serve):
    with serve(APP) as server:
        assert server.stop() == 0
        assert "WARNING" not in server.err

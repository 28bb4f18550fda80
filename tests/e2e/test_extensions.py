"""Apps whose C extensions refuse to run in several interpreters, as most of them do: FastAPI is one."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from scraping import scrape
from support import RUNTIME, Client, Server, running, wait_until

pytestmark = pytest.mark.skipif(RUNTIME != "interpreter", reason="only interpreters need copies")

PREFIX = "snakepit-extensions-"


@pytest.fixture
def temporary(tmp_path):
    """The folder for temporary files of the servers here."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def folders(temporary: Path) -> list[Path]:
    return [path for path in temporary.iterdir() if path.name.startswith(PREFIX)]


def test_fastapi_runs(temporary):
    with running("items:app", workers=3, env={"TMPDIR": str(temporary)}) as server:
        assert server.err.count(" C extension") >= 3, "the log says that there are copies"
        [folder] = folders(temporary)
        assert len([path for path in folder.iterdir() if path.is_dir()]) == 3, "each worker has its own"
        for price in (1.5, 2, 3.25):
            answer = server.get(f"/items/tea?price={price}")
            assert (answer.status, json.loads(answer.text)) == (200, {"name": "tea", "price": price})
        body = b'{"name": "tea", "price": "much"}'
        refused = server.get("/items", "Content-Type: application/json", method="POST", body=body)
        assert refused.status == 422
        assert json.loads(refused.text)["detail"][0]["type"] == "float_parsing"
        assert server.stop() == 0
        assert folders(temporary) == []


def test_metrics_of_copies(temporary):
    with running("items:app", "--metrics", "/metrics", workers=2, env={"TMPDIR": str(temporary)}) as server:
        wait_until(lambda: scrape(server).sum("snakepit_workers", state="ready") == 2, "both are ready")
        found = scrape(server)
        for worker in ("1", "2"):
            here = {"app": "items:app", "worker": worker}
            assert found.get("snakepit_worker_private_copies", **here) >= 1
            assert found.get("snakepit_worker_private_copies_bytes", **here) > 100_000
        assert found.kinds["snakepit_worker_private_copies_bytes"] == "gauge"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_copies_of_a_server_that_was_killed_go_when_the_next_starts(temporary):
    with running("items:app", workers=1, env={"TMPDIR": str(temporary)}) as server:
        for pid in (server.process.pid, server.pid):
            os.kill(pid, signal.SIGKILL)
        server.wait_ended()
    [left] = folders(temporary)
    with running("items:app", workers=1, env={"TMPDIR": str(temporary)}) as server:
        assert len(folders(temporary)) == 1
        assert not left.exists()


def test_a_replaced_worker_leaves_memory_behind_and_the_log_says_so():
    with running("items:app", workers=2) as server, Client(server) as other:
        assert other.request("/items/tea").status == 200
        assert server.get("/stop-loop").status == 500
        server.wait_logged("keep stays in memory until the process ends")
        assert other.request("/items/tea").status == 200


def test_nothing_is_copied_where_that_is_asked_for(temporary):
    server = Server("items:app", "--port", "0", "-n", "2", "--extensions", "native", env={"TMPDIR": str(temporary)})
    try:
        assert server.wait_ended() == 3
    finally:
        server.kill()
    assert "refuses to run in several interpreters" in server.err
    assert "--runtime process" in server.err
    assert folders(temporary) == []


TRACING = """
import json, tracemalloc, warnings

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    said = {"tracing": tracemalloc.is_tracing(), "traced": tracemalloc.get_traced_memory(), "start": "", "snapshot": ""}
    for name, function in (("start", tracemalloc.start), ("snapshot", tracemalloc.take_snapshot)):
        try:
            function()
        except RuntimeError as error:
            said[name] = str(error)
    tracemalloc.stop()
    said["origin"] = tracemalloc.get_object_traceback(app)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(said).encode()})
"""


def test_tracemalloc_can_be_imported_and_says_that_it_traces_nothing(tmp_path):
    (tmp_path / "tracing.py").write_text(TRACING)
    with running("tracing:app", "--app-dir", str(tmp_path), workers=2) as server:
        said = json.loads(server.get("/").text)
    assert "--runtime process" in said.pop("start")
    assert "must be tracing" in said.pop("snapshot")
    assert said == {"tracing": False, "traced": [0, 0], "origin": None}

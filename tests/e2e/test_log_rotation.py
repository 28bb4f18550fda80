"""Log rotation: SIGUSR1 ends nothing, and files that were moved are opened anew, by the server and by all workers."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from support import RUNTIME, children_of, running, wait_until, workers_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

APP = """
import logging, uuid

worker = uuid.uuid4().hex

def app(environ, start_response):
    logging.getLogger("app").info("worker %s", worker)
    start_response("200 OK", [])
    return [worker.encode()]
"""


def config(path):
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(name)s %(message)s"}},
        "handlers": {
            "file": {"class": "logging.FileHandler", "filename": str(path), "formatter": "line"},
            "stderr": {"class": "logging.StreamHandler"},
        },
        "loggers": {"snakepit.server": {"handlers": ["stderr"]}},
        "root": {"handlers": ["file"], "level": "INFO"},
    }


@pytest.mark.parametrize("options", [(), ("--no-supervise",)], ids=["supervised", "alone"])
def test_files_that_were_moved(tmp_path, options):
    log, moved = tmp_path / "site.log", tmp_path / "site.log.1"
    (tmp_path / "rotated.py").write_text(APP, encoding="utf-8")
    (tmp_path / "log.json").write_text(json.dumps(config(log)), encoding="utf-8")
    with running("rotated:app", "--log-config", "log.json", *options, cwd=tmp_path) as server:

        def all_write_to(path):
            worker = server.get("/").text
            seen.add(worker)
            text = path.read_text()
            return len(seen) == workers_of(2) and all(f"app worker {worker}" in text for worker in seen)

        seen = set()
        wait_until(lambda: all_write_to(log), "all workers have logged")
        os.rename(log, moved)
        server.process.send_signal(signal.SIGUSR1)
        server.wait_logged(f"Log files were moved, and are opened anew: {log}")
        wait_until(lambda: all_write_to(log), "all workers write to the new file")
        before = moved.read_text()
        server.get("/")
        assert moved.read_text() == before
        assert "snakepit.access" in log.read_text()
        assert server.stop() == 0


def test_without_log_files_it_changes_nothing():
    with running("behaviors:app", "--log-level", "debug") as server:
        pids = {server.process.pid, server.pid}
        if sys.platform == "linux" and Path("/proc/self/task").exists():
            pids |= set(children_of(server.pid))
        assert RUNTIME != "process" or sys.platform != "linux" or len(pids) == 4
        for pid in pids:  # as pkill does
            os.kill(pid, signal.SIGUSR1)
        server.wait_logged("SIGUSR1: no log file was moved")
        assert server.get("/").status == 200
        assert server.pid in pids
        assert "ended unexpectedly" not in server.err
        assert server.stop() == 0


def test_the_access_log(tmp_path):
    log, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    options = "--access-log-file", "access.log", "--access-log-format", "%(m)s %(U)s %(s)s"
    (tmp_path / "rotated.py").write_text(APP, encoding="utf-8")
    with running("rotated:app", *options, cwd=tmp_path) as server:
        server.get("/one")
        wait_until(lambda: log.read_text() == "GET /one 200\n", "the request is in the file")
        os.rename(log, moved)
        server.process.send_signal(signal.SIGUSR1)
        server.wait_logged(f"Log files were moved, and are opened anew: {log}")
        server.get("/two")
        wait_until(lambda: log.read_text() == "GET /two 200\n", "the request is in the new file")
        assert server.stop() == 0
    assert moved.read_text() == "GET /one 200\n"
    assert server.out == ""

"""Ten thousand apps come and go in one process."""

import http.client
import os
import sys

import pytest
from support import running

TENANTS = 50
CREATIONS = 10_000
WARM = 2_000
MOST = 20 * 2**20
"""Bytes; what the process may grow by in the creations after the first ones."""

APP = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
CONFIG = """
access-log = false
log-level = "warning"
max-apps = 2
threads = 2

[[apps]]
path = "/{tenant}"
app = "main:app"
app-dir = "tenants/{tenant}"
"""

pytestmark = [pytest.mark.stress, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def create(port, numbers):
    for number in numbers:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", f"/t{number % TENANTS}/")
        assert connection.getresponse().read() == b"ok"
        connection.close()


def test_they_leave_memory_and_descriptors_as_they_were(tmp_path):
    for number in range(TENANTS):
        folder = tmp_path / "tenants" / f"t{number}"
        folder.mkdir(parents=True)
        (folder / "main.py").write_text(APP, encoding="utf-8")
    (tmp_path / "snakepit.toml").write_text(CONFIG, encoding="utf-8")
    with running("--log-level", "info", cwd=tmp_path, workers=0) as server:
        create(server.port, range(WARM))
        memory, files = server.rss(), descriptors(server.pid)
        create(server.port, range(WARM, CREATIONS))
        assert server.rss() < memory + MOST
        assert descriptors(server.pid) < files + 10
        assert server.stop() == 0

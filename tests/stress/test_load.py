"""Long runs against the real server: `make stress`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.server import serving

ROOT = Path(__file__).parents[2]
REQUESTS = 100_000
APPS = {
    "asgi": "benchmarks.apps.raw:app",
    "starlette": "benchmarks.apps.starlette_app:app",
    "flask": "benchmarks.apps.flask_app:app",
    "django-wsgi": "benchmarks.apps.django_app:application",
    "django-asgi": "benchmarks.apps.django_app:asgi",
}

pytestmark = [pytest.mark.stress, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


def load(port: int, requests: int) -> dict:
    command = [sys.executable, "-m", "benchmarks.client", str(port), "/", "Hello, world!", "--requests", str(requests)]
    return json.loads(subprocess.check_output(command, cwd=ROOT, timeout=900))


@pytest.mark.parametrize("app", APPS.values(), ids=APPS)
def test_a_hundred_thousand_requests_pass_and_leave_memory_as_it_was(app, monkeypatch):
    monkeypatch.chdir(ROOT)
    with serving(app, "-n", "2") as server:
        load(server.port, REQUESTS // 5)
        before = server.rss()
        result = load(server.port, REQUESTS)
        assert (result["requests"], result["errors"]) == (REQUESTS, 0)
        assert server.rss() < before * 1.05 + 2**20
        assert server.stop() == 0

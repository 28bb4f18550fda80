"""Long runs of an app whose C extensions are loaded from private copies: `make stress`.

SNAKEPIT_STRESS_REQUESTS and SNAKEPIT_STRESS_CYCLES set how much: a million requests take a quarter of an hour.
"""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from benchmarks.server import serving
from compat.services import postgresql

ROOT = Path(__file__).parents[2]
APPS = ROOT / "tests" / "apps"
REQUESTS = int(os.environ.get("SNAKEPIT_STRESS_REQUESTS", "50000"))
CYCLES = int(os.environ.get("SNAKEPIT_STRESS_CYCLES", "100"))
CYCLES_A_PROCESS = 250
"""Each cycle leaves some 20 MiB behind."""

pytestmark = [pytest.mark.stress, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


def mix(port: int) -> list[dict]:
    """What the load asks the shop for."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/token/ada", method="POST")
    with urllib.request.urlopen(asked, timeout=60) as answer:
        token = json.load(answer)["token"]
    known = {"Authorization": f"Bearer {token}"}
    me = {"path": "/me", "headers": known, "expected": '{"user":"ada"}'}
    product = {"path": "/products/8", "headers": known, "expected": '{"name":"product 8","price":2.0}'}
    order = {
        "method": "POST",
        "path": "/orders",
        "headers": {**known, "Content-Type": "application/json"},
        "body": '{"product": 6, "count": 3}',
        "expected": '{"product":"product 6","total":4.5}',
    }
    missing = {"path": "/products/800", "headers": known, "status": 404, "expected": '{"detail":"no such product"}'}
    stranger = {
        "path": "/me",
        "headers": {"Authorization": f"Bearer {token[:-4]}AAAA"},
        "status": 401,
        "expected": '{"detail":"Signature verification failed"}',
    }
    return [
        me,
        product,
        me,
        stranger,
        me,
        product,
        me,
        me,
        missing,
        me,
        product,
        me,
        me,
        me,
        me,
        order,
        me,
        product,
        me,
        me,
    ]


def load(port: int, requests: int, exchanges: Path) -> dict:
    command = [
        sys.executable,
        "-m",
        "benchmarks.client",
        str(port),
        "--mix",
        str(exchanges),
        "--requests",
        str(requests),
    ]
    return json.loads(subprocess.check_output(command, cwd=ROOT))


def test_a_shop_with_copies_of_everything_serves_without_an_error_in_flat_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    with postgresql() as url:
        monkeypatch.setenv("SHOP_DATABASE", url)
        with serving("shop:app", "-n", "4", "--app-dir", str(APPS)) as server:
            exchanges = tmp_path / "mix.json"
            exchanges.write_text(json.dumps(mix(server.port)))
            load(server.port, max(5000, REQUESTS // 20), exchanges)
            before = server.rss()
            result = load(server.port, REQUESTS, exchanges)
            after = server.rss()
            print(json.dumps({**result, "rss_mib": [before / 2**20, after / 2**20]}))
            assert (result["requests"], result["errors"]) == (REQUESTS, 0)
            assert after < before * 1.05 + 2**20
            assert server.stop() == 0


def test_workers_come_serve_and_go():
    done = 0
    while done < CYCLES:
        count = min(CYCLES_A_PROCESS, CYCLES - done)
        command = [sys.executable, "-X", "faulthandler", str(Path(__file__).with_name("cycles.py")), str(APPS)]
        arguments = ["items:app", "/items/tea?price=2", '{"name":"tea","price":2.0}', str(count)]
        ended = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=3 * count + 60)
        assert ended.returncode == 0, ended.stderr[-5000:]
        first, last = map(float, ended.stdout.split())
        print(f"{count} cycles: {first:.0f} MiB after the first, {last:.0f} MiB after the last")
        done += count

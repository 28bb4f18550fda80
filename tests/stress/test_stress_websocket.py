"""A worker that computes for a minute keeps its WebSockets: `make stress`."""

import os
import sys
from pathlib import Path

import pytest
from websockets.sync.client import connect

from benchmarks.server import serving

APPS = Path(__file__).parents[1] / "apps"
BUSY = 60  # seconds

pytestmark = [pytest.mark.stress, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


def test_a_worker_that_computes_for_a_minute_keeps_its_websockets(tmp_path):
    """Both sides ping each other, and would give each other up after two seconds of silence."""
    options = ("-n", "1", "--app-dir", os.fspath(APPS), "--ws-ping-interval", "1", "--ws-ping-timeout", "1")
    options += ("--timeout-worker-healthcheck", str(BUSY * 3))  # a loop that does not turn is given up sooner otherwise
    with serving("websocket_behaviors:app", *options) as server:
        address = f"ws://127.0.0.1:{server.port}"
        how = {"ping_interval": 1, "ping_timeout": 1, "proxy": None}
        with connect(f"{address}/burn", **how) as busy, connect(f"{address}/echo", **how) as other:
            enough = tmp_path / "enough"
            busy.send(os.fspath(enough))
            assert busy.recv(30) == "busy"
            other.send("waits")
            with pytest.raises(TimeoutError):
                other.recv(BUSY)
            enough.touch()
            assert busy.recv(30).startswith("burnt in ")
            assert other.recv(30) == "waits"
        assert server.stop() == 0

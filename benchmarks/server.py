"""`snakepit run` under measurement, and a load on it."""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.process import PATIENCE, ProcessTree


class Server(ProcessTree):
    """`snakepit run` on a free port."""

    def __init__(self, app: str, *options: str) -> None:
        command = [sys.executable, "-m", "snakepit", "run", app, "--port", "0", "--no-access-log", *options]
        super().__init__(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            self.port = self._wait_ready(int(options[options.index("-n") + 1]) * (1 + options.count("--mount")))
        except BaseException:
            self.stop()
            raise

    def _wait_ready(self, workers: int) -> int:
        assert self.process.stderr is not None
        text = ""
        end = time.monotonic() + PATIENCE
        while text.count(" ready: ") < workers or "Listening on" not in text:
            line = self.process.stderr.readline().decode()
            text += line
            if not line or time.monotonic() > end:
                raise RuntimeError(f"the server did not start:\n{text}")
        found = re.search(r"Listening on http://[^:]+:(\d+)", text)
        assert found is not None
        return int(found[1])

    def stop(self) -> int:
        """Stop the server; returns its exit status."""
        try:
            return super().stop()
        finally:
            if self.process.stderr is not None:
                self.process.stderr.close()


@contextmanager
def serving(app: str, *options: str) -> Iterator[Server]:
    """Run a server, which is stopped at the end in every case."""
    server = Server(app, *options)
    try:
        yield server
    finally:
        server.stop()


def load(server: Server, path: str, expected: str, requests: int, connections: int = 64) -> dict[str, Any]:
    """Run the client in a process of its own; returns what it measured, with the server's CPU time a request."""
    before = server.cpu_seconds()
    command = [sys.executable, "-m", "benchmarks.client", str(server.port), path, expected]
    options = ["--requests", str(requests), "--connections", str(connections)]
    result: dict[str, Any] = json.loads(subprocess.check_output([*command, *options], timeout=600))
    result["cpu_us"] = (server.cpu_seconds() - before) / requests * 1e6
    return result


def at_rate(server: Server, rate: int, seconds: float, host: str = "") -> dict[str, Any]:
    """Send requests at a fixed rate over four connections; returns what the client measured, as `fast_…`."""
    headers = {"Host": host} if host else {}
    exchange = {"path": "/", "expected": "Hello, world!", "body": "", "headers": headers, "unique": "\0"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "exchange.json"
        path.write_text(json.dumps(exchange))
        command = [sys.executable, "-m", "benchmarks.open_loop", str(server.port), "--exchange", str(path)]
        options = ["--rate", str(rate), "--seconds", str(seconds), "--warm-up", "1", "--connections", "4"]
        result: dict[str, Any] = json.loads(subprocess.check_output([*command, *options], timeout=600))
    return result

"""A server under measurement: a process, its CPU time and its memory."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 30.0  # seconds until a server that does not come up is given up
_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """`snakepit run` on a free port."""

    def __init__(self, app: str, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "snakepit", "run", app, "--port", "0", "--no-access-log", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.port = self._wait_ready(int(options[options.index("-n") + 1]))

    def _wait_ready(self, workers: int) -> int:
        assert self._process.stderr is not None
        text = ""
        end = time.monotonic() + PATIENCE
        while text.count(" ready: ") < workers or "Listening on" not in text:
            line = self._process.stderr.readline()
            text += line
            if not line or time.monotonic() > end:
                raise RuntimeError(f"the server did not start:\n{text}")
        found = re.search(r"Listening on http://[^:]+:(\d+)", text)
        assert found is not None
        return int(found[1])

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss(self) -> int:
        """Resident memory in bytes."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> int:
        """Stop the server; returns its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(PATIENCE)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            if self._process.stderr is not None:
                self._process.stderr.close()


@contextmanager
def serving(app: str, *options: str) -> Iterator[Server]:
    """A server that is ended at the end, whatever happens."""
    server = Server(app, *options)
    try:
        yield server
    finally:
        server.stop()

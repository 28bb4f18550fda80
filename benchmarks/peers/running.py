"""A contender that runs: started, seen to give the right answer, ended."""

import os
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.request import Request, urlopen

from benchmarks.peers.certificate import CERTIFICATE, certificate_folder
from benchmarks.peers.contenders import ROOT, Contender, Start
from benchmarks.peers.pythons import Python
from benchmarks.process import PATIENCE, ProcessTree

_SETTLING = 30.0  # seconds that a server may take to come to rest
UNIQUE = "{unique}"  # in a field's value: stands for 32 hexadecimal digits that are never the same twice


class FailedError(Exception):
    """A contender could not be measured. The text is short, fit for a table; `detail` is a line on why."""

    def __init__(self, text: str, detail: str) -> None:
        super().__init__(text)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and the body of its answer. With a body it is a POST, without one a GET. Bodies are ASCII."""

    path: str
    expected: bytes
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    files: str = ""
    """The folder that a server is to send under /static by itself, if it can."""
    tls: bool = False

    @property
    def scheme(self) -> str:
        """The scheme of its URL."""
        return "https" if self.tls else "http"

    def fields(self) -> dict[str, str]:
        """Return the header fields of one request."""
        return {name: value.replace(UNIQUE, "0" * 32) for name, value in self.headers.items()}

    def data(self) -> dict[str, object]:
        """Return the exchange fit for JSON, as `benchmarks.open_loop` reads it."""
        return {
            "path": self.path,
            "expected": self.expected.decode(),
            "body": self.body.decode(),
            "headers": self.headers,
            "unique": UNIQUE,
        }


class Running(ProcessTree):
    """A contender's process tree, on a port that was free. `start_s`: seconds from its start to the first answer."""

    def __init__(
        self, contender: Contender, python: Python, app: str, interface: str, exchange: Exchange, workers: int
    ) -> None:
        self.one_process = contender.one_process
        tls = certificate_folder() if exchange.tls else ""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop()
        began = time.monotonic()
        super().__init__(
            contender.command(Start(python.bin, app, interface, self.port, workers, exchange.files, tls)),
            cwd=ROOT,
            env={**os.environ, **python.environ, "PYTHONPATH": str(ROOT)},
            stdout=self._log,
            stderr=self._log,
        )
        try:
            self._wait_for_answer(exchange, began + PATIENCE)
        except BaseException:
            self.stop()
            raise
        self.start_s = time.monotonic() - began

    def _wait_for_answer(self, exchange: Exchange, end: float) -> None:
        url = f"{exchange.scheme}://127.0.0.1:{self.port}{exchange.path}"
        trust = ssl.create_default_context(cafile=f"{certificate_folder()}/{CERTIFICATE}") if exchange.tls else None
        request = Request(url, data=exchange.body or None, headers=exchange.fields())
        while True:
            try:
                with urlopen(request, timeout=10, context=trust) as response:
                    got = response.read()
                break
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise FailedError("did not start", f"{error}; its log ends with: {self._last_line()}") from None
                time.sleep(0.005)
        if got != exchange.expected:
            raise FailedError("wrong answer", repr(got[:80]))

    def _last_line(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "(nothing)"

    def wait_at_rest(self, interval: float = 0.5) -> None:
        """Wait until the server takes less than 2 % of a core during an interval in seconds, at most 30 s."""
        end = time.monotonic() + _SETTLING
        before = self.cpu_seconds()
        while time.monotonic() < end:
            time.sleep(interval)
            now = self.cpu_seconds()
            if now - before < 0.02 * interval:
                return
            before = now

    def stop(self) -> int:
        """End the server, and close its log."""
        try:
            return super().stop()
        finally:
            self._log.close()


@contextmanager
def running(
    contender: Contender, python: Python, app: str, interface: str, exchange: Exchange, workers: int
) -> Iterator[Running]:
    """Run a contender, which is ended in every case."""
    server = Running(contender, python, app, interface, exchange, workers)
    try:
        yield server
    finally:
        server.stop()

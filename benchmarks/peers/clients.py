"""Clients of our own, each a process that says `ready` once its connections are there, and then waits for a line."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from benchmarks.peers.contenders import ROOT
from benchmarks.peers.running import FailedError


class Client:
    """A client that is ready. `trouble`: what a table says where it gets no further."""

    def __init__(self, write: IO[str], read: IO[str], trouble: str) -> None:
        self._write = write
        self._read = read
        self._trouble = trouble

    def go(self) -> None:
        """Tell the client to begin."""
        self._write.write("go\n")
        self._write.flush()

    def end(self) -> None:
        """Close the client's standard input."""
        self._write.close()

    def wait_result(self) -> dict[str, float]:
        """Wait for the client's figures."""
        line = self._read.readline()
        if not line:
            raise FailedError(self._trouble, "the client ended")
        found: dict[str, float] = json.loads(line)
        return found


@contextmanager
def client(module: str, port: int, *options: object, trouble: str) -> Iterator[Client]:
    """Run a client, and wait until its connections are open."""
    command = [sys.executable, "-m", f"benchmarks.{module}", str(port), *map(str, options)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        try:
            if process.stdout.readline() != "ready\n":
                raise FailedError(trouble, process.stderr.read().strip().rpartition("\n")[2])
            yield Client(process.stdin, process.stdout, trouble)
        finally:
            process.kill()

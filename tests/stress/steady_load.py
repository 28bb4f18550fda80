"""The constant load of the stress tests, as a block: see steady.py."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import PATIENCE, Server

CONNECTIONS = 64
PAUSE = 0.05  # seconds between the answers and the next question of each: some 1,200 requests a second


class Loaded:
    """What came of a load, once it is over."""

    answers = 0
    refused = 0
    slowest_ms = 0
    silence_ms = 0
    failed: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()


@contextmanager
def loaded(server: Server, again: bool = False, path: str = "/") -> Iterator[Loaded]:
    """A constant load on the server; `again`: connections may end, and others are made."""
    script = Path(__file__).with_name("steady.py")
    command = [sys.executable, str(script), str(server.port), path, str(CONNECTIONS), str(PAUSE)]
    told = Loaded()
    with subprocess.Popen(
        command + ["again"] * again, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield told
            out, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    vars(told).update(json.loads(out))

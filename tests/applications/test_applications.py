"""Real applications, started with default options and two workers, do their first real thing; see `make apps`."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from environments import ROOT, python_of
from support import PATIENCE, Server, children_of, gone, wait_until
from waiting import FACTOR

sys.path.append(str(ROOT))

from compat import services

HERE = Path(__file__).parent
MOST_SECONDS_TO_END = 3.0 * FACTOR
"""From Ctrl+C to the end of the process, with something open."""

pytestmark = pytest.mark.applications


def test_application(application, outcome, tmp_path, monkeypatch):
    python = python_of(application)
    outcome.version = version(python, re.match(r"[\w-]+", application.packages[0])[0])
    folder = tmp_path / application.name
    shutil.copytree(HERE / application.name, folder)
    for name, value in application.environment.items():
        monkeypatch.setenv(name, value.replace("{port}", str(free_port())))
    monkeypatch.delenv("SNAKEPIT_RUNTIME", raising=False)
    with services.postgresql() if application.postgresql else nullcontext() as database:
        if database:
            monkeypatch.setenv("DATABASE_URL", database.replace("postgresql:", "postgresql+psycopg:"))
        for command in application.prepare:
            run([python, *command], folder)
        serve(application, outcome, python, folder)
    outcome.failed = False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def version(python: Path, package: str) -> str:
    return run([python, "-c", f"import importlib.metadata as it; print(it.version({package!r}))"], HERE).strip()


def run(command: list[str | Path], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=3 * PATIENCE)
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def serve(application, outcome, python: Path, folder: Path) -> None:
    began = time.monotonic()
    options = ("--port", "0", "--interpreters", "2", "--app-dir", str(folder), *application.options)
    server = Server(application.target, *options, cwd=folder, python=python)
    try:
        server.wait_listening(2, 3 * PATIENCE)
        outcome.start = time.monotonic() - began
        with visiting(python, folder, server):
            outcome.works = True
            outcome.memory = server.rss() / 2**20
            processes = [server.pid, *children_of(server.pid)]
            began = time.monotonic()
            status = server.stop(signal.SIGINT)
            outcome.end = time.monotonic() - began
        assert status == 0, f"ended with {status}:\n{server.err}"
        wait_until(lambda: all(map(gone, processes)), "all of its processes are gone")
        assert outcome.end < MOST_SECONDS_TO_END, f"took {outcome.end:.1f} s to end:\n{server.err}"
        assert unexpected(server, application.warned) == [], f"{server.err}\n{server.out}"
    finally:
        server.kill()


@contextmanager
def visiting(python: Path, folder: Path, server: Server) -> Iterator[None]:
    """A client that has done the first thing, and has something open meanwhile.

    Its behaviour at the server's end does not matter.
    """
    command = [python, HERE / "visitor.py", folder, server.address]
    paths = (HERE, HERE.parent, HERE.parent / "e2e")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "SE_OFFLINE": "true", "NO_PROXY": "127.0.0.1"}
    errors = folder.with_suffix(".client")
    with (
        errors.open("w", encoding="utf-8") as stream,
        subprocess.Popen(
            command, env=env, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stream, text=True
        ) as visitor,
    ):
        limit = threading.Timer(3 * PATIENCE, visitor.kill)
        limit.start()
        try:
            if "open\n" not in visitor.stdout:  # which reads line by line
                said = errors.read_text(encoding="utf-8")
                raise AssertionError(f"the client failed:\n{said}\nThe server:\n{server.err}\n{server.out}")
            yield
            visitor.stdin.close()
            visitor.wait(PATIENCE)
        finally:
            limit.cancel()
            visitor.kill()


def unexpected(server: Server, warned: tuple[str, ...]) -> list[str]:
    """Lines of the log above INFO, and tracebacks, but for warnings that are known."""
    found = []
    for line in [*server.err.splitlines(), *server.out.splitlines()]:
        above = re.search(r"\b(WARNING|ERROR|CRITICAL)\b", line)
        if "Traceback" in line or (above and not any(part in line for part in warned)):
            found.append(line)
    return found

"""`--jit`: which processes have the JIT compiler, and what the log says of it."""

import re

import pytest
from support import RUNTIME, running

from snakepit.system import jit

HAS_ONE = pytest.mark.skipif(not jit.is_available(), reason="this Python has no JIT compiler")
SUPERVISED = RUNTIME != "thread"

APP = """
import os, subprocess, sys
from snakepit.system import jit

CHILD = [sys.executable, "-c", "from snakepit.system import jit; print(jit.is_enabled())"]

def app(environ, start_response):
    start_response("200 OK", [])
    here = jit.is_enabled(), os.environ.get("PYTHON_JIT"), os.environ.get("SNAKEPIT_PYTHON_JIT_BEFORE")
    return [f"{here} {subprocess.check_output(CHILD, text=True)}".encode()]
"""


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Serves an app that tells of the worker, and of a Python that it starts."""
    monkeypatch.delenv("PYTHON_JIT", raising=False)
    monkeypatch.delenv("SNAKEPIT_JIT", raising=False)
    (tmp_path / "site_app.py").write_text(APP, encoding="utf-8")
    return lambda *options, **env: running("site_app:app", *options, cwd=tmp_path, env=env)


def told(server):
    """Whether the log says that it is on, whether it is in the worker, and what the app starts others with."""
    answer = server.get("/").text.split()
    in_worker, variable, before, in_child = re.fullmatch(r"\((\w+), (.+), (\w+)\) (\w+)", " ".join(answer)).groups()
    assert before == "None"
    return ", JIT on, process " in server.err, in_worker == "True", variable, in_child == "True"


def in_workers(on):
    """Whether workers have it where the server process does: interpreters never do."""
    return on and RUNTIME != "interpreter"


@HAS_ONE
def test_by_default(serve):
    on = jit.GAINS and SUPERVISED
    with serve() as server:
        assert told(server) == (on, in_workers(on), "None", False)
        assert "WARNING" not in server.err


@HAS_ONE
@pytest.mark.skipif(not SUPERVISED, reason="without a supervisor nobody can switch it on")
def test_switched_on_and_off(serve):
    with serve("--jit") as server:
        assert told(server) == (True, in_workers(True), "None", False)
    with serve("--no-jit", PYTHON_JIT="1") as server:
        assert told(server) == (False, False, "'1'", True)
    with serve(SNAKEPIT_JIT="off") as server:
        assert told(server) == (False, False, "None", False)


@HAS_ONE
def test_the_variable_counts_where_nothing_else_is_said(serve):
    with serve(PYTHON_JIT="0") as server:
        assert told(server) == (False, False, "'0'", False)
    with serve(PYTHON_JIT="1") as server:
        assert told(server) == (True, in_workers(True), "'1'", True)


@HAS_ONE
def test_a_process_that_runs_can_not_be_changed(serve):
    with serve("--no-supervise", "--jit") as server:
        assert told(server)[:2] == (False, False)
        assert "WARNING  --jit: the JIT compiler stays off, which is settled when a process starts" in server.err
    with serve("--no-supervise", "--no-jit", PYTHON_JIT="1") as server:
        assert told(server)[:2] == (True, in_workers(True))
        assert "WARNING  --no-jit: the JIT compiler stays on" in server.err


@pytest.mark.skipif(jit.is_available(), reason="this Python has a JIT compiler")
def test_a_python_without_one(serve):
    with serve("--jit") as server:
        assert told(server)[:2] == (False, False)
        assert "WARNING  --jit: this Python has no JIT compiler" in server.err
    with serve() as server:
        assert "JIT" not in server.err

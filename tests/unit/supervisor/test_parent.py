"""snakepit.supervisor.parent: who gets a supervisor, and what it is made of."""

import subprocess
import sys

import pytest
from waiting import PATIENCE

from snakepit.link import ENVIRONMENT
from snakepit.supervisor.parent import is_wanted


@pytest.mark.parametrize(
    ("arguments", "environ", "expected"),
    [
        ("run main:app", {}, True),
        ("run main:app --reload --interpreters 4", {}, True),
        ("run main:app --runtime process", {}, True),
        ("run main:app --runtime=process", {"SNAKEPIT_RUNTIME": "thread"}, True),
        ("run main:app --runtime process", {"SNAKEPIT_RUNTIME": "thread"}, True),
        ("run main:app --supervise", {"SNAKEPIT_SUPERVISE": "0"}, True),
        ("run main:app", {"SNAKEPIT_SUPERVISE": "true"}, True),
        ("run main:app --runtime thread", {}, False),
        ("run main:app --runtime=thread", {}, False),
        ("run main:app --runtime", {}, True),  # the server process says what is wrong with it
        ("run main:app", {"SNAKEPIT_RUNTIME": "thread"}, False),
        ("run main:app --no-supervise", {}, False),
        ("run main:app", {"SNAKEPIT_SUPERVISE": "off"}, False),
        ("run main:app", {"SNAKEPIT_SUPERVISE": "No"}, False),
        ("run main:app", {ENVIRONMENT: "5 1 0 0 0"}, False),  # it has one
        ("run --help", {}, False),
        ("check main:app", {}, False),
        ("--version", {}, False),
        ("", {}, False),
    ],
)
def test_who_gets_a_supervisor(arguments, environ, expected):
    assert is_wanted(arguments.split(), environ) is expected


@pytest.mark.parametrize("library", ["asyncio", "logging", "click", "subprocess", "dataclasses", "re", "json"])
def test_it_stays_small(library):
    code = "import sys, snakepit.supervisor.parent; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert "snakepit.supervisor.child" in loaded
    assert [name for name in loaded if name.startswith(("snakepit.server", "snakepit.worker", "snakepit.config"))] == []
    assert library not in loaded

"""snakepit.server.open_files, in processes of their own: a limit that was lowered for good must not stay with us."""

import subprocess
import sys

import pytest
from waiting import PATIENCE

from snakepit.server.open_files import raise_open_files_limit

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")


def limits_after(before, setup=""):
    """The soft and hard limit after raising those that a process sets first."""
    code = (
        "import resource\n"
        "from snakepit.server.open_files import raise_open_files_limit\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, {before})\n"
        f"{setup}\n"
        "raise_open_files_limit()\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stderr == ""
    return tuple(map(int, done.stdout.split()))


@POSIX
def test_soft_limit_is_raised_to_the_hard_one():
    assert limits_after((64, 256)) == (256, 256)


@POSIX
def test_nothing_to_raise():
    assert limits_after((128, 128)) == (128, 128)


@POSIX
@pytest.mark.parametrize("error", ["ValueError", "OSError", "PermissionError"])
def test_system_that_refuses(error):
    refuse = f"def refuse(*limits):\n    raise {error}('no')\nresource.setrlimit = refuse"
    assert limits_after((64, 256), refuse) == (64, 256)


def test_windows(monkeypatch):
    """All that is to be seen is that it does not raise: there is nothing that it could change."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "resource", None)  # as there: importing it fails
    raise_open_files_limit()

"""A part of the compatibility suite, and that it sees what goes wrong. `make compat` runs all of it."""

import os
import signal
import sys
from pathlib import Path

import pytest
from waiting import PATIENCE

from compat import driver
from compat.driver import Driver, Result, Services
from compat.registry import Case, all_cases

CASES = all_cases()


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    monkeypatch.setattr(driver, "PATIENCE", PATIENCE)


@pytest.fixture
def runner():
    with Services() as services:
        yield Driver(services, seconds=0.0)


# The group `extensions` in pyproject.toml has these packages.
@pytest.mark.parametrize("name", ["FastAPI", "orjson", "greenlet", "PyJWT", "numpy"])
def test_packages_work_from_private_copies(runner, name):
    result = Result("passed")
    assert runner.run(CASES[name], "vetted", result, interpreters=2, lives=2) == ""
    assert "copied" in result.loads.values()
    assert "refused" not in result.loads.values()


BROKEN = """
import fcntl
import os
from compat.cases.files import open_sqlite, read_sqlite
from compat.registry import SharedFile, case

@case("crash", exercised="")
def crash():
    import ctypes
    ctypes.string_at(0)

@case("wrong", exercised="")
def wrong():
    assert 1 == 2, "one is not two"

@case("endless", exercised="")
def endless():
    import threading
    threading.Lock().acquire() and threading.Event().wait()

@case("fine", exercised="")
def fine():
    pass

def sharing(name, open_file, read=lambda path: open(path).read().split()):
    case(name, exercised="", file=SharedFile(open_file, read))(fine)

def whole(path):
    keys = open(path).read().split() if os.path.exists(path) else []
    return keys.append, lambda: open(path, "w").write(" ".join(keys))

def appending(path):
    file = open(path, "a")
    return lambda key: print(key, file=file, flush=True), file.close

def alone(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # belongs to what is opened, not to the process
    except OSError:
        os.close(fd)
        raise
    os.lseek(fd, 0, os.SEEK_END)
    return lambda key: os.write(fd, b"%s " % key.encode()), lambda: os.close(fd)

def never(path):
    raise PermissionError(path)

def torn(path):
    raise ValueError("half a record")

sharing("whole", whole)
sharing("appending", appending)
sharing("alone", alone)
sharing("never", never)
sharing("torn", appending, torn)
sharing("sqlite3", open_sqlite, read_sqlite)
"""


@pytest.fixture
def broken(tmp_path: Path, monkeypatch):
    """Gives cases of a module that only the child imports."""
    (tmp_path / "broken_cases.py").write_text(BROKEN)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))

    def use() -> None:
        """Stands for the function there."""

    use.__module__ = "broken_cases"
    return lambda name: Case(name, use, (), name, "", (), (), name, {})


def run(runner: Driver, case: Case, interpreters: int = 2) -> str:
    return runner.run(case, "all", Result("passed"), interpreters, lives=1)


def test_a_crash_is_seen_and_its_place(runner, broken):
    # One interpreter: a second would crash while the first says where it did, which ends the process at once.
    assert run(runner, broken("crash"), interpreters=1).startswith("SIGSEGV in string_at")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Fatal Python error: ", "SIGSEGV"),
        ("Fatal Python error: Segmentation fault\n\n", "SIGSEGV"),
        ("Fatal Python error: Bus error\n", "SIGSEGV: Fatal Python error: Bus error"),
        (
            "Fatal Python error: Segmentation fault\n\nCurrent thread 0x1 (most recent call first):\n"
            '  File "/a/b/c.py", line 3 in crash\n',
            "SIGSEGV in crash (b/c.py)",
        ),
    ],
)
def test_what_is_said_of_a_crash(said, reason):
    assert driver.explain(-signal.SIGSEGV, False, said, []) == reason


def test_a_failed_assertion_is_seen(runner, broken):
    assert run(runner, broken("wrong")) == "AssertionError: one is not two"


def test_a_hang_is_seen(runner, broken, monkeypatch):
    monkeypatch.setattr(driver, "PATIENCE", 2.0)
    assert run(runner, broken("endless")).startswith("no end after 2 s")


def test_nothing_is_seen_where_nothing_is_wrong(runner, broken):
    assert run(runner, broken("fine")) == ""


# -- files that several write to ---------------------------------------------------------------------------------------


def share(runner: Driver, case: Case) -> str:
    return runner.run(case, "all", Result("passed"), interpreters=2, lives=1, shares=True)


def test_lost_writes_are_seen(runner, broken):
    assert share(runner, broken("whole")) == "acknowledged writes to a file are lost"


@pytest.mark.parametrize("name", ["appending", "alone", "sqlite3"])
def test_a_file_may_be_shared_or_refused(runner, broken, name):
    assert share(runner, broken(name)) == ""


def test_a_file_that_nobody_could_write(runner, broken):
    assert share(runner, broken("never")) == "nothing could be written to a file at all"


def test_a_file_that_cannot_be_read_afterwards(runner, broken):
    assert share(runner, broken("torn")) == "a file that several wrote to can't be read: ValueError: half a record"

"""server.net.open_files. Limits are set in processes of their own: one that was lowered must not stay with us."""

import asyncio
import errno
import logging
import os
import subprocess
import sys

import pytest
from fakes import fake_of
from playing import TimerLoop
from waiting import PATIENCE

from snakepit.server.net import open_files
from snakepit.server.net.open_files import OpenFiles, raise_open_files_limit

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")


def limits_after(before, setup=""):
    """The soft and hard limit after raising those that a process sets first."""
    code = (
        "import resource\n"
        "from snakepit.server.net.open_files import raise_open_files_limit\n"
        f"before = {before}\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, before)\n"
        f"{setup}\n"
        "told = raise_open_files_limit()\n"
        "now = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        f"assert told == ((before[0], now[0]) if now[0] != {before[0]} else None), told\n"
        "print(*now)\n"
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
    assert raise_open_files_limit() is None


# -- when they run out -------------------------------------------------------------------------------------------------


@fake_of(asyncio.AbstractEventLoop)
class FakeLoop(TimerLoop):
    """A clock, timers, and an exception handler."""

    def __init__(self):
        super().__init__()
        self.handler = None
        self.by_default = []

    def get_exception_handler(self):
        return self.handler

    def set_exception_handler(self, handler):
        self.handler = handler

    def default_exception_handler(self, context):
        self.by_default.append(context)


class Lines(logging.Logger):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__("lines")
        self.lines = []

    def error(self, text, *args):
        self.lines.append(text % args)


NOT_ACCEPTED = {
    "message": "socket.accept() out of system resource",
    "exception": OSError(errno.EMFILE, "Too many open files"),
}
NOT_LISTENING = {
    "message": "Exception in callback BaseSelectorEventLoop._start_serving()",
    "exception": ValueError("Invalid file descriptor: -1"),
}


@pytest.fixture
def loop():
    return FakeLoop()


@pytest.fixture
def limits(monkeypatch):
    """What the system says: limits that are set are kept here, and `error` says whether a file can be opened."""
    resource = pytest.importorskip("resource")

    class Limits:
        now = (60, 100)
        error = 0

        def set(self, which, now):
            self.now = now

    made = Limits()
    monkeypatch.setattr(resource, "getrlimit", lambda which: made.now)
    monkeypatch.setattr(resource, "setrlimit", made.set)
    monkeypatch.setattr(open_files, "_trouble", lambda: made.error)
    return made


@POSIX
def test_each_second_says_whether_there_are_descriptors(loop, limits):
    log = Lines()
    made = OpenFiles(log, loop)
    assert made.last == sys.maxsize
    made.watch()
    assert (made.last, made.scarce) == (59, 45)
    loop.jump(1.0)
    assert log.lines == []
    limits.error = errno.EMFILE
    loop.jump(1.0)
    assert len(log.lines) == 1
    assert log.lines[0].startswith("No descriptors left: this process may have 60 files open, and has; ")
    loop.jump(1.0)
    assert len(log.lines) == 2
    limits.error = errno.ENFILE
    loop.jump(1.0)
    assert log.lines[2] == "Connections that come are closed, or have to wait: " + os.strerror(errno.ENFILE)
    limits.error = 0
    loop.jump(1.0)
    made.close()
    loop.jump(5.0)
    assert len(log.lines) == 3
    assert loop.pending == []


@POSIX
@pytest.mark.parametrize(("limit", "scarce"), [(64, 48), (128, 96), (256, 224), (1024, 896), (1_000_000, 998_976)])
def test_some_descriptors_are_not_for_connections(loop, limits, limit, scarce):
    limits.now = (limit, limit)
    made = OpenFiles(Lines(), loop)
    made.watch()

    def connection(number):
        sock = type("Socket", (), {"fileno": lambda self: number})()
        return asyncio.BaseTransport({"socket": sock})

    assert not made.accepted(connection(scarce - 1))
    assert made.accepted(connection(scarce))
    assert not made.nearly_out(connection(scarce + 1))
    assert made.nearly_out(connection(limit - 2))
    none = asyncio.BaseTransport()
    assert (made.accepted(none), made.nearly_out(none)) == (False, False)


@POSIX
def test_without_a_limit_none_are_scarce(loop, limits):
    import resource

    limits.now = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    made = OpenFiles(Lines(), loop)
    made.watch()
    assert made.scarce == sys.maxsize


@POSIX
def test_one_line_a_second_whoever_says_it(loop, limits):
    log = Lines()
    made = OpenFiles(log, loop)
    made.watch()
    made.ran_out()
    made.ran_out()
    for _ in range(2000):
        loop.handler(loop, NOT_ACCEPTED)
    assert len(log.lines) == 1
    loop.now += 1.0
    loop.handler(loop, NOT_ACCEPTED)
    made.ran_out()
    assert len(log.lines) == 2
    assert log.lines[0] == log.lines[1]
    assert loop.by_default == []


@POSIX
def test_other_errors_of_the_loop_go_where_they_did(loop, limits):
    def others(loop, context):
        heard.append(context)

    heard = []
    made = OpenFiles(Lines(), loop)
    made.watch()
    loop.handler(loop, {"message": "something else"})
    assert [context["message"] for context in loop.by_default] == ["something else"]
    made.close()
    loop.handler(loop, NOT_LISTENING)  # timers of asyncio's that come after the end
    loop.jump(2.0)
    assert loop.handler is None
    assert len(loop.by_default) == 1

    loop.handler = others
    made = OpenFiles(Lines(), loop)
    made.watch()
    loop.handler(loop, {"message": "something else"})
    assert heard == [{"message": "something else"}]
    made.close()
    loop.jump(2.0)
    assert loop.handler is others

    made = OpenFiles(Lines(), loop)
    made.watch()
    loop.handler = None  # other users of the loop need another one
    made.close()
    loop.jump(2.0)
    assert loop.handler is None


@POSIX
def test_a_limit_that_was_left_low_is_raised_again(loop, limits):
    made = OpenFiles(Lines(), loop, raised=(60, 90))
    made.watch()
    assert limits.now == (90, 100)
    assert made.last == 89
    limits.now = (70, 100)  # another one, which the app has set
    loop.jump(1.0)
    assert limits.now == (70, 100)
    assert made.last == 69


@POSIX
def test_no_limit_at_all(loop, limits):
    import resource

    limits.now = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    made = OpenFiles(Lines(), loop)
    made.watch()
    assert made.last > 2**40


def test_closing_what_was_never_watched(loop):
    OpenFiles(Lines(), loop).close()
    assert loop.pending == []


@POSIX
def test_whether_a_file_can_be_opened():
    code = (
        "import os, resource\n"
        "from snakepit.server.net.open_files import _trouble\n"
        "print(_trouble())\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10))\n"
        "many = [os.dup(2) for _ in range(7)]\n"
        "said = _trouble()\n"
        "os.close(many[0])\n"
        "print(said, _trouble())\n"
        "os.devnull = '/no/such/file'\n"
        "print(_trouble())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout.split() == ["0", str(errno.EMFILE), "0", "0"]

"""snakepit.supervisor.supervisor: what it imports, and what it does."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing

import pytest
from waiting import PATIENCE

from snakepit.supervisor import link
from snakepit.supervisor import supervisor as parent
from snakepit.supervisor.child import Child
from snakepit.supervisor.link import Link
from snakepit.supervisor.silence import Silence
from snakepit.supervisor.supervisor import Supervisor


@pytest.mark.parametrize("library", ["asyncio", "logging", "click", "subprocess", "dataclasses", "re", "json"])
def test_it_stays_small(library):
    code = "import sys, snakepit.supervisor.first_look, snakepit.supervisor.supervisor; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert "snakepit.supervisor.child" in loaded
    assert [
        name for name in loaded if name.startswith(("snakepit.server", "snakepit.worker", "snakepit.config.options"))
    ] == []
    assert library not in loaded


# -- a process that hangs ----------------------------------------------------------------------------------------------


class FakeChild(Child):
    """A process that does what the test says."""

    is_stopped = False

    def __init__(self, end):
        self.link = Link(end)
        self.pid = 4711
        self.status = self.kill_at = self.listening_since = None
        self.stopping = self.hung_up = False
        self.silence = Silence()
        self.done = []

    def abort(self):
        self.done.append("abort")

    def kill(self):
        self.done.append("kill")


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def __getattr__(self, name):
        return getattr(time, name)


class Watched:
    """A supervisor with one process."""

    def __init__(self, clock):
        self.clock = clock
        self.supervisor = Supervisor()
        here, self.there = socket.socketpair()
        self.child = self.supervisor._current = FakeChild(here)

    def hears(self, *said):
        for word, text in said:
            self.supervisor._handle(self.child, word, text)

    def passes(self, seconds, step=60.0):
        """Let time pass, in which the supervisor runs whenever it wants to."""
        end = self.clock.now + seconds
        for _ in range(int(seconds) + 10):  # and not as often as it can
            pause = self.supervisor._until_next()
            self.clock.now = min(end, self.clock.now + (step if pause is None else pause))
            self.supervisor._mind_time()
        assert self.clock.now == end


@pytest.fixture
def watched(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(parent, "time", clock)
    made = Watched(clock)
    with closing(made.there), closing(made.child.link.socket):
        yield made


LISTENS = (link.LISTENING, "")
ALIVE = (link.ALIVE, "60")


def test_a_process_that_hangs_is_ended(watched, capfd):
    watched.hears(LISTENS, ALIVE)
    watched.passes(59)
    assert watched.child.done == []
    watched.passes(1.5)
    assert watched.child.done == ["abort"]
    said = capfd.readouterr().err
    assert "The server process 4711 has not answered for 60 s: its event loop hangs" in said
    watched.passes(1)
    assert watched.child.done == ["abort"]
    watched.passes(2)
    assert watched.child.done == ["abort", "kill"]
    watched.passes(600)
    assert watched.child.done == ["abort", "kill"]
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "said",
    [
        [LISTENS],  # an older version, which promises nothing
        [LISTENS, (link.ALIVE, "")],
        [LISTENS, (link.ALIVE, "0")],
        [LISTENS, ALIVE, (link.ALIVE, "0")],  # it comes to its end
        [ALIVE],  # it does not listen yet
    ],
)
def test_a_process_that_is_not_watched(watched, said):
    watched.hears(*said)
    watched.passes(3600)
    assert watched.child.done == []


def test_a_process_that_says_that_it_is_alive(watched):
    watched.hears(LISTENS)
    for _ in range(100):
        watched.hears(ALIVE)
        watched.passes(45)
    assert watched.child.done == []


def test_a_process_that_is_stopped(watched):
    watched.hears(LISTENS, ALIVE)
    watched.child.is_stopped = True
    watched.passes(3600)
    assert watched.child.done == []
    watched.child.is_stopped = False
    watched.passes(61)
    assert watched.child.done == ["abort"]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="POSIX signals")
@pytest.mark.parametrize("name", ["SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1"])
def test_signals_are_passed_on(watched, name):
    watched.supervisor._note(signal.Signals[name], None)
    watched.supervisor._handle_signals()
    assert Link(watched.there).receive() == [(link.SIGNAL, name)]


def test_a_process_that_retires_is_watched_too(watched):
    watched.hears(LISTENS, ALIVE)
    watched.supervisor._others.append(watched.child)
    watched.supervisor._current = None
    watched.passes(61)
    assert watched.child.done == ["abort"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_who_is_stopped():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        child = Child.__new__(Child)
        child.pid = process.pid
        assert not child.is_stopped
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        assert child.is_stopped
        os.kill(process.pid, signal.SIGCONT)
        os.waitid(os.P_PID, process.pid, os.WCONTINUED)
        assert not child.is_stopped
        process.kill()
    assert not child.is_stopped


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_what_it_says_has_the_format_of_the_servers_log(watched, capfd, log_format):
    watched.hears((link.LOG_FORMAT, log_format), LISTENS, ALIVE)
    watched.passes(61)
    line = capfd.readouterr().err
    assert line.count("\n") == 1
    if log_format == "text":
        assert " ERROR    The server process 4711 has not answered" in line
        return
    said = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said.pop("time"))
    assert said.pop("message").startswith("The server process 4711 has not answered for 60 s")
    assert said == {"level": "ERROR", "logger": "snakepit.supervisor"}

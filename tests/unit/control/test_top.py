"""control.top and control.keys: looks once a second, until a key or the server's end."""

import os
import sys

import pytest

from snakepit.control import top as top_module
from snakepit.control.keys import pressed_keys
from snakepit.control.top import PATIENCE, Top, top
from snakepit.errors import ConfigError, SnakepitError

REQUESTS = [{"id": 40, "method": "GET", "path": "/slow"}]
STATE = {
    "time": 1.0,
    "in_flight": {"requests": REQUESTS},
    "server": {"pid": 7},
    "requests": 0,
    "errors": 0,
    "counted": True,
}


class Link:
    """A connection to the server that the test plays."""

    def __init__(self, server):
        self.server = server
        self.entry = type("Entry", (), {"key": 99})()

    def ask(self, command, **arguments):
        self.server.asked.append(command)
        if self.server.refuses:
            raise SnakepitError("reload: no\nwith a traceback")
        if command == "where":
            return {"stack": f"where {arguments['id']} is"}
        return {"state": STATE} if command == "state" else {"replaced": 2, "seconds": 0.5}

    def close(self):
        self.server.closed += 1


class Server:
    def __init__(self, monkeypatch):
        self.asked, self.which, self.closed, self.runs, self.refuses, self.now = [], [], 0, True, False, 0.0
        monkeypatch.setattr(top_module, "find", self.find)
        monkeypatch.setattr(top_module.time, "monotonic", lambda: self.now)

    def find(self, name, pid):
        self.which.append((name, pid))
        if not self.runs:
            raise ConfigError("no server runs for this folder\nbut others")
        return Link(self)


class Live:
    def __init__(self):
        self.shown = 0

    def update(self, screen, refresh):
        self.shown += 1


@pytest.fixture
def server(monkeypatch):
    return Server(monkeypatch)


def run(server, *keys, name=None, pid=None, meanwhile=lambda count: None):
    """Run with these keys; empty ones: a second passes."""
    it, live, left = Top(name, pid), Live(), list(keys)

    def wait_key(seconds):
        assert 0 <= seconds <= 1
        meanwhile(len(left))
        key = left.pop(0)
        if not key:
            server.now += 1
        return key

    it.look()
    it.run(live, wait_key)
    return it, live


def test_it_looks_once_a_second_until_a_key(server):
    it, live = run(server, "", "", "x", "q")
    assert server.asked == ["state"] * 4
    assert live.shown == 4
    assert server.closed == 4
    assert it.looks.state is STATE


def test_it_stays_with_the_server_that_it_found(server):
    run(server, "", "q")
    assert server.which == [(None, None), (None, 99), (None, 99)]
    server.which.clear()
    run(server, "", "q", name="shop")
    assert set(server.which) == {("shop", None)}


@pytest.mark.parametrize(
    ("refuses", "told"), [(False, "Reloaded 2 workers in 0.50 s"), (True, "Not reloaded: reload: no")]
)
def test_reloading(server, refuses, told):
    def meanwhile(left):
        server.refuses = refuses
        if left == 1 and it_reloads:
            it_reloads[0].join()

    it_reloads = []
    start = top_module.threading.Thread.start

    def started(thread):
        it_reloads.append(thread)
        start(thread)

    top_module.threading.Thread.start = started
    try:
        it, _ = run(server, "r", "q", meanwhile=meanwhile)
    finally:
        top_module.threading.Thread.start = start
    assert it.looks.told == told
    assert "reload" in server.asked


def test_where_a_request_is(server):
    it, _ = run(server, "1", "2", "q")
    assert it.looks.stack == ("GET /slow", "where 40 is")
    it, _ = run(server, "1", "0", "q")
    assert it.looks.stack == ("", "")
    it, _ = run(server, "1", "\x1b", "q")
    assert it.looks.stack == ("", "")
    assert server.asked.count("where") == 3


def test_where_a_request_was_that_is_over(server):
    def meanwhile(left):
        server.refuses = left == 2

    it, _ = run(server, "1", "q", meanwhile=meanwhile)
    assert it.looks.stack == ("GET /slow", "reload: no")


def test_a_server_that_is_being_started_again_is_waited_for(server):
    def meanwhile(left):
        server.runs = left not in (3, 4)

    it, _ = run(server, "", "", "", "", "", "q", meanwhile=meanwhile)
    assert it.looks.told == "The server does not answer; waiting for it"


def test_the_end_of_the_server(server):
    def meanwhile(left):
        server.runs = False

    with pytest.raises(SnakepitError, match=r"The server has ended \(no server runs for this folder\)"):
        run(server, *[""] * 20, meanwhile=meanwhile)
    assert PATIENCE < server.now < PATIENCE + 3


def test_no_server(server):
    server.runs = False
    with pytest.raises(ConfigError, match="no server runs"):
        top(None, None)


def test_without_rich(server, monkeypatch):
    monkeypatch.setattr(top_module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'snakepit-server\[top\]'"):
        top(None, None)
    assert server.asked == []


@pytest.mark.skipif(sys.platform == "win32", reason="no terminals like these")
def test_keys_come_one_by_one_and_the_terminal_is_as_before(monkeypatch):
    import termios

    ours, theirs = os.openpty()
    try:
        before = termios.tcgetattr(theirs)
        with os.fdopen(theirs, closefd=False) as terminal:
            monkeypatch.setattr(sys, "stdin", terminal)
            with pressed_keys() as wait_key:
                assert wait_key(0.0) == ""
                os.write(ours, b"rq")
                assert [wait_key(60.0), wait_key(60.0)] == ["r", "q"]
            assert termios.tcgetattr(theirs) == before
    finally:
        os.close(ours)
        os.close(theirs)


def test_where_there_is_no_terminal_there_are_no_keys(monkeypatch):
    with open(os.devnull, encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pressed_keys() as wait_key:
            assert wait_key(0.0) == ""

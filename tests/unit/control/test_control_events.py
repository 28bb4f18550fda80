"""snakepit.control.events: what is asked of servers and their successors, what is printed, and how it ends."""

import json
from types import SimpleNamespace

import pytest
from fakes import fake_of

from snakepit.control import client as link_module
from snakepit.control import commands
from snakepit.control import events as module
from snakepit.control.events import FOLLOWED, PATIENCE, events
from snakepit.errors import ConfigError, SnakepitError


def event(number, kind="scaled", text=None, count=1):
    moment = f"2026-03-04T10:{number:02}:00.000Z"
    text = text or f"event {number}"
    return {"number": number, "time": moment, "since": moment, "kind": kind, "count": count, "text": text}


@fake_of(link_module.ControlClient)
class Link:
    """A connection to the process that there is now, which gives these answers; what is no answer is raised."""

    version = "0.0.9"

    def __init__(self, world, answers):
        self.world = world
        self.entry = SimpleNamespace(pid=answers[0]["pid"], key=3)
        self.answers = list(answers)

    def ask(self, command, **arguments):
        self.world.asked.append((command, *arguments.values()))
        return self.wait_answer()

    def wait_answer(self):
        if not self.answers:
            raise SnakepitError("the server ended before it answered (pid 7)")
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self):
        pass


class World:
    """Has these answers on each connection. Time passes only where something waits."""

    def __init__(self, monkeypatch):
        self.links = []
        self.asked = []
        self.now = 100.0
        monkeypatch.setattr(commands, "find", self.find)
        monkeypatch.setattr(module, "find", self.find)
        monkeypatch.setattr(module, "time", self)
        monkeypatch.setattr(module.signal, "signal", lambda *which: None)

    def find(self, name, pid):
        if not self.links:
            raise ConfigError("no server runs with the pid 3")
        answers = self.links.pop(0)
        if not isinstance(answers, tuple):
            raise answers
        return Link(self, answers)

    def connects(self, *answers):
        self.links.append(answers)

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def answer(*found, pid=7, ended=False):
    return {"pid": pid, "events": list(found), "ended": ended}


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


def printed(capsys):
    out, err = capsys.readouterr()
    return [line.split("  ")[-1].strip() for line in out.splitlines()], err


def test_what_has_happened(world, capsys):
    world.connects(answer(*map(event, range(1, 21))))
    events(None, None, False, False, None, None)
    assert printed(capsys) == ([f"event {number}" for number in range(1, 21)], "")


@pytest.mark.parametrize(
    ("most", "since", "shown"),
    [(3, None, [4, 5, 6]), (0, None, []), (9, None, [1, 2, 3, 4, 5, 6]), (None, "2026-03-04T10:05:00.000Z", [5, 6])],
)
def test_some_of_it_as_json(world, capsys, most, since, shown):
    world.connects(answer(*map(event, range(1, 7))))
    events(most, since, False, True, None, None)
    assert [each["number"] for each in json.loads(capsys.readouterr().out)] == shown


def test_nothing_has_happened(world, capsys):
    world.connects(answer())
    events(None, None, False, False, None, None)
    assert printed(capsys) == (["No events"], "")


def test_what_follows_until_the_server_stops(world, capsys):
    world.connects(answer(*map(event, range(1, 21))))
    world.connects(answer(event(21)), answer(), answer(event(22, "stopping")), answer(event(23, "stopped"), ended=True))
    events(None, None, True, False, None, None)
    assert printed(capsys) == ([f"event {number}" for number in range(21 - FOLLOWED, 24)], "The server has stopped\n")
    assert world.asked == [("events",), ("follow-events", 20)]


def test_a_server_that_stopped_too_fast_to_say_so(world, capsys):
    world.connects(answer(event(1)))
    world.connects(answer(event(2, "stopping")))
    events(None, None, True, True, None, None)
    out, err = capsys.readouterr()
    assert [json.loads(line)["number"] for line in out.splitlines()] == [1, 2]
    assert err == "The server has stopped\n"
    assert world.now == 100.0


def test_one_that_is_stopping_when_it_is_asked(world, capsys):
    world.connects(answer(event(1, "stopping")))
    world.connects(answer(), answer(event(2, "stopped"), ended=True))
    events(None, None, True, False, None, None)
    assert printed(capsys) == (["event 1", "event 2"], "The server has stopped\n")


def test_another_process_that_takes_over(world, capsys):
    world.connects(answer(event(8)))
    world.connects(answer(event(9, "handed-over"), ended=True))
    world.connects(answer(event(1, "start"), event(2), pid=8), answer(event(3, "stopping"), pid=8, ended=True))
    events(None, None, True, False, None, None)
    assert printed(capsys)[0] == ["event 8", "event 9", "event 1", "event 2", "event 3"]
    assert world.asked[1:] == [("follow-events", 8), ("follow-events", 0)]


def test_a_process_that_died_and_another_that_comes(world, capsys):
    world.connects(answer(event(8)))
    world.connects(answer(event(9)))
    world.links += [ConfigError("the server does not answer")] * 3
    world.connects(answer(event(1, "start"), pid=8), answer(event(2, "stopping"), pid=8, ended=True))
    events(None, None, True, False, None, None)
    shown, err = printed(capsys)
    assert shown == ["event 8", "event 9", "event 1", "event 2"]
    assert err == "The server does not answer; waiting for it\nThe server has stopped\n"


def test_one_that_was_only_cut_off_tells_nothing_twice(world, capsys):
    world.connects(answer(event(8)))
    world.connects(answer(event(9)))
    world.connects(answer(event(10)), answer(event(11, "stopping"), ended=True))
    events(None, None, True, False, None, None)
    assert printed(capsys)[0] == ["event 8", "event 9", "event 10", "event 11"]
    assert world.asked[1:] == [("follow-events", 8), ("follow-events", 9)]


def test_a_server_that_is_gone(world, capsys):
    world.connects(answer(event(8)))
    with pytest.raises(SnakepitError, match=r"The server has ended \(no server runs with the pid 3\)"):
        events(None, None, True, False, None, None)
    assert world.now > 100 + PATIENCE


def test_ctrl_c(world, capsys):
    world.connects(answer(event(8)))
    world.connects(answer(event(9)), KeyboardInterrupt())
    events(None, None, True, False, None, None)
    assert printed(capsys) == (["event 8", "event 9"], "")


def test_no_server(world, capsys):
    with pytest.raises(SystemExit):
        events(None, None, True, False, None, None)
    assert printed(capsys) == ([], "Error: no server runs with the pid 3\n")

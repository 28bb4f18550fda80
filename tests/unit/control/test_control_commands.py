"""snakepit.control.commands: what is printed, and the exit status."""

import json
from types import SimpleNamespace

import pytest
from fakes import fake_of

from snakepit import __version__
from snakepit.control import client as link_module
from snakepit.control import commands
from snakepit.errors import ConfigError, SnakepitError


@fake_of(link_module.ControlClient)
class ControlClient:
    """A server that says what the test wants it to say."""

    def __init__(self, answer=None, error=None):
        self.entry = SimpleNamespace(pid=12, path="/nowhere/at/all")
        self.version = "0.0.9"
        self.asked = []
        self.closed = 0
        self.waited = 0
        self._answer, self._error = answer, error

    def ask(self, command, **arguments):
        self.asked.append((command, arguments))
        if self._error is not None:
            raise self._error
        return {"ok": True, **self._answer}

    def wait_closed(self):
        assert self.asked == [("stop", {})]
        self.waited += 1

    def close(self):
        self.closed += 1


@pytest.fixture
def server(monkeypatch):
    """Makes the server that is found."""

    def make(**how):
        link = ControlClient(**how)
        monkeypatch.setattr(commands, "find", lambda name, pid: link)
        return link

    return make


@pytest.mark.parametrize(
    ("command", "given", "answer", "asked", "printed"),
    [
        ("reload", (), {"replaced": 1, "seconds": 0.123}, ("reload", {}), "Reloaded 1 worker in 0.12 s\n"),
        ("reload", (), {"replaced": 4, "seconds": 12.0}, ("reload", {}), "Reloaded 4 workers in 12.00 s\n"),
        ("scale", (3,), {"workers": 3, "before": 1}, ("scale", {"workers": 3}), "3 workers, 1 before\n"),
        ("stop", (), {}, ("stop", {}), "Stopped, pid 12\n"),
        (
            "upgrade",
            (),
            {"pid": 13, "seconds": 1.5},
            ("upgrade", {}),
            "Upgraded in 1.50 s: pid 13 serves now, in place of 12\n",
        ),
    ],
)
def test_what_is_asked_and_printed(server, capsys, command, given, answer, asked, printed):
    link = server(answer=answer)
    getattr(commands, command)(*given, None, None)
    assert capsys.readouterr() == (printed, "")
    assert (link.asked, link.closed, link.waited) == ([asked], 1, int(command == "stop"))


def test_status_as_json(server, capsys):
    server(answer={"status": {"pid": 12, "workers": []}})
    commands.status(None, None, True)
    more = {"verdict": None, "load": None, "in_flight": None, "events": None}
    assert json.loads(capsys.readouterr().out) == {"pid": 12, "workers": [], **more}


@pytest.mark.parametrize("command", ["reload", "stop", "upgrade"])
def test_no_for_an_answer(server, capsys, command):
    link = server(error=SnakepitError("not today"))
    with pytest.raises(SystemExit) as caught:
        getattr(commands, command)(None, None)
    assert caught.value.code == 1
    assert capsys.readouterr() == ("", "Error: not today\n")
    assert (link.closed, link.waited) == (1, 0)


def test_no_such_server(monkeypatch, capsys):
    def find(name, pid):
        raise ConfigError(f"no server runs with the name {name!r}")

    monkeypatch.setattr(commands, "find", find)
    with pytest.raises(SystemExit) as caught:
        commands.reload("shop", None)
    assert caught.value.code == 2
    assert capsys.readouterr() == ("", "Error: no server runs with the name 'shop'\n")


def test_a_server_of_another_version(server, capsys):
    server(answer={"status": {"pid": 12}})
    with pytest.raises(SystemExit) as caught:
        commands.status(None, None, False)
    assert caught.value.code == 1
    assert capsys.readouterr() == (
        "",
        f"Error: the server is Snakepit 0.0.9, and says nothing of 'apps'; this command is {__version__}\n",
    )

"""snakepit.control.inspection: what the commands ask for, print and write."""

import json
import signal
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from snakepit.control import inspection
from snakepit.errors import ConfigError

WORKERS = [
    {"number": 1, "app": "a:b", "answered": True, "calls": [["/a.py", 1, "f"]], "samples": [["t", [0], 1.0]]},
    {"number": 2, "app": "a:b", "answered": False, "calls": [], "samples": []},
]


class Server:
    """Answers a command; the first profile is broken off by Ctrl+C."""

    entry = SimpleNamespace(pid=7)

    def __init__(self, interrupted=False):
        self.interrupted = interrupted
        self.asked = []

    def ask(self, command, **arguments):
        self.asked.append((command, arguments))
        if command == "profile" and self.interrupted:
            raise KeyboardInterrupt
        return {"workers": WORKERS}

    def wait_answer(self):
        return {"workers": WORKERS}


@pytest.fixture
def connect(monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)

    def connect(server):
        @contextmanager
        def connected(name, pid):
            server.asked.append((name, pid))
            yield server

        monkeypatch.setattr(inspection, "connected", connected)

    return connect


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_profile_is_written_also_after_ctrl_c(connect, interrupted, tmp_path, capsys):
    server, file = Server(interrupted), tmp_path / "p.json"
    connect(server)
    inspection.profile(5.0, str(file), 1, None, "shop", None)
    ended = [(None, 7), ("end-profile", {})] if interrupted else []
    assert server.asked == [("shop", None), ("profile", {"seconds": 5.0, "worker": 1}), *ended]
    assert len(json.loads(file.read_text(encoding="utf-8"))["profiles"]) == 1
    said = capsys.readouterr()
    assert said.out == f"{file} shows 1 thread; open it at https://www.speedscope.app\n"
    assert said.err == "Worker 2 of a:b did not answer; the profile lacks it\n"


def test_a_file_that_cant_be_written(connect, tmp_path):
    connect(Server())
    with pytest.raises(ConfigError, match="can't be written"):
        inspection.profile(5.0, str(tmp_path / "no" / "p.json"), None, None, None, None)

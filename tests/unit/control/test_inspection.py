"""snakepit.control.inspection: what the commands ask for, print and write."""

import json
import signal
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from snakepit.control import inspection
from snakepit.errors import ConfigError

SAMPLED = {"calls": [["/a.py", 1, "f"]], "kinds": ["app"], "samples": [["t", [0], 1.0]]}
NOTHING = {"calls": [], "kinds": [], "samples": []}
ANSWER = {
    "workers": [
        {"number": 1, "app": "a:b", "answered": True, "ended_after": None, **SAMPLED},
        {"number": 2, "app": "a:b", "answered": False, "ended_after": None, **NOTHING},
        {"number": 3, "app": "a:b", "answered": True, "ended_after": 2.04, **SAMPLED},
        {"number": 4, "app": "a:b", "answered": False, "ended_after": 0.5, **NOTHING},
    ],
    "main": SAMPLED,
}
SAID = """\
Worker 2 of a:b did not answer; the profile lacks it
Worker 3 of a:b ended after 2.0 s; the profile has what it did until then
Worker 4 of a:b ended after 0.5 s; the profile lacks it
"""


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
        return ANSWER

    def wait_answer(self):
        return ANSWER


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
    assert len(json.loads(file.read_text(encoding="utf-8"))["profiles"]) == 3
    said = capsys.readouterr()
    assert said.out == f"{file} shows 3 threads; open it at https://www.speedscope.app\n"
    assert said.err == SAID


def test_a_drawing(connect, tmp_path, capsys):
    file = tmp_path / "p.SVG"
    connect(Server())
    inspection.profile(5.0, str(file), "main", None, None, None)
    svg = ET.fromstring(file.read_text(encoding="utf-8"))
    assert svg.find("{http://www.w3.org/2000/svg}title").text == "snakepit profile, 4 workers"
    assert capsys.readouterr().out == f"{file} shows 3 threads; open it in a browser\n"


def test_a_file_that_cant_be_written(connect, tmp_path):
    connect(Server())
    with pytest.raises(ConfigError, match="can't be written"):
        inspection.profile(5.0, str(tmp_path / "no" / "p.json"), None, None, None, None)

"""snakepit.control.certificates: what is printed."""

import json
from contextlib import contextmanager

import pytest

from snakepit.control import certificates
from snakepit.errors import ConfigError

NOW = 1_700_000_000.0  # 2023-11-14T22:13:20Z
GOOD = {
    "name": "example.com",
    "state": "served",
    "issuer": "R1",
    "not_after": "2023-12-14T22:13:20Z",
    "next": "2023-11-14T22:13:50Z",
    "fault": None,
}
BAD = {
    "name": "www.example.com",
    "state": "failed",
    "issuer": None,
    "not_after": None,
    "next": "2023-11-14T22:12:20Z",
    "fault": "the CA is closed",
}


def test_a_table():
    assert certificates.render([GOOD, BAD], NOW).splitlines() == [
        "NAME             STATE   ISSUER  ENDS         NEXT LOOK",
        "example.com      served  R1      in 30 d 0 h  in 30 s",
        "www.example.com  failed                       1 min 0 s ago",
        "",
        "www.example.com: the CA is closed",
    ]
    assert certificates.render([], NOW) == "There are no certificates"


class Server:
    answer = None

    def __init__(self):
        self.asked = []

    def ask(self, command, **arguments):
        self.asked.append((command, arguments))
        return self.answer

    def close(self):
        pass


@pytest.fixture
def server(monkeypatch):
    found = Server()

    @contextmanager
    def connected(name, pid):
        yield found

    monkeypatch.setattr(certificates, "connected", connected)
    monkeypatch.setattr(certificates, "find", lambda name, pid: found)
    return found


def test_those_of_the_server(server, capsys):
    server.answer = {"certificates": [GOOD]}
    certificates.show(None, None, True, lambda: pytest.fail("the store is of no interest"))
    assert json.loads(capsys.readouterr().out) == [GOOD]


def test_those_of_the_store(server, monkeypatch, capsys):
    server.answer = {"certificates": []}
    certificates.show(None, None, True, lambda: [GOOD])

    def fail(name, pid):
        raise ConfigError("no server runs")

    monkeypatch.setattr(certificates, "find", fail)
    certificates.show(None, None, True, lambda: [GOOD])
    assert server.asked == [("certificates", {})]
    assert capsys.readouterr().out.count("example.com") == 2


def test_renewals(server, capsys):
    server.answer = {"renewed": [GOOD]}
    certificates.renew("example.com", None, None)
    assert capsys.readouterr().out == "example.com: renewed, until 2023-12-14T22:13:20Z\n"
    server.answer = {"renewed": [GOOD, BAD]}
    with pytest.raises(SystemExit) as raised:
        certificates.renew(None, None, None)
    assert raised.value.code == 1
    assert capsys.readouterr().err == "www.example.com: not renewed: the CA is closed\n"
    assert server.asked == [("renew-certificates", {"name": "example.com"}), ("renew-certificates", {"name": None})]

"""server.operate.debug_warning: louder where others can connect."""

import logging
import socket

import pytest
from fakes import fake_of

from snakepit.server.operate.debug_warning import warn_of_debug


@fake_of(socket.socket)
class FakeSocket:
    def __init__(self, name):
        self.name = name
        self.family = socket.AF_INET if isinstance(name, tuple) else socket.AF_UNIX

    def getsockname(self):
        return self.name


LOCAL = ["/run/a.sock", ("127.0.0.1", 1), ("127.9.0.1", 1), ("::1", 1, 0, 0)]


def levels(caplog, debug, names):
    warn_of_debug(logging.getLogger("t"), debug, [FakeSocket(name) for name in names])
    return [record.levelname for record in caplog.records]


def test_nothing_without_the_option(caplog):
    assert levels(caplog, [False, False], [("0.0.0.0", 1)]) == []


def test_on_this_machine(caplog):
    assert levels(caplog, [False, True], LOCAL) == ["WARNING"]


@pytest.mark.parametrize(("name", "shown"), [(("0.0.0.0", 80), "at 0.0.0.0:80."), (("::", 80, 0, 0), "at [::]:80."),
                                             (("fe80::1%eth0", 80, 0, 2), "at [fe80::1%eth0]:80.")])  # fmt: skip
def test_beyond_it(caplog, name, shown):
    assert levels(caplog, [True], [*LOCAL, name]) == ["WARNING", "ERROR"]
    assert shown in caplog.text

"""snakepit.system.systemd: messages to a service manager, here a socket of our own, and sockets from one."""

import os
import socket
import sys
from contextlib import suppress

import pytest
from waiting import PATIENCE

from snakepit.system import systemd

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="there is no systemd")


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract sockets")


@POSIX
@pytest.mark.parametrize("abstract", [False, pytest.param(True, marks=LINUX)])
def test_notifications(tmp_path, abstract):
    name = f"@snakepit-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        manager.settimeout(PATIENCE)
        environ = {"NOTIFY_SOCKET": name}
        notifier = systemd.Notifier(environ)
        assert environ == {}  # what the app starts must not speak for us
        for call, expected in [
            (notifier.ready, b"READY=1"),
            (notifier.stopping, b"STOPPING=1"),
            (notifier.alive, b"WATCHDOG=1"),
        ]:
            call()
            assert manager.recv(100) == expected
        notifier.reloading()
        first, second = manager.recv(100).split(b"\n")
        assert first == b"RELOADING=1"
        assert int(second.removeprefix(b"MONOTONIC_USEC=")) > 0


@LINUX
def test_a_manager_that_does_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(systemd, "PATIENCE", 0.001)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        notifier = systemd.Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        for _ in range(2000):
            notifier.alive()
        notifier.stopping()
        kept = []
        with suppress(BlockingIOError):
            while True:
                kept.append(manager.recv(100))
        assert set(kept) == {b"WATCHDOG=1"}
        assert len(kept) < 2000
        notifier.stopping()
        assert manager.recv(100) == b"STOPPING=1"


def test_without_a_manager_nothing_happens(tmp_path):
    systemd.Notifier({}).ready()
    systemd.Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 10.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 10.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),  # meant for another process
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_watchdog(environ, seconds):
    systemd.Notifier(environ)
    assert systemd.watchdog_seconds(environ) == seconds
    assert "WATCHDOG_PID" not in environ  # the server process has another


@pytest.mark.parametrize("environ", [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "1"}])
def test_sockets_for_another_process_are_left_alone(environ):
    before = dict(environ)
    assert systemd.take_sockets(environ) == []
    assert environ == before


@pytest.mark.parametrize("count", ["0", "many"])
def test_no_sockets(count):
    environ = {"LISTEN_FDS": count, "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": "http", "HOME": "/"}
    assert systemd.take_sockets(environ) == []
    assert environ == {"HOME": "/"}

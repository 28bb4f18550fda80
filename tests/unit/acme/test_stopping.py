"""snakepit.acme.stopping: a stop ends pauses, and reads of sockets."""

import socket
import threading

import pytest

from snakepit.acme.problems import AcmeStopped
from snakepit.acme.stopping import Stop


def test_before_and_after():
    stop = Stop()
    stop.check()
    stop.wait(0)
    stop.set()
    for call in (stop.check, lambda: stop.wait(60)):
        with pytest.raises(AcmeStopped, match="the server stops"):
            call()
    near, far = socket.socketpair()
    with near, far, pytest.raises(AcmeStopped), stop.cutting(near, 60):
        raise AssertionError


@pytest.mark.parametrize("how", ["stop", "time"])
def test_a_read_ends(how):
    stop = Stop()
    near, far = socket.socketpair()
    reading = threading.Event()
    found = []

    def read():
        with stop.cutting(near, 60 if how == "stop" else 0.01):
            reading.set()
            found.append(near.recv(1))

    with near, far:
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        assert reading.wait(60)
        if how == "stop":
            stop.set()
        thread.join()
    assert found == [b""]


def test_what_is_done_is_not_cut():
    stop = Stop()
    near, far = socket.socketpair()
    with near, far:
        with stop.cutting(near, 60):
            pass
        stop.set()
        far.send(b"x")
        assert near.recv(1) == b"x"

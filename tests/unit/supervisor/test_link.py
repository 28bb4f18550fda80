"""snakepit.supervisor.link: lines and sockets between two processes, here the two ends in one."""

import os
import socket
import sys
from contextlib import closing

import pytest

from snakepit.supervisor.link import ENVIRONMENT, HAND_OVER, LISTENING, READY, STOP, Link, Origin, is_supervised


@pytest.fixture
def ends():
    one, other = socket.socketpair()
    with closing(one), closing(other):
        yield Link(one), Link(other)


def test_lines(ends):
    one, other = ends
    one.send(READY)
    one.send(STOP, "15 1")
    assert other.receive() == [(READY, ""), (STOP, "15 1")]


@pytest.mark.parametrize("text", ["a reason", "two\nlines", "Grüße", "\udcff"])
def test_a_text_is_one_line(ends, text):
    one, other = ends
    one.send(HAND_OVER, text)
    one.send(READY)
    (word, came), last = other.receive()
    assert word == HAND_OVER
    assert "\n" not in came
    assert last == (READY, "")


def test_a_line_that_comes_in_pieces(ends):
    one, other = ends
    one.socket.sendall(b"sto")
    assert other.receive() == []
    one.socket.sendall(b"p 15 1\nrea")
    assert other.receive() == [(STOP, "15 1")]
    one.socket.sendall(b"dy\n")
    assert other.receive() == [(READY, "")]


def test_nothing_there(ends):
    one, _ = ends
    one.socket.setblocking(False)
    assert one.receive() == []


def test_the_other_end_has_gone(ends):
    one, other = ends
    other.close()
    assert one.receive() is None
    one.send(READY)  # and does no harm


def test_sockets_cross(ends):
    one, other = ends
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        one.send(LISTENING, sockets=[first, second], to=os.getpid())
        ((word, _),) = other.receive()
        assert word == LISTENING
        assert [sock.getsockname() for sock in other.sockets] == [first.getsockname(), second.getsockname()]
        assert not any(sock.get_inheritable() for sock in other.sockets)
        address = first.getsockname()
    with socket.create_connection(address):  # they are kept open
        pass
    for sock in other.sockets:
        sock.close()


def test_origin_is_told_by_the_environment_and_taken_out():
    environ = {ENVIRONMENT: str(Origin(5, 123, 2, True, 3, (6, 7))), "HOME": "/"}
    assert is_supervised(environ)
    origin = Origin.take(environ)
    assert (origin.link, origin.supervisor, origin.restarts, origin.takes_over, origin.workers) == (5, 123, 2, True, 3)
    assert list(origin.sockets) == [6, 7]
    assert environ == {"HOME": "/"}
    assert Origin.take(environ) is None


@pytest.mark.skipif(sys.platform == "win32", reason="has no file descriptors to lose")
def test_a_message_without_sockets_leaves_those_alone(ends):
    one, other = ends
    one.send(LISTENING)
    other.receive()
    assert other.sockets == []

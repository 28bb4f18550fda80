"""snakepit.system.send_queue, with a real socket."""

import os
import socket
import sys

import pytest

from snakepit.system.send_queue import send_queue


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_what_the_other_side_has_not_taken():
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listening.getsockname())
        server, _ = listening.accept()
        with server:
            assert send_queue(server.fileno()) == 0
            server.setblocking(False)
            written = server.send(b"x" * 1_000_000)
            held = send_queue(server.fileno())
            assert 0 < held < written
            client.settimeout(60)
            read = 0
            while read < written:
                read += len(client.recv(written))
            while send_queue(server.fileno()):  # until it is acknowledged
                pass


def test_a_closed_one():
    with socket.socket() as sock:
        number = os.dup(sock.fileno())
    os.close(number)
    assert send_queue(number) == 0


def test_other_systems(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert send_queue(-1) == 0

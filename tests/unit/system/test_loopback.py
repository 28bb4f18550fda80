"""snakepit.system.loopback: which addresses are of this machine alone."""

import socket

import pytest

from snakepit.system.loopback import is_local, is_loopback


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("::ffff:10.0.0.1", False),
        ("10.0.0.1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_addresses(address, expected):
    assert is_loopback(address) == expected


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.1", True), ("", False)])
def test_sockets(host, expected):
    with socket.socket() as sock:
        sock.bind((host, 0))
        assert is_local(sock) == expected


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there are none")
def test_unix_sockets():
    with socket.socket(socket.AF_UNIX) as sock:
        assert is_local(sock)

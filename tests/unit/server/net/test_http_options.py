"""snakepit.server.net.options: what follows from the options for all connections."""

import pytest

from snakepit.config.options import Config
from snakepit.errors import RemoteProtocolError
from snakepit.http.fields import render
from snakepit.server.net.options import HttpOptions

REQUEST = b"POST / HTTP/1.1\r\nHost: t\r\nX-One: %b\r\nContent-Length: 9\r\n\r\nabcdefghi" % (b"x" * 1024)


def options(**given):
    return HttpOptions(Config("app:app", **{"date_header": False, "server_header": False} | given))


def test_times():
    made = options(timeout_keep_alive=3.0, timeout_request_head=4.0, ws_ping_interval=5.0, ws_ping_timeout=6.0)
    assert (made.keep_alive_seconds, made.head_seconds) == (3.0, 4.0)
    assert (made.ping_seconds, made.pong_seconds) == (5.0, 6.0)
    assert not made.never_idle


def test_no_times():
    made = options(timeout_keep_alive=0.0, ws_ping_interval=0.0, ws_ping_timeout=0.0)
    assert made.never_idle
    assert (made.ping_seconds, made.pong_seconds) == (None, None)


def events(**given):
    protocol = options(**given).new_protocol()
    return protocol.receive_data(REQUEST)


@pytest.mark.parametrize(
    "limit", [{"limit_request_head": 1024}, {"limit_request_fields": 2}, {"limit_request_body": 8}], ids=str
)
@pytest.mark.parametrize("http", ["h11", "httptools"])
def test_limits_reach_the_parser(http, limit):
    assert events(http=http)
    with pytest.raises(RemoteProtocolError):
        events(http=http, **limit)


def test_fields_of_the_servers_own():
    plain = render([(b"a", b"b")])
    assert options().common_lines(plain) == b""
    lines = options(server_header=True, header=["X-One: 1"]).common_lines(plain)
    assert b"server: snakepit\r\n" in lines.lower()
    assert b"x-one: 1\r\n" in lines.lower()


def test_compression_is_an_option():
    assert options(ws_per_message_deflate=True).new_deflate() is not None
    assert options(ws_per_message_deflate=False).new_deflate() is None
    assert options(ws="none").websockets is False
    assert options().websockets is True


@pytest.mark.parametrize(
    ("given", "peer", "read"),
    [
        ({}, ("127.0.0.1", 1), True),
        ({}, ("10.0.0.1", 1), False),
        ({"forwarded_allow_ips": "10.0.0.1"}, ("10.0.0.1", 1), True),
        ({"forwarded_allow_ips": "10.0.0.1"}, ("127.0.0.1", 1), False),
        ({"forwarded_allow_ips": "*"}, None, True),
        ({"proxy_headers": False}, ("127.0.0.1", 1), False),
    ],
)
def test_whose_proxy_headers_are_read(given, peer, read):
    assert (options(**given).proxy_headers_of(peer) is not None) is read

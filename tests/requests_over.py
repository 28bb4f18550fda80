"""Requests that are over, for tests of what is told of them."""

from clients import FakeClient
from sinks import FakeDestination

from snakepit.http.events import RequestHead
from snakepit.server.exchanges.watched import WatchedExchange

HEADERS = [(b"user-agent", b'a "b" \\c'), (b"referer", b"http://x/\xe9"), (b"x-a", b"1"), (b"x-a", b"2")]

MOMENT = 1767225600.5
"""When they were over, in seconds since 1970."""


def request_over(
    peer=("10.0.0.1", 5000),
    headers=HEADERS,
    target=b"/a%20b?c=d?e",
    length=7,
    status=404,
    served_by="worker 3 of shop",
    assigned_at=100.0 + 1 / 1024,
    left=False,
):
    """Make an exchange that took 2 s, and before that waited for 1/1024 s."""
    exchange = WatchedExchange(1, FakeClient(), FakeDestination(), RequestHead("GET", target, "1.1", headers, False))
    exchange.endpoints = peer, None, "https", None, None
    exchange.began, exchange.assigned_at, exchange.ended_at = 100.0, assigned_at, 102.0 + 1 / 1024
    exchange.fields = b"content-type: text/plain\r\nX-B: 3\r\n", 0, None
    exchange.status, exchange.served_by, exchange._body_sent = status, served_by, length
    exchange.client_left = left
    exchange.request_id = next((value for name, value in headers if name == b"x-request-id"), b"")
    return exchange

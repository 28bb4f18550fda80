"""snakepit.server.apps.body_limit: which bodies an app of several gets."""

import pytest
from clients import FakeClient
from fakes import fake_of

from snakepit.http.events import RequestHead
from snakepit.server.apps.body_limit import BodyLimit
from snakepit.server.exchanges.exchange import Destination, Exchange
from snakepit.server.lifecycle import ExchangeState
from snakepit.wire.envelopes import BODY, DISCONNECT, KIND, REQUEST


@fake_of(Destination)
class Queue:
    """Gives each exchange to a worker at once, which keeps what it gets."""

    interface = "asgi"

    def __init__(self):
        self.posted = []

    def submit(self, exchange):
        exchange.assigned_to(self, "worker 1")

    def withdraw(self, exchange):
        raise AssertionError("nothing waits")

    def post(self, envelope, large=False):
        self.posted.append(envelope[KIND])


def submit(limit, body=b"", more=False, length=None):
    headers = [] if length is None else [(b"content-length", b"%d" % length)]
    queue = Queue()
    limited = BodyLimit(limit, queue)
    assert limited.interface == "asgi"
    exchange = Exchange(
        1, client := FakeClient(), limited, RequestHead("POST", b"/", "1.1", headers, False, body=body, more=more)
    )
    limited.submit(exchange)
    return exchange, client, queue


@pytest.mark.parametrize(
    ("body", "more", "length"),
    [(b"", False, None), (b"12345", False, 5), (b"12", True, 5), (b"", True, 5), (b"12345", False, None)],
)
def test_what_is_not_too_large_goes_on(body, more, length):
    exchange, client, queue = submit(5, body, more, length)
    assert queue.posted == [REQUEST]
    assert client.sent == []
    assert exchange.destination is queue


@pytest.mark.parametrize(("body", "more", "length"), [(b"123456", False, 6), (b"", True, 6), (b"123456", True, None)])
def test_what_is_too_large_at_once(body, more, length):
    exchange, client, queue = submit(5, body, more, length)
    assert queue.posted == []
    assert (client.status, client.body) == (413, b"the request's body is longer than 5 bytes")
    assert exchange.state is ExchangeState.CLOSED


def test_what_becomes_too_large():
    exchange, client, queue = submit(5, b"12", more=True)
    exchange.add_body(b"345", more=True)
    assert (queue.posted, client.sent) == ([REQUEST, BODY], [])
    exchange.add_body(b"6", more=True)
    assert queue.posted == [REQUEST, BODY, DISCONNECT]
    assert client.status == 413
    exchange.add_body(b"7", more=False)
    assert queue.posted == [REQUEST, BODY, DISCONNECT]


def test_while_the_app_answers():
    exchange, client, queue = submit(5, b"12345", more=True)
    exchange.respond(200, (b"", 0), b"begun", True)
    exchange.add_body(b"6", more=True)
    assert client.broken
    assert queue.posted == [REQUEST, DISCONNECT]

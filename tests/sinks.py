"""Where requests go in the main interpreter, without workers: ends that keep what is posted, and destinations."""

from clients import FakeClient
from fakes import fake_of

from snakepit.http.events import RequestHead
from snakepit.server.exchanges.exchange import Destination, Exchange
from snakepit.server.exchanges.sink import EnvelopeSink
from snakepit.wire.codec import encode
from snakepit.wire.envelopes import CREDIT

NUMBER = 7
"""Of the exchanges that `make` makes."""


@fake_of(EnvelopeSink)
class FakeEnd:
    """Keeps what is posted."""

    def __init__(self):
        self.posted = []

    def post(self, envelope, large=False):
        encode([envelope])  # raises for what could not cross
        self.posted.append(envelope)

    def of(self, kind):
        return [envelope for envelope in self.posted if envelope[0] == kind]

    @property
    def credit(self):
        return sum(amount for _, _, amount in self.of(CREDIT))


@fake_of(Destination)
class FakeDestination:
    """Keeps who left; it is the test that gives exchanges to workers."""

    interface = "asgi"

    def __init__(self):
        self.withdrawn = []

    def submit(self, exchange):
        raise AssertionError("an exchange does not submit itself")

    def withdraw(self, exchange):
        self.withdrawn.append(exchange)


def make(body=b"", more=False, expects_continue=False):
    """Return a new exchange whose request has come, its client, and its destination."""
    client, line = FakeClient(), FakeDestination()
    head = RequestHead("POST", b"/a", "1.1", [(b"host", b"t")], expects_continue, body=body, more=more)
    exchange = Exchange(NUMBER, client, line, head)
    return exchange, client, line

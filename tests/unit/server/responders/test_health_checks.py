"""server.responders.health: what is answered to whom, and when."""

import json

import pytest
from clients import FakeClient
from fakes import fake_of

from snakepit.http.events import RequestHead
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.responders.health import AppHealth, Health, HealthChecks, Readiness


@fake_of(Readiness)
class FakeReadiness:
    def __init__(self):
        self.asking = []

    def ask(self, told):
        self.asking.append(told)


class Asked:
    def __init__(self):
        self.readiness = FakeReadiness()
        self.checks = HealthChecks("/livez", "/readyz", self.readiness)

    def ask(self, target, method="GET", accept=()):
        head = RequestHead(method, target, "1.1", [(b"accept", value) for value in accept], False)
        assert self.checks.takes(head)
        exchange = Exchange(1, client := FakeClient(), self.checks, head)
        self.checks.submit(exchange)
        return exchange, client


GOOD, BAD = AppHealth("/", True), AppHealth("/shop", False, "no worker reacts")


@pytest.mark.parametrize(
    ("target", "taken"),
    [
        (b"/livez", True),
        (b"/readyz?a=b", True),
        (b"http://t/livez", True),
        (b"/livez/", False),
        (b"/", False),
        (b"*", False),
        (b"/LIVEZ", False),
    ],
)
def test_what_it_takes(target, taken):
    assert Asked().checks.takes(RequestHead("GET", target, "1.1", [], False)) is taken


def test_a_path_that_is_none_takes_nothing():
    checks = HealthChecks("", "/readyz", FakeReadiness())
    assert not checks.takes(RequestHead("GET", b"", "1.1", [], False))
    assert not checks.takes(RequestHead("GET", b"/livez", "1.1", [], False))


def test_it_is_alive_and_asks_nobody():
    asked = Asked()
    _, client = asked.ask(b"/livez")
    assert (client.status, client.body, asked.readiness.asking) == (200, b"alive\n", [])


@pytest.mark.parametrize(
    ("health", "status", "text"),
    [
        (Health([GOOD]), 200, b"ready\n"),
        (Health(), 200, b"ready\n"),
        (Health([GOOD, BAD]), 503, b"not ready\n/shop: no worker reacts\n"),
        (Health(reason="the server is stopping"), 503, b"not ready\nthe server is stopping\n"),
    ],
)
def test_whether_it_is_ready(health, status, text):
    asked = Asked()
    _, client = asked.ask(b"/readyz")
    assert not client.begun
    asked.readiness.asking[0](health)
    assert (client.status, client.body) == (status, text)


@pytest.mark.parametrize(
    ("accept", "is_json"),
    [
        ([b"application/json"], True),
        ([b"text/html, Application/JSON;q=0.8"], True),
        ([b"text/plain", b"application/json"], True),
        ([b"application/json;q=0"], False),
        ([b"application/json; q=0.000"], False),
        ([b"application/jsonx, */*"], False),
        ([], False),
    ],
)
def test_json_for_those_who_name_it(accept, is_json):
    asked = Asked()
    _, client = asked.ask(b"/readyz", accept=accept)
    asked.readiness.asking[0](Health([BAD]))
    assert client.status == 503
    if is_json:
        app = {"name": "/shop", "ready": False, "reason": "no worker reacts"}
        assert json.loads(client.body) == {"status": "not ready", "reason": "", "apps": [app]}
    else:
        assert client.body.startswith(b"not ready\n")


def test_other_methods():
    asked = Asked()
    for target in (b"/livez", b"/readyz"):
        exchange, client = asked.ask(target, "POST")
        assert (client.status, exchange.answered) == (405, True)
        _, client = asked.ask(target, "HEAD")
    asked.readiness.asking.pop()(Health())
    assert (client.status, client.body) == (200, b"")


def test_a_client_that_has_gone_gets_nothing():
    asked = Asked()
    exchange, client = asked.ask(b"/readyz")
    exchange.client_gone()
    asked.readiness.asking[0](Health())
    assert not client.begun

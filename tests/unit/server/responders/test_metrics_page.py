"""server.responders.metrics: who gets what is written, and in which form."""

import pytest
from clients import FakeClient

from snakepit.http.events import RequestHead
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.responders.metrics import MetricsPage


def ask(target=b"/metrics", method="GET", headers=()):
    page = MetricsPage("/metrics", lambda accept: ("text/plain", f"for {accept}\n".encode()), lambda told: told())
    head = RequestHead(method, target, "1.1", list(headers), False)
    if not page.takes(head):
        return None
    page.submit(Exchange(1, client := FakeClient(), page, head))
    return client.status, client.body


@pytest.mark.parametrize("target", [b"/metrics", b"/metrics?name=a", b"http://t/metrics"])
def test_its_path(target):
    assert ask(target) == (200, b"for \n")


@pytest.mark.parametrize("target", [b"/metrics/", b"/", b"/metric"])
def test_other_paths(target):
    assert ask(target) is None


def test_what_is_accepted():
    assert ask(headers=[(b"accept", b"a/b;q=1"), (b"host", b"t"), (b"accept", b"c/d")]) == (200, b"for a/b;q=1,c/d\n")


def test_methods():
    assert ask(method="HEAD") == (200, b"")
    assert ask(method="POST")[0] == 405


@pytest.mark.parametrize("stays", [True, False])
def test_it_answers_when_all_is_gathered(stays):
    gathering = []
    page = MetricsPage("/metrics", lambda accept: ("text/plain", b"all"), gathering.append)
    exchange = Exchange(1, client := FakeClient(), page, RequestHead("GET", b"/metrics", "1.1", [], False))
    page.submit(exchange)
    assert not client.begun
    if not stays:
        exchange.client_gone()
    gathering[0]()
    assert client.begun is stays

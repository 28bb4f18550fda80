"""server.responders.reload_pages, behind a router, and exchanges with clients that only keep what they get."""

import pytest
from clients import FakeClient
from hypothesis import given
from hypothesis import strategies as st
from sinks import FakeDestination

from snakepit.http.events import RequestHead
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.lifecycle import ExchangeState
from snakepit.server.responders.reload_pages import ReloadPages
from snakepit.server.routing.router import Router

EVENTS = "/__snakepit__/reload"


class Browser:
    """Asks, and keeps the answers."""

    def __init__(self):
        self.app = FakeDestination()
        self.pages = ReloadPages("abcd")
        self.router = Router(self.app, [self.pages])
        self.number = 0

    def ask(self, target, method="GET", upgrade=False):
        self.number += 1
        head = RequestHead(method, target.encode("latin-1"), "1.1", [], False, upgrade=upgrade)
        exchange = Exchange(self.number, FakeClient(), self.router.find(head), head)
        if exchange.destination is self.pages:
            self.pages.submit(exchange)
        return exchange

    def wait(self, version):
        return self.ask(f"{EVENTS}?{version}")


@pytest.fixture
def it():
    return Browser()


def said(exchange):
    return exchange._client.body.decode()


def over(exchange):
    return exchange._client.complete


@pytest.mark.parametrize("prefix", ["", "/shop", "http://example.com"])
def test_the_script(it, prefix):
    exchange = it.ask(f"{prefix}/__snakepit__/reload.js?abcd.0")
    assert exchange._client.status == 200
    assert over(exchange)
    assert "EventSource" in said(exchange)


@pytest.mark.parametrize(
    ("target", "method", "upgrade"),
    [
        ("/", "GET", False),
        ("/__snakepit__/", "GET", False),
        (EVENTS, "POST", False),
        (EVENTS, "GET", True),
        ("/?" + EVENTS, "GET", False),
    ],
)
def test_the_rest_is_the_apps(it, target, method, upgrade):
    exchange = it.ask(target, method, upgrade)
    assert exchange.destination is it.app
    assert exchange.state is ExchangeState.NEW


def test_a_page_of_the_newest_version_waits_for_a_newer_one(it):
    exchange = it.wait("abcd.0")
    assert (said(exchange), over(exchange), it.pages.waiting) == (": waiting\n\n", False, 1)
    it.pages.announce(1)
    assert said(exchange) == ": waiting\n\nevent: newer\ndata: abcd.1\n\n"
    assert over(exchange)
    assert exchange.state is ExchangeState.CLOSED
    assert it.pages.waiting == 0


@pytest.mark.parametrize("version", ["abcd.2", "before.3", "before.9", "", "abcd", "\xff.1"])
def test_an_older_page_hears_at_once(it, version):
    it.pages.announce(3)
    exchange = it.wait(version)
    assert said(exchange).endswith("event: newer\ndata: abcd.3\n\n")
    assert over(exchange)
    assert it.pages.waiting == 0


@pytest.mark.parametrize("version", ["abcd.3", "abcd.4", "abcd.x", "abcd.", "abcd." + "1" * 5000])
def test_any_other_waits(it, version):
    it.pages.announce(3)
    assert not over(it.wait(version))


def test_a_page_of_a_version_that_is_coming_waits_until_that_has_passed(it):
    ahead, here = it.wait("abcd.1"), it.wait("abcd.0")
    it.pages.announce(1)
    assert (over(ahead), over(here)) == (False, True)
    it.pages.announce(2)
    assert over(ahead)


def test_a_browser_that_goes_is_forgotten(it):
    exchange = it.wait("abcd.0")
    exchange.client_gone()
    assert it.pages.waiting == 0
    it.pages.announce(1)
    assert said(exchange) == ": waiting\n\n"


def test_a_browser_that_goes_while_it_is_answered(it):
    exchange = it.wait("abcd.0")
    exchange._client.send_body = lambda data, more: exchange.client_gone()
    other = it.wait("abcd.0")
    it.pages.announce(1)
    assert over(other)
    assert exchange.state in (ExchangeState.ABANDONED, ExchangeState.CLOSED)


def test_the_end(it):
    exchange = it.wait("abcd.0")
    it.pages.close()
    assert over(exchange)
    assert "newer" not in said(exchange)
    late = it.wait("abcd.0")
    assert late._client.status == 503
    assert it.pages.waiting == 0


@given(st.text(st.characters(max_codepoint=255)).filter(lambda text: "?" not in text))
def test_any_version(version):
    exchange = Browser().wait(version)
    assert exchange._client.status == 200

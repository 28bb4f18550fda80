"""server.monitor.monitoring and server.net.services: which responders there are, and where, by the options."""

import asyncio
import logging

import pytest
from clients import FakeClient
from sinks import FakeDestination

from snakepit.config.options import Config
from snakepit.errors import ConfigError
from snakepit.http.events import RequestHead
from snakepit.server.exchanges.exchange import Exchange
from snakepit.server.exchanges.watched import WatchedExchange
from snakepit.server.monitor import monitoring as monitoring_module
from snakepit.server.monitor.monitoring import Monitoring
from snakepit.server.net.http1 import HttpConnections
from snakepit.server.responders.health import HealthChecks
from snakepit.server.responders.metrics import MetricsPage
from snakepit.server.responders.refusal import Refusal
from snakepit.server.routing.router import Router


class Apps:
    """No apps."""

    lasting = ()

    def __iter__(self):
        return iter(())


class World:
    def __init__(self, loop, **options):
        config = Config("app:app", **options)
        self.app = FakeDestination()
        self.loop = loop
        self.router = Router(self.app)
        self.http = HttpConnections(config, self.router, self.loop)
        self.monitoring = Monitoring(config, Apps(), self.http, 0, None, self.loop)

    def who(self, path, finder=None):
        finder = finder or self.monitoring.first(self.router)
        return finder.find(RequestHead("GET", path, "1.1", [], False))


@pytest.fixture
def make():
    made, loop = [], asyncio.new_event_loop()

    def make(**options):
        made.append(World(loop, **options))
        return made[-1]

    yield make
    for world in made:
        world.monitoring.close()
        world.http.close()
    loop.close()


def test_without_options_nothing_stands_before_the_apps(make):
    world = make()
    assert world.monitoring.first(world.router) is world.router
    assert (world.http.http_exchange, world.monitoring.health) == (Exchange, ())
    world.monitoring.start()


def test_health_costs_exchanges_nothing(make):
    world = make(health=True)
    assert isinstance(world.who(b"/readyz"), HealthChecks)
    assert world.who(b"/") is world.app
    assert world.http.http_exchange is Exchange


def test_metrics_on_the_sockets_of_apps(make):
    world = make(metrics="/metrics", livez="/alive")
    assert isinstance(world.who(b"/metrics"), MetricsPage)
    assert isinstance(world.who(b"/alive"), HealthChecks)
    [health] = world.monitoring.health
    assert not health.takes(RequestHead("GET", b"/metrics", "1.1", [], False)), "not on every socket"
    exchange = world.http.new_exchange(FakeClient(), RequestHead("GET", b"/", "1.1", [], False), None)
    assert isinstance(exchange, WatchedExchange)
    assert world.http.beside(world.router).http_exchange is world.http.http_exchange


def test_metrics_on_a_socket_of_their_own(make):
    world = make(metrics_bind="127.0.0.1:9100", health=True)
    assert world.who(b"/metrics") is world.app
    there = world.monitoring.for_metrics
    assert isinstance(world.who(b"/metrics", there), MetricsPage)
    assert isinstance(world.who(b"/readyz", there), HealthChecks)
    assert isinstance(world.who(b"/", there), Refusal)


def test_requests_for_metrics_and_health_do_not_count(make):
    world = make(metrics="/metrics", health=True)
    meter = world.monitoring.counters
    assert meter in world.http.http_exchange.watchers
    assert meter.tally_of(world.who(b"/metrics")) is meter.tally_of(world.who(b"/livez")) is None
    assert meter.tally_of(world.app) is not None


@pytest.mark.parametrize("logged", [False, True])
def test_requests_for_metrics_and_health_are_logged_if_that_is_asked_for(make, logged):
    world = make(metrics="/metrics", health=True, access_log_health=logged)
    added = FakeResponder()
    world.monitoring.add(added)
    assert {world.who(path).is_logged for path in (b"/metrics", b"/livez")} == {added.is_logged} == {logged}


def test_metrics_and_the_log_see_the_same_exchanges(make, caplog):
    caplog.set_level(logging.INFO, "snakepit.access")
    world = make(metrics="/metrics", log_format="json")
    assert len(world.http.http_exchange.watchers) == len(world.http.websocket_exchange.watchers) == 2
    assert world.http.http_exchange.busyness is world.monitoring.counters


class FakeResponder(FakeDestination):
    """Takes nothing."""

    is_logged = True

    def takes(self, head):
        return False


def test_what_is_not_installed(make, monkeypatch):
    monkeypatch.setattr(monitoring_module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'snakepit-server\[metrics\]'"):
        make(metrics="/metrics")
    assert make(health=True).monitoring.health, "needs nothing"

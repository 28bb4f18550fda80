"""snakepit.server.net.annotated: what is added to responses, and by which kind of connections."""

import re

import pytest
from clients import request
from connections import HANDSHAKE, play
from waiting import turn

from snakepit.config.options import Config
from snakepit.http.fields import NONE
from snakepit.server.net.annotated import AnnotatedConnection, connections_for
from snakepit.server.net.http1 import Connection
from snakepit.server.routing.router import Router
from snakepit.wire import envelopes


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, Connection),
        ({"log_format": "json"}, Connection),
        ({"request_id": True}, AnnotatedConnection),
        ({"server_timing": True}, AnnotatedConnection),
    ],
)
def test_kinds(options, kind):
    async def scenario(world):
        config = Config("app:app", **options)
        first = connections_for(config)(config, Router(world.pool), world.loop)
        second = first.beside(Router(world.pool))
        assert type(first.new_connection()) is type(second.new_connection()) is kind
        first.close()
        second.close()

    play(scenario)


def test_ids():
    async def scenario(world):
        client = world.connect()
        client.send(request("/"))
        world.app.answer()
        [made] = re.findall(rb"^x-request-id: ([0-9a-f]{32})\r$", client.received, re.M)
        assert made in [value for name, value in world.app.exchange.head.headers if name == b"x-request-id"]
        client.received = b""
        client.send(request("/"))
        world.app.answer(200, [(b"X-Request-ID", b"mine")])
        assert re.findall(rb"^x-request-id: (.*)\r$", client.received, re.M | re.I) == [b"mine"]
        client.received = b""
        client.send(HANDSHAKE)
        world.app.exchange.handle(envelopes.accept(world.app.exchange.number, None, NONE))
        await turn()
        assert client.received.startswith(b"HTTP/1.1 101 ")
        assert client.received.lower().count(b"x-request-id: ") == 1

    play(scenario, request_id=True)


def test_times():
    async def scenario(world):
        client = world.connect()
        client.send(request("/"))
        world.app.answer()
        found = re.findall(rb"^server-timing: queue;dur=([0-9.]+), app;dur=([0-9.]+)\r$", client.received, re.M)
        [(queue, app)] = found
        assert 0 <= float(queue) < 60_000
        assert 0 <= float(app) < 60_000
        world.pool.mode = "refuse"
        client.send(request("/"))
        assert b"503" in client.received
        assert client.received.count(b"server-timing") == 1, "no worker had the second"
        assert b"x-request-id" not in client.received

    play(scenario, server_timing=True)

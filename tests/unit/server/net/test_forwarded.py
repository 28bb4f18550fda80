"""snakepit.server.net.forwarded, on connections: of which request they tell what to the app and the logs."""

import logging
import socket

import pytest
from clients import request
from connections import HANDSHAKE, Peer, play
from waiting import turn

from snakepit.http.fields import NONE
from snakepit.wire import envelopes

ALL = ["X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Prefix: /api"]


def told(app):
    """What the app's worker is told: client, server, scheme, root path, TLS."""
    envelope = app.posted[0]
    return *envelope[6:9], *envelope[12:]


PROXY = "10.0.0.1", 5000
DIRECT = PROXY, ("127.0.0.1", 8000), "http", None, None
SEEN = ("203.0.113.9", 0), ("127.0.0.1", 8000), "https", "/api", None
TRUSTING = {"forwarded_allow_ips": PROXY[0]}


@pytest.mark.parametrize("http", ["h11", "auto"])
@pytest.mark.parametrize(
    ("options", "seen"),
    [
        (TRUSTING, SEEN),
        ({}, DIRECT),
        ({"forwarded_allow_ips": ""}, DIRECT),
        (TRUSTING | {"proxy_headers": False}, DIRECT),
    ],
)
def test_a_request(options, seen, http):
    async def scenario(world):
        client = world.connect(peername=PROXY)
        client.send(request(headers=ALL))
        assert told(world.app) == seen

    play(scenario, http=http, **options)


@pytest.mark.parametrize("http", ["h11", "auto"])
def test_each_request_on_a_connection_has_its_own(http):
    async def scenario(world):
        client = world.connect(peername=PROXY)
        heads = [ALL, ALL, [], ["X-Forwarded-For: 203.0.113.8"], ["Expect: 100-continue", *ALL], []]
        for headers in heads:
            client.send(request(headers=headers, body=b"x"))
            world.app.answer()
        # pipelined, too
        client.send(b"".join(request(headers=headers, body=b"x") for headers in heads))
        for _ in heads:
            world.app.answer()
            await turn()
        other = ("203.0.113.8", 0), ("127.0.0.1", 8000), "http", None, None
        assert [told(app) for app in world.pool.apps] == [SEEN, SEEN, DIRECT, other, SEEN, DIRECT] * 2

    play(scenario, http=http, **TRUSTING)


def test_a_peer_that_is_not_trusted_and_sends_the_same():
    async def scenario(world):
        for peer, seen in ((PROXY, SEEN), (("10.0.0.7", 1), (("10.0.0.7", 1), *DIRECT[1:]))) * 2:
            world.connect(peername=peer).send(request(headers=ALL))
            assert told(world.app) == seen

    play(scenario, **TRUSTING)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs Unix sockets")
@pytest.mark.parametrize(
    ("trusted", "client"), [("unix:", ("203.0.113.9", 0)), ("*", ("203.0.113.9", 0)), ("::1", None)]
)
def test_on_a_unix_socket(trusted, client):
    async def scenario(world):
        world.connect(family=socket.AF_UNIX, peername="").send(request(headers=ALL))
        assert told(world.app)[0] == client

    play(scenario, forwarded_allow_ips=trusted)


def test_a_peer_that_is_gone_is_not_taken_for_one_on_a_unix_socket():
    async def scenario(world):
        world.connect(peername=None).send(request(headers=ALL))
        assert told(world.app)[0] is None

    play(scenario, forwarded_allow_ips="unix:")


def test_a_websocket():
    async def scenario(world):
        peer = Peer(world, accepts=False, peername=PROXY, headers=ALL)
        assert told(world.app) == (*SEEN[:2], "wss", "/api", None)
        peer.session.handle(envelopes.accept(peer.session.number, None, NONE))
        assert "203.0.113.9:0" in repr(peer.connection)

    play(scenario, **TRUSTING)


# -- the logs --------------------------------------------------------------------------------------------------------


@pytest.fixture
def lines(caplog):
    """What is logged, as it comes."""
    loggers = [logging.getLogger(name) for name in ("snakepit.access", "snakepit.server")]
    for logger in loggers:
        caplog.set_level(logging.INFO, logger.name)
        logger.addHandler(caplog.handler)
    yield lambda: sorted({record.getMessage() for record in caplog.records})
    for logger in loggers:
        logger.removeHandler(caplog.handler)


def test_the_access_log(lines):
    async def scenario(world):
        client = world.connect(peername=PROXY)
        client.send(request("/1", headers=ALL))
        world.app.answer(404)
        client.send(request("/2"))
        world.app.answer()
        Peer(world, peername=PROXY, headers=ALL)
        await turn()

    play(scenario, access_log=True, **TRUSTING)
    assert lines() == [
        '10.0.0.1:5000 - "GET /2 HTTP/1.1" 200',
        '203.0.113.9:0 - "GET /1 HTTP/1.1" 404',
        '203.0.113.9:0 - "GET /ws HTTP/1.1" 101',
    ]


def test_a_fault_that_comes_to_light_during_the_next_request(lines):
    async def scenario(world):
        client = world.connect(peername=PROXY)
        client.send(request("/1", headers=ALL))
        app = world.app
        app.respond()
        client.send(request("/2", headers=["X-Forwarded-For: 203.0.113.8"]))
        assert world.app is not app
        app.exchange.done("it raised")

    play(scenario, **TRUSTING)
    assert lines() == ["GET /1 from 203.0.113.9:0 failed in worker 1\nit raised"]


def test_a_fault_of_a_websocket(lines):
    async def scenario(world):
        Peer(world, peername=PROXY, headers=ALL).session.done("it raised")

    play(scenario, **TRUSTING)
    assert lines() == ["WebSocket /ws from 203.0.113.9:0 failed in worker 1\nit raised"]


def test_bad_requests(lines):
    async def scenario(world):
        clients = [world.connect(peername=PROXY) for _ in range(3)]
        for client in clients:
            client.send(request("/1", headers=["X-Forwarded-For: 203.0.113.1"]))
            world.app.answer()
        clients[0].send(b"nonsense\r\n\r\n")  # whose client is not known
        clients[1].send(HANDSHAKE.replace(b"Version: 13", b"Version: 12\r\n" + ALL[0].encode()))
        head = f"POST / HTTP/1.1\r\nHost: t\r\n{ALL[0]}\r\nTransfer-Encoding: chunked\r\n\r\n"
        clients[2].send(head.encode())
        clients[2].send(b"nonsense\r\n")
        await turn()

    play(scenario, **TRUSTING)
    whose = [line.split(": ")[0] for line in lines()]
    assert whose == [f"Bad request from {peer}" for peer in ("10.0.0.1:5000", "203.0.113.9:0", "203.0.113.9:0")]

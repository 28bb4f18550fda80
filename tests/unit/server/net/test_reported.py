"""server.net.reported: whose connection it is, said by a trusted peer before all else, and refused otherwise."""

import asyncio
import logging
import socket

import pytest
from clients import FakeTransport
from playing import HandLoop, advance
from waiting import turn

from snakepit.config.trusted_proxies import TrustedProxies
from snakepit.server.net import client_limits
from snakepit.server.net.connections import Connections
from snakepit.server.net.reported import ReportedConnections
from snakepit.server.net.transport import direct_endpoints, has_known_peer

HEADER = b"PROXY TCP4 192.0.2.1 198.51.100.2 5000 443\r\n"
UNKNOWN = b"PROXY UNKNOWN\r\n"
SECONDS = 5.0


class Above(asyncio.Protocol):
    """What speaks on a connection then; it notes what it is told."""

    def __init__(self):
        self.heard = []

    def connection_made(self, transport):
        self.transport = transport
        self.heard.append("made")

    def data_received(self, data):
        self.heard.append(data)

    def connection_lost(self, exc):
        self.heard.append("lost")


class World:
    def __init__(self, trusted):
        self.loop = asyncio.get_running_loop()
        self.connections = Connections()
        self.reported = ReportedConnections(TrustedProxies(trusted), self.connections, self.loop, SECONDS)
        self.made = []

    def connect(self, **how):
        return FakeTransport(self.loop, self.reported.below(self.make)(), **how)

    def make(self):
        self.made.append(Above())
        return self.made[-1]


def played(scenario, trusted="10.0.0.0/8"):
    async def main():
        world = World(trusted)
        await scenario(world)
        world.reported.close()
        await turn()
        assert world.connections.open == set()
        assert len(world.reported.deadlines) == 0

    asyncio.run(main(), loop_factory=HandLoop)


@pytest.mark.parametrize("size", [1, 5, len(HEADER), 1000])
@pytest.mark.parametrize("behind", [b"", b"GET / HTTP/1.1\r\n\r\n"])
def test_what_comes_behind_the_header_is_for_the_one_above(size, behind):
    async def scenario(world):
        client = world.connect()
        assert world.made == []
        data = HEADER + behind
        for at in range(0, len(data), size):
            client.send(data[at : at + size])
        (above,) = world.made
        assert above.heard[0] == "made"
        assert b"".join(above.heard[1:]) == behind
        client.client_closes()
        await turn()
        assert above.heard[-1] == "lost"

    played(scenario)


def test_the_reported_addresses_take_the_place_of_the_sockets():
    async def scenario(world):
        client = world.connect()
        client.send(HEADER)
        transport = world.made[0].transport
        assert direct_endpoints(transport)[:3] == (("192.0.2.1", 5000), ("198.51.100.2", 443), "http")
        assert has_known_peer(transport)
        assert transport.get_extra_info("socket") is client.socket
        transport.write(b"answer")
        assert client.received == b"answer"
        transport.close()
        await turn()

    played(scenario)


@pytest.mark.parametrize("family", [socket.AF_INET, pytest.param(getattr(socket, "AF_UNIX", None), id="AF_UNIX")])
def test_where_none_is_reported_the_socket_has_its_own_and_no_header_field_is_believed(family):
    async def scenario(world):
        peer = ("10.0.0.1", 5000) if family == socket.AF_INET else ""
        world.connect(family=family, peername=peer).send(UNKNOWN)
        transport = world.made[0].transport
        assert direct_endpoints(transport)[0] == (peer or None)
        assert not has_known_peer(transport)
        transport.abort()
        await turn()

    played(scenario, "10.0.0.0/8,unix:")


def test_reading_can_be_paused_and_the_protocol_changed():
    async def scenario(world):
        client = world.connect()
        client.send(HEADER)
        transport, other = world.made[0].transport, Above()
        transport.pause_reading()
        client.send(b"later")
        assert world.made[0].heard == ["made"]
        transport.set_protocol(other)
        transport.resume_reading()
        await turn()
        assert other.heard == [b"later"]
        transport.abort()
        await turn()

    played(scenario)


@pytest.mark.parametrize("how", [{"peername": ("192.0.2.9", 5000)}, {"peername": None}, {"family": socket.AF_UNIX}])
@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_others_may_not_say_it(how, caplog):
    async def scenario(world):
        client = world.connect(**{"peername": "", **how} if "family" in how else how)
        assert client.closing
        client.send(HEADER)
        await turn()
        assert world.made == []

    with caplog.at_level(logging.INFO):
        played(scenario)
    assert "may not use the PROXY protocol" in caplog.text


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"PROXY TCP4 x\r\n"])
def test_a_trusted_peer_that_says_something_else_is_refused(data, caplog):
    async def scenario(world):
        client = world.connect()
        client.send(data)
        assert client.closing
        await turn()
        assert (world.made, client.received) == ([], b"")

    with caplog.at_level(logging.INFO):
        played(scenario)
    assert "The peer 10.0.0.1:5000 is refused: " in caplog.text


@pytest.mark.parametrize("sent", [b"", HEADER[:-1]])
def test_a_silent_peer_has_so_much_time_and_no_more(sent, caplog):
    async def scenario(world):
        client = world.connect()
        if sent:
            client.send(sent)
        await advance(SECONDS - 1)
        assert not client.aborted
        await advance(2)
        assert client.aborted

    with caplog.at_level(logging.INFO):
        played(scenario)
    assert "did not say in time whose connection it is" in caplog.text


def test_its_time_is_over_with_the_header():
    async def scenario(world):
        client = world.connect()
        client.send(HEADER)
        await advance(2 * SECONDS)
        assert not client.closing
        client.client_resets()
        await turn()

    played(scenario)


def test_a_peer_that_leaves():
    async def scenario(world):
        client = world.connect()
        client.send(HEADER[:5])
        client.client_closes()
        await turn()
        assert world.made == []

    played(scenario)


def test_a_stop_ends_those_that_have_said_nothing():
    async def scenario(world):
        silent, begun = world.connect(), world.connect()
        begun.send(HEADER[:5])
        world.connections.drain(gently=True)
        assert not silent.closing
        world.connections.drain(gently=False)
        assert silent.closing
        assert not begun.closing
        begun.send(HEADER[5:])
        assert len(world.made) == 1
        late, last = world.connect(), world.connect()
        last.send(HEADER)
        await advance(client_limits.LAST_REQUEST_SECONDS + 1)
        assert late.closing
        assert not last.closing
        world.made[0].transport.abort()
        world.made[1].transport.abort()
        await turn()

    played(scenario)

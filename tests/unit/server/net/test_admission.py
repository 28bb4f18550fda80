"""snakepit.server.net.admission: connections at once, in all and of each address, before real connections."""

import asyncio
import socket

import pytest
from clients import FakeSocket, FakeTransport, answers, request, statuses
from connections import Peer, play
from playing import advance
from waiting import turn

from snakepit.config.trusted_proxies import TrustedProxies
from snakepit.server.net.admission import HEAD_GRACE, IN_ALL, OF_ADDRESS, TELL_AGAIN, Addresses
from snakepit.server.net.client_limits import LINGER_SECONDS, LINGERING
from snakepit.server.net.tls import over_tls
from snakepit.server.net.tls_connections import TlsConnections
from snakepit.server.net.transport import REPORTED


def refused(client, reason):
    """Whether a client was told why, and its connection is being closed."""
    [(status, fields, body)] = answers(client.received)
    assert (status, body) == (503, f"{reason}\n".encode())
    assert (fields["retry-after"], fields["connection"]) == ("1", "close")
    return client.ended


def serving(world, **how):
    """A client whose request is being answered."""
    client = world.connect(**how)
    client.send(request())
    return client


def test_one_too_many_is_told_and_closed(caplog):
    async def scenario(world):
        first, second = serving(world), serving(world)
        third = world.connect()
        third.send(request())
        assert refused(third, IN_ALL)
        assert len(world.pool.apps) == 2, "its request is not read"
        await advance(LINGER_SECONDS)
        assert third.aborted
        for app in world.pool.apps:
            app.respond()
        assert statuses(first) == statuses(second) == [200]
        assert caplog.messages == [f"{IN_ALL}: 3 are open in all; refused since this was last said: 1"]

    play(scenario, limit_connections=2)


def test_the_log_does_not_grow_with_those_that_are_refused(caplog):
    async def scenario(world):
        told = []
        world.http.admission.on_refused = lambda *which: told.append(which)
        serving(world)
        for _ in range(5):
            world.connect()
        assert len(caplog.messages) == 1
        await advance(TELL_AGAIN)
        world.connect()
        assert [message[-3:] for message in caplog.messages] == [": 1", ": 5"]
        assert told == [("limit-connections", IN_ALL)] * 6

    play(scenario, limit_connections=1)


def test_few_of_those_that_are_refused_get_time():
    async def scenario(world):
        serving(world)
        clients = [world.connect() for _ in range(LINGERING + 3)]
        assert all(refused(client, IN_ALL) for client in clients)
        await turn()
        assert sum(client.lost for client in clients) == 3

    play(scenario, limit_connections=1)


def test_none_of_them_gets_time_when_descriptors_are_nearly_out():
    async def scenario(world):
        world.http.open_files.scarce, world.http.open_files.last = 4, 6
        clients = []
        for FakeSocket.number in (4, 5, 6):
            clients.append(world.connect())
        assert all(refused(client, IN_ALL) for client in clients)
        await turn()
        assert [client.lost for client in clients] == [False, False, True]

    try:
        play(scenario)
    finally:
        FakeSocket.number = 5


def test_the_one_that_is_idle_for_longest_makes_room():
    async def scenario(world):
        idle, busy, later = serving(world), serving(world), serving(world)
        world.pool.apps[0].respond()
        await advance(1)
        world.pool.apps[2].respond()
        fourth = serving(world)
        assert idle.aborted
        fifth = serving(world)
        assert later.aborted, "the first may still be counted"
        sixth = world.connect()
        await turn()
        assert refused(sixth, IN_ALL), "nobody is idle"
        for app in (world.pool.apps[1], *world.pool.apps[3:]):
            app.respond()
        assert [statuses(client) for client in (busy, fourth, fifth)] == [[200]] * 3
        assert statuses(idle) == statuses(later) == [200]

    play(scenario, limit_connections=3)


def test_one_that_has_not_read_its_answer_is_not_idle():
    async def scenario(world):
        client = world.connect()
        client.client_stops_reading()
        client.send(request())
        world.app.respond()
        assert refused(world.connect(), IN_ALL)
        client.client_reads_again()
        assert statuses(client) == [200]

    play(scenario, limit_connections=1)


@pytest.mark.parametrize("begun", [b"", b"GET / HT"])
def test_one_whose_head_does_not_come_makes_room(begun):
    async def scenario(world):
        slow = world.connect()
        slow.send(begun) if begun else None
        await advance(HEAD_GRACE - 0.25)
        assert refused(world.connect(), IN_ALL), "its head may be on its way"
        await advance(0.25)
        client = serving(world)
        world.app.respond()
        assert statuses(client) == [200]
        assert slow.aborted
        assert slow.received == b""

    play(scenario, limit_connections=1)


def test_a_body_that_comes_slowly_does_not_make_room():
    async def scenario(world):
        client = world.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n")
        world.app.respond()  # the rest is discarded, under the deadline for heads
        await advance(HEAD_GRACE)
        assert refused(world.connect(), IN_ALL)
        assert not client.aborted

    play(scenario, limit_connections=1)


def test_websockets_count_and_do_not_make_room():
    async def scenario(world):
        peer = Peer(world)
        await advance(10)
        assert refused(world.connect(), IN_ALL)
        assert not peer.transport.aborted
        peer.transport.client_resets()
        await turn()
        await advance(LINGER_SECONDS)
        assert serving(world).received == b""

    play(scenario, limit_connections=1)


def test_without_an_option_descriptors_are_the_limit():
    async def scenario(world):
        world.http.open_files.scarce = 6
        serving(world)
        FakeSocket.number = 6
        assert refused(world.connect(), IN_ALL)
        world.app.respond()
        assert serving(world).received == b"", "the first makes room"

    try:
        play(scenario)
    finally:
        FakeSocket.number = 5


# -- over TLS, before anything can be said ----------------------------------------------------------------------------


def tls(world):
    """Return what makes connections that speak TLS below those of the world."""
    shared = TlsConnections(
        None,
        world.http.connections,
        world.loop,
        seconds=10.0,
        most_at_once=1,
        threads=1,
        admission=world.http.admission,
    )
    return shared, lambda: FakeTransport(world.loop, over_tls(shared, world.http.new_connection)())


def test_a_handshake_that_has_not_come_makes_room():
    async def scenario(world):
        shared, connect = tls(world)
        slow = connect()
        await advance(HEAD_GRACE - 0.25)
        early = connect()
        assert early.aborted, "nothing can be said yet"
        await advance(0.25)
        later = connect()
        assert slow.aborted
        await turn()
        assert len(shared.handshakes) == 1
        later.client_resets()
        await turn()
        shared.close()

    play(scenario, limit_connections=1)


def test_an_idle_connection_makes_room_for_a_handshake():
    async def scenario(world):
        shared, connect = tls(world)
        idle = serving(world)
        world.app.respond()
        client = connect()
        assert idle.aborted
        client.client_resets()
        await turn()
        shared.close()

    play(scenario, limit_connections=1)


@pytest.mark.parametrize("name", ["sslcontext", REPORTED])
def test_what_is_below_a_connection_is_not_one_more(name):
    async def scenario(world):
        admission, connections = world.http.admission, world.http.connections
        both = object(), object()
        for each in both:
            connections.add(each)
        assert admission.refuses(asyncio.BaseTransport({name: object()})) == ""
        assert admission.refuses(asyncio.BaseTransport()) == IN_ALL
        for each in both:
            connections.discard(each)

    play(scenario, limit_connections=1)


# -- of each address ---------------------------------------------------------------------------------------------------


def of(*name):
    return asyncio.BaseTransport({"peername": name if len(name) > 1 else name[0]})


def test_each_address_has_its_own():
    async def scenario(world):
        first = [serving(world, peername=("10.0.0.1", port)) for port in (1, 2)]
        assert refused(world.connect(peername=("10.0.0.1", 3)), OF_ADDRESS)
        other = serving(world, peername=("10.0.0.2", 4))
        assert other.received == b""
        first[0].client_resets()
        await advance(LINGER_SECONDS)  # for the one that was refused, too
        assert serving(world, peername=("10.0.0.1", 5)).received == b""
        assert refused(world.connect(peername=("10.0.0.1", 6)), OF_ADDRESS)

    play(scenario, limit_connections_per_address=2)


def test_an_idle_one_makes_no_room_for_others_of_its_address():
    async def scenario(world):
        idle = serving(world)
        world.app.respond()
        assert refused(world.connect(), OF_ADDRESS)
        assert not idle.aborted

    play(scenario, limit_connections_per_address=1)


def test_a_websocket_is_counted_until_it_ends():
    async def scenario(world):
        peer = Peer(world)
        assert refused(world.connect(), OF_ADDRESS)
        peer.transport.client_resets()
        await advance(LINGER_SECONDS)
        assert serving(world).received == b""

    play(scenario, limit_connections_per_address=1)


@pytest.mark.parametrize(
    ("how", "trusted"),
    [
        ({"peername": ("127.0.0.1", 5000)}, "127.0.0.1"),
        ({"peername": ("::1", 5000, 0, 0)}, "::1"),
        ({"peername": "", "family": getattr(socket, "AF_UNIX", None)}, ""),
    ],
)
def test_proxies_and_unix_sockets_may_have_any_number(how, trusted):
    async def scenario(world):
        clients = [serving(world, **how) for _ in range(5)]
        assert [client.received for client in clients] == [b""] * 5

    play(scenario, limit_connections_per_address=1, forwarded_allow_ips=trusted)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
    ],
)
def test_addresses_that_count_together(one, other, same):
    addresses = Addresses(1, TrustedProxies(""))
    assert addresses.came(of(one, 1))
    assert addresses.came(of(other, 2)) is not same
    addresses.left(of(other, 2))
    addresses.left(of(one, 1))
    assert addresses._counts == {}
    assert addresses.came(of(one, 1))


def test_a_peer_that_has_gone_already_is_not_counted():
    addresses = Addresses(1, TrustedProxies(""))
    assert addresses.came(of(None))
    assert addresses.came(of(None))
    addresses.left(of(None))
    assert addresses._counts == {}

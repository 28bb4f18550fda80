"""snakepit.server.net.websocket: a WebSocket between a transport and a pool that behave like real ones."""

import pytest
from clients import FakeTransport, request
from connections import Peer, World, play
from playing import advance
from waiting import turn
from wsproto.connection import CLIENT, Connection
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from snakepit.http.fields import NONE, render
from snakepit.server.lifecycle import ExchangeState
from snakepit.server.net.websocket import ANSWERING, CLOSING
from snakepit.wire import envelopes
from snakepit.wire.envelopes import BREACH, CLOSE, CREDIT, DISCONNECT, MESSAGE, WINDOW

PINGS = {"ws_ping_interval": 5.0, "ws_ping_timeout": 2.0}


def at_rest(world):
    site = world.http.websockets
    return [len(deadlines) for deadlines in (site.pings, site.pongs, site.breaches, site.closings)] == [0, 0, 0, 0]


def test_messages_go_both_ways():
    async def scenario(world):
        peer = Peer(world)
        peer.say(TextMessage(data="one"), BytesMessage(data=b"two"))
        assert peer.told(MESSAGE) == [(MESSAGE, "one"), (MESSAGE, b"two")]
        peer.app_says("three")
        peer.app_says(b"four" * 30_000)
        assert "".join(str(len(part)) for part in peer.hear()) == str(5) + str(120_000)

    play(scenario, ws_per_message_deflate=False)


def test_the_answer_has_the_servers_fields_and_the_apps():
    async def scenario(world):
        peer = Peer(world, accepts=False)
        peer.session.handle(envelopes.accept(1, "chat", render([(b"x-a", b"1")])))
        head = peer.transport.received
        assert b"\r\nSec-WebSocket-Protocol: chat\r\nx-a: 1\r\n" in head
        assert b"\r\nserver: snakepit\r\n" in head.lower()

    play(scenario, server_header=True)


def test_what_came_behind_the_handshake_is_read_once_it_is_accepted():
    async def scenario(world):
        early = bytes(Connection(CLIENT).send(TextMessage(data="early")))
        peer = Peer(world, accepts=False, behind=early)
        peer.transport.send(early)
        await turn()
        assert peer.told(MESSAGE) == []
        peer.session.handle(envelopes.accept(1, None, NONE))
        await turn()
        assert peer.told(MESSAGE) == [(MESSAGE, "early")] * 2

    play(scenario)


def test_a_client_that_goes_before_it_is_accepted():
    async def scenario(world):
        peer = Peer(world, accepts=False)
        peer.transport.client_resets()
        await turn()
        assert peer.told(DISCONNECT, CLOSE) == [(DISCONNECT, False)]
        peer.session.handle(envelopes.accept(1, None, NONE))
        peer.session.done(None)
        assert peer.transport.received == b""

    play(scenario)


def test_a_denial():
    async def scenario(world):
        peer = Peer(world, accepts=False)
        peer.app.respond(403, body=b"no")
        peer.session.done(None)
        assert peer.transport.received.startswith(b"HTTP/1.1 403 ")
        peer.transport.send(request("/"))
        assert len(world.pool.apps) == 2, "the connection is used again"

    play(scenario)


# -- closing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("has_eof", [True, False])
def test_the_client_closes(has_eof):
    async def scenario(world):
        peer = Peer(world, has_eof=has_eof)
        peer.say(CloseConnection(code=3000, reason="bye"))
        assert peer.told(CLOSE) == [(CLOSE, 3000, "bye")]
        assert peer.hear() == [CloseConnection(code=3000, reason="")]
        assert peer.transport.ended
        peer.app_says("too late")
        peer.app_closes()
        assert peer.hear() == []
        peer.session.done(None)
        assert peer.session.state is ExchangeState.CLOSED
        if has_eof:
            peer.transport.send(b"rubbish")
            peer.transport.client_closes()
        await turn()
        assert peer.transport.lost
        assert at_rest(world)

    play(scenario)


def test_the_app_closes_and_the_client_answers():
    async def scenario(world):
        peer = Peer(world)
        peer.app_closes(4000, "enough")
        assert peer.hear() == [CloseConnection(code=4000, reason="enough")]
        assert not peer.transport.ended
        peer.transport.send(bytes(peer.frames.send(CloseConnection(code=4000))))
        assert peer.transport.ended
        assert peer.told(CLOSE) == [], "the app knows"
        peer.session.done(None)
        peer.transport.client_closes()
        await turn()
        assert at_rest(world)

    play(scenario)


def test_a_client_that_never_answers_a_close_frame_is_cut_off():
    async def scenario(world):
        peer = Peer(world)
        peer.app_closes()
        peer.session.done(None)
        await advance(CLOSING - 0.5)
        peer.say(TextMessage(data="not yet"))
        assert not peer.transport.lost
        await advance(1)
        assert peer.transport.aborted

    play(scenario)


def test_a_client_that_does_not_close_its_side_is_cut_off():
    async def scenario(world):
        peer = Peer(world)
        peer.say(CloseConnection(code=1000))
        await advance(CLOSING - 0.5)
        assert not peer.transport.aborted
        await advance(1)
        assert peer.transport.aborted

    play(scenario)


@pytest.mark.parametrize("reset", [True, False])
def test_the_client_vanishes(reset):
    async def scenario(world):
        peer = Peer(world)
        peer.transport.client_resets() if reset else peer.transport.client_closes()
        await turn()
        assert peer.told(CLOSE) == [(CLOSE, 1006, "")]
        peer.session.done(None)
        assert at_rest(world)

    play(scenario)


@pytest.mark.parametrize(("fault", "code"), [(None, 1000), ("it raised", 1011)])
def test_the_app_returns(fault, code):
    async def scenario(world):
        peer = Peer(world)
        peer.session.done(fault)
        assert peer.hear() == [CloseConnection(code=code, reason="")]

    play(scenario)


def test_a_fault_is_logged(caplog):
    async def scenario(world):
        Peer(world).session.done("it raised")

    play(scenario)
    assert "WebSocket /ws from 10.0.0.1:5000 failed in worker 1\nit raised" in caplog.text


def test_the_worker_dies():
    async def scenario(world):
        peer, other = Peer(world), Peer(world)
        peer.session.lost()
        assert peer.hear() == [CloseConnection(code=1011, reason="")]
        assert other.hear() == []

    play(scenario)


def test_the_worker_dies_before_it_is_accepted():
    async def scenario(world):
        peer = Peer(world, accepts=False)
        peer.session.lost()
        assert peer.transport.received.startswith(b"HTTP/1.1 500 ")

    play(scenario)


def test_the_server_stops():
    async def scenario(world):
        peer, closing = Peer(world), Peer(world)
        closing.app_closes(4000)
        world.http.drain()
        assert peer.hear() == [CloseConnection(code=1012, reason="")]
        assert peer.told(CLOSE) == [(CLOSE, 1012, "")]
        assert closing.hear() == [CloseConnection(code=4000, reason="")]
        peer.session.done(None)
        assert peer.hear() == []

    play(scenario)


def test_nobody_who_has_sent_a_close_frame_is_waited_for_when_the_server_stops():
    async def scenario(world):
        before, after = Peer(world), Peer(world)
        before.say(CloseConnection(code=1000))
        await turn()
        assert not before.transport.lost
        world.http.drain()
        await turn()
        assert before.transport.lost
        assert before.hear() == [CloseConnection(code=1000, reason="")]
        assert not after.transport.lost
        assert after.hear() == [CloseConnection(code=1012, reason="")]
        after.transport.send(bytes(after.frames.send(CloseConnection(code=1012))))
        await turn()
        assert after.transport.lost
        for peer in (before, after):
            peer.session.done(None)
        assert at_rest(world)

    play(scenario)


def test_what_is_accepted_while_the_server_stops_is_closed():
    async def scenario(world):
        peer = Peer(world, accepts=False)
        world.http.drain()
        peer.session.handle(envelopes.accept(1, None, NONE))
        await turn()
        assert peer.hear() == [CloseConnection(code=1012, reason="")]
        assert peer.told(CLOSE) == [(CLOSE, 1012, "")]

    play(scenario)


# -- a client that breaks the protocol -------------------------------------------------------------------------------


def broken(world):
    """A session with a message that is not answered, and a breach behind it."""
    peer = Peer(world)
    good = bytes(peer.frames.send(TextMessage(data="good")))
    peer.transport.send(good + b"\xff" * 20)
    assert [kind for kind, *_ in peer.told(MESSAGE, BREACH, CLOSE)] == [MESSAGE, BREACH]
    assert peer.hear() == []
    return peer


def heard_breach(peer):
    *before, close = peer.hear()
    assert (close.code, bool(close.reason)) == (1002, True)
    assert peer.transport.ended
    return before


def test_what_came_before_a_breach_may_be_answered():
    async def scenario(world):
        peer = broken(world)
        peer.app_says("answer")
        assert peer.hear() == ["answer"]
        peer.transport.send(b"more")
        peer.app_closes(1000, "whatever it says")
        assert heard_breach(peer) == []
        peer.session.done(None)
        peer.transport.client_closes()
        await turn()
        assert at_rest(world)

    play(scenario)


@pytest.mark.parametrize("fault", [None, "it raised"])
def test_the_app_returns_after_a_breach(fault):
    async def scenario(world):
        peer = broken(world)
        peer.session.done(fault)
        heard_breach(peer)

    play(scenario)


def test_an_app_that_never_hears_of_a_breach_holds_it_up_only_so_long():
    async def scenario(world):
        peer = broken(world)
        await advance(ANSWERING - 0.5)
        peer.app_says("still")
        assert peer.hear() == ["still"]
        await advance(1)
        heard_breach(peer)
        assert [kind for kind, *_ in peer.told(BREACH, CLOSE)] == [BREACH, CLOSE]
        peer.app_says("too late")
        peer.app_closes()
        peer.session.done(None)
        assert peer.hear() == []

    play(scenario)


def test_the_worker_dies_after_a_breach():
    async def scenario(world):
        peer = broken(world)
        peer.session.lost()
        heard_breach(peer)

    play(scenario)


def test_the_client_vanishes_after_a_breach():
    async def scenario(world):
        peer = broken(world)
        peer.transport.client_closes()
        await turn()
        assert peer.told(CLOSE) == [(CLOSE, 1006, "")]
        peer.session.done(None)
        assert at_rest(world)

    play(scenario)


def test_the_server_stops_after_a_breach():
    async def scenario(world):
        peer = broken(world)
        world.http.drain()
        heard_breach(peer)

    play(scenario)


def test_a_breach_after_the_app_has_closed():
    async def scenario(world):
        peer = Peer(world)
        peer.app_closes(4000)
        peer.transport.send(b"\xff" * 20)
        assert peer.hear() == [CloseConnection(code=4000, reason="")]
        assert peer.transport.ended
        assert peer.told(BREACH, CLOSE) == []

    play(scenario)


# -- pings -----------------------------------------------------------------------------------------------------------


def test_a_ping_is_answered():
    async def scenario(world):
        peer = Peer(world)
        peer.say(Ping(payload=b"abc"))
        assert peer.hear() == [Pong(payload=b"abc")]

    play(scenario)


@pytest.mark.parametrize("sign", ["pong", "message", "part"])
def test_whoever_gives_a_sign_of_life_lives(sign):
    async def scenario(world):
        peer = Peer(world)
        for _ in range(3):
            await advance(5)
            assert peer.hear() == [Ping(payload=b"")]
            if sign == "pong":
                peer.say(Pong(payload=b""))
            elif sign == "message":
                peer.say(TextMessage(data="x"))
            else:
                peer.transport.send(b"\x81")
                peer.transport.send(b"\x80abcd")
            assert len(world.http.websockets.pongs) == 0
        assert not peer.transport.ended

    play(scenario, **PINGS)


@pytest.mark.parametrize("interval", [0.5, 1.0, 5.0])
def test_who_gives_none_is_closed(interval):
    """However often it is asked: the time runs from the first ping that was not answered."""

    async def scenario(world):
        peer = Peer(world)
        await advance(interval + 1.75)
        assert set(map(type, peer.hear())) == {Ping}
        await advance(0.25)
        assert peer.hear()[-1] == CloseConnection(code=1011, reason="keepalive ping timeout")
        assert peer.told(CLOSE) == [(CLOSE, 1006, "keepalive ping timeout")]
        assert peer.transport.ended
        await advance(CLOSING)
        assert peer.transport.aborted

    play(scenario, ws_ping_interval=interval, ws_ping_timeout=2.0)


def test_without_an_interval_there_are_no_pings():
    async def scenario(world):
        peer = Peer(world)
        await advance(100)
        assert peer.hear() == []

    play(scenario, ws_ping_interval=0)


def test_without_a_time_out_nobody_is_closed():
    async def scenario(world):
        peer = Peer(world)
        await advance(100)
        assert set(map(type, peer.hear())) == {Ping}

    play(scenario, ws_ping_interval=5.0, ws_ping_timeout=0)


def test_nobody_is_closed_for_an_app_that_does_not_receive():
    async def scenario(world):
        peer = Peer(world)
        peer.say(*[TextMessage(data="x")] * 32)
        assert not peer.transport.reading
        await advance(20)
        assert set(map(type, peer.hear())) == {Ping}
        peer.say(Pong(payload=b""))  # it waits in the kernel
        peer.session.add_credit(WINDOW)
        await turn()
        assert len(world.http.websockets.pongs) == 0

    play(scenario, **PINGS)


def test_the_time_starts_anew_when_reading_does():
    async def scenario(world):
        peer = Peer(world)
        peer.say(*[TextMessage(data="x")] * 32)
        await advance(6.75)  # asked after 5
        peer.session.add_credit(WINDOW)
        await advance(1)
        assert set(map(type, peer.hear())) == {Ping}
        await advance(1.25)
        assert isinstance(peer.hear()[-1], CloseConnection)

    play(scenario, **PINGS)


# -- flow control ----------------------------------------------------------------------------------------------------


def test_an_app_that_does_not_receive_stops_the_reading():
    async def scenario(world):
        peer = Peer(world)
        for number in range(8):
            assert peer.transport.reading
            peer.say(TextMessage(data=str(number)))
        assert not peer.transport.reading
        peer.say(TextMessage(data="in the kernel"))
        assert len(peer.told(MESSAGE)) == 8
        peer.session.add_credit(WINDOW)
        await turn()
        assert peer.told(MESSAGE)[-1] == (MESSAGE, "in the kernel")

    play(scenario, ws_max_queue=8)


def test_of_a_thousand_messages_that_come_at_once_only_some_cross():
    async def scenario(world):
        peer = Peer(world)
        peer.say(*[TextMessage(data=str(number)) for number in range(1000)])
        crossed = len(peer.told(MESSAGE))
        assert 8 <= crossed < 300
        assert not peer.transport.reading
        for _ in range(1000):
            assert not peer.transport.reading
            peer.session.add_credit(WINDOW // 8)
            if peer.transport.reading:
                break
        assert peer.told(MESSAGE) == [(MESSAGE, str(number)) for number in range(1000)]

    play(scenario, ws_max_queue=8)


def test_an_app_that_closes_with_messages_unread_still_sees_the_clients_close_frame():
    async def scenario(world):
        peer = Peer(world)
        peer.say(*[TextMessage(data="x")] * 1000, CloseConnection(code=1000))
        assert not peer.transport.reading
        crossed = len(peer.told(MESSAGE))
        peer.app_closes(4000)
        assert peer.transport.ended
        assert len(peer.told(MESSAGE)) == crossed
        assert peer.hear() == [CloseConnection(code=4000, reason="")]

    play(scenario, ws_max_queue=8)


def test_a_slow_client_holds_back_the_credit():
    async def scenario(world):
        peer = Peer(world)
        peer.app_says(b"x" * WINDOW)
        assert peer.told(CREDIT) == [(CREDIT, WINDOW)]
        peer.transport.client_stops_reading()
        peer.app_says(b"x" * WINDOW)
        assert len(peer.told(CREDIT)) == 1
        peer.transport.client_reads_again()
        assert peer.told(CREDIT) == [(CREDIT, WINDOW)] * 2

    play(scenario, ws_per_message_deflate=False)


def test_what_is_written_to_a_client_that_has_gone_is_dropped():
    async def scenario(world):
        peer = Peer(world)
        peer.transport.client_resets()
        peer.app_says("into the void")
        peer.app_closes()
        await turn()
        peer.session.done(None)
        assert at_rest(world)

    play(scenario)


def test_a_connection_can_be_shown():
    async def scenario(world):
        peer = Peer(world)
        assert repr(peer.connection) == "<WebSocketConnection 10.0.0.1:5000 <WebSocketExchange 1 b'/ws' RESPONDING>>"

    play(scenario)


def test_the_site_cuts_what_is_left():
    async def scenario(world):
        peer = Peer(world)
        world.http.close()
        await turn()
        assert isinstance(peer.transport, FakeTransport)
        assert peer.transport.aborted
        assert peer.told(CLOSE) == [(CLOSE, 1006, "")]

    play(scenario)


def test_without_websockets_it_is_a_request_like_any_other():
    async def scenario(world):
        assert isinstance(world, World)
        peer = Peer(world, accepts=False)
        peer.app.answer()
        assert peer.transport.received.startswith(b"HTTP/1.1 200 ")

    play(scenario, ws="none")

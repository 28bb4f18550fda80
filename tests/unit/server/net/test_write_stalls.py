"""snakepit.server.net.write_stalls: clients that do not read, by itself and behind connections."""

import asyncio
import logging

import pytest
from clients import request, statuses
from connections import Peer, play
from playing import TimerLoop, advance
from waiting import turn

from snakepit.http.fields import NONE
from snakepit.http.ws.close_codes import ABNORMAL
from snakepit.server.net.write_stalls import WriteStalls
from snakepit.wire import envelopes
from snakepit.wire.envelopes import CHUNK, CLOSE

SECONDS = 60.0
CUT = "Cut 10.0.0.1:5000, which has taken nothing of what was written for 60 s: {} bytes are left"


class Writing:
    """A connection for the watch."""

    def __init__(self):
        self.peer = "10.0.0.1:5000"
        self.unsent = 1000
        self.in_kernel = 500
        self.cut = False

    @property
    def untaken(self):
        return self.unsent + self.in_kernel

    def abort(self):
        self.cut = True


def watch(seconds=SECONDS):
    loop = TimerLoop()
    return loop, WriteStalls(loop, seconds, logging.getLogger("snakepit.server"))


def test_one_that_takes_nothing_is_cut(caplog):
    caplog.set_level(logging.INFO, "snakepit.server")
    loop, stalls = watch()
    connection = Writing()
    stalls.add(connection)
    loop.advance(SECONDS - 0.1)
    stalls.add(connection)  # which changes nothing
    assert not connection.cut
    loop.advance(0.2)
    assert connection.cut
    assert len(stalls) == 0
    assert caplog.messages == [CUT.format(1500)]
    loop.advance(1000)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("what", ["unsent", "in_kernel"])
def test_one_that_takes_a_little_now_and_then_is_not_cut(what):
    loop, stalls = watch()
    connection = Writing()
    stalls.add(connection)
    for _ in range(20):
        loop.advance(SECONDS * 0.7)
        setattr(connection, what, getattr(connection, what) - 1)
    assert not connection.cut
    loop.advance(SECONDS * 1.3)
    assert connection.cut


def test_what_is_added_meanwhile_is_no_progress():
    loop, stalls = watch()
    connection = Writing()
    stalls.add(connection)
    for _ in range(4):
        assert not connection.cut
        connection.unsent += 10
        loop.advance(SECONDS / 4)
    assert connection.cut


def test_one_that_has_taken_all_is_watched_no_more():
    loop, stalls = watch()
    connection = Writing()
    stalls.add(connection)
    connection.unsent = 0
    loop.advance(1000)
    assert not connection.cut
    assert len(stalls) == 0
    assert loop.pending == []


def test_no_limit():
    loop, stalls = watch(None)
    connection = Writing()
    stalls.add(connection)
    stalls.discard(connection)
    loop.advance(10_000)
    assert not connection.cut
    assert loop.pending == []


# -- behind connections ------------------------------------------------------------------------------------------------


def begun(world, more=True, **how):
    """A client that has stopped to read in the middle of an answer."""
    client = world.connect(**how)
    client.client_stops_reading()
    client.send(request())
    world.app.respond(200, body=b"x" * (CHUNK + 1), more=more)
    return client


def test_a_client_that_does_not_read_its_answer_is_cut_and_the_app_told(caplog):
    caplog.set_level(logging.INFO, "snakepit.server")

    async def scenario(world):
        client = begun(world)
        unsent = client.get_write_buffer_size()
        await advance(SECONDS - 1)
        assert not client.aborted
        await advance(1)
        assert client.aborted
        assert world.app.gone
        assert CUT.format(unsent) in caplog.messages

    play(scenario)


def test_option():
    async def scenario(world):
        client = begun(world)
        await advance(7)
        assert not client.aborted
        await advance(1)
        assert client.aborted

    play(scenario, timeout_write=8)


def test_off():
    async def scenario(world):
        client = begun(world)
        await advance(500)
        assert not client.lost
        assert len(world.http.stalls) == 0

    play(scenario, timeout_write=0)


def test_a_client_that_reads_again():
    async def scenario(world):
        client = begun(world)
        await advance(SECONDS - 1)
        client.client_reads_again()
        assert len(world.http.stalls) == 0
        await advance(SECONDS)
        assert not client.aborted

    play(scenario)


@pytest.mark.parametrize("closing", ["by the answer", "by the keep-alive time", "by the client's end"])
def test_a_connection_that_closes_waits_no_longer_for_its_client(closing):
    async def scenario(world):
        client = world.connect()
        client.client_stops_reading()
        client.send(request(headers=["Connection: close"] if closing == "by the answer" else []))
        world.app.respond(200, body=b"little", more=closing == "by the client's end")
        if closing == "by the client's end":
            client.client_closes()
        await advance(6)
        assert client.closing
        assert not client.lost
        await advance(SECONDS)
        assert client.aborted

    play(scenario)


def test_a_connection_that_closes_lives_while_its_client_reads():
    async def scenario(world):
        client = begun(world, more=False)
        await advance(10)  # past the keep-alive time: it closes
        assert client.closing
        for _ in range(5):
            client.buffer = client.buffer[100:]
            client.protocol.resume_writing()  # as asyncio does when little is left
            await advance(SECONDS * 0.7)
        assert not client.aborted
        client.client_reads_again()
        await turn()
        assert not client.aborted
        assert client.lost

    play(scenario)


def test_a_client_that_does_not_read_while_its_connection_lingers():
    async def scenario(world):
        client = begun(world, more=False)
        client.send(b"nonsense\r\n\r\n")
        await advance(10)
        assert statuses(client) == []
        assert not client.lost, "it may still read"
        await advance(SECONDS)
        assert client.aborted

    play(scenario)


@pytest.mark.parametrize("when", ["before", "within"])
def test_the_client_of_a_websocket(when):
    async def scenario(world):
        peer = Peer(world, accepts=when == "within")
        peer.transport.client_stops_reading()
        if when == "before":
            peer.transport.write(b"x" * (CHUNK + 1))
            peer.session.handle(envelopes.accept(peer.session.number, None, NONE))
        else:
            peer.app_says(b"x" * (CHUNK + 1))
        await advance(SECONDS + 1)
        assert peer.transport.aborted
        assert peer.told(CLOSE) == [(CLOSE, ABNORMAL, "")]

    play(scenario, ws_ping_interval=0)


def test_nothing_is_left_of_a_client_that_has_gone():
    async def scenario(world):
        client = begun(world)
        assert len(world.http.stalls) == 1
        client.client_resets()
        await asyncio.sleep(0)
        await turn()
        assert len(world.http.stalls) == 0

    play(scenario)

"""server.net.transport: what a connection does with its socket, with a protocol that says nothing by itself."""

import asyncio
import logging
import socket

import pytest
from clients import FakeTransport
from playing import HandLoop

from snakepit.server.event_loop.deadlines import Deadlines
from snakepit.server.net.transport import TransportShell, direct_endpoints, has_known_peer, name_of_client
from snakepit.server.net.write_stalls import WriteStalls
from snakepit.wire.envelopes import CHUNK


class Shell(TransportShell):
    peer = "10.0.0.1:5000"

    def __init__(self, loop):
        super().__init__(WriteStalls(loop, 60.0, logging.getLogger("test")))
        self.heard = []

    def data_received(self, data):
        self.heard.append(data)

    def _on_writable(self):
        self.heard.append("writable")

    def _on_reading_resumed(self):
        self.heard.append("resumed")


def played(scenario, **how):
    async def main():
        loop = asyncio.get_running_loop()
        shell = Shell(loop)
        transport = FakeTransport(loop, shell, **how)
        await scenario(shell, transport, loop)

    asyncio.run(main(), loop_factory=HandLoop)


@pytest.mark.parametrize("pieces", [[], [b"one"], [b"one", b"two"]])
def test_what_is_to_be_sent_is_sent(pieces):
    async def scenario(shell, transport, loop):
        shell._write(pieces)
        assert transport.received == b"".join(pieces)

    played(scenario)


def test_a_client_that_does_not_read():
    async def scenario(shell, transport, loop):
        assert shell.writable
        transport.client_stops_reading()
        shell._write([b"x" * CHUNK * 2])
        assert not shell.writable
        transport.client_reads_again()
        assert shell.writable
        assert shell.heard == ["writable"]

    played(scenario)


def test_reading_is_paused_and_resumed_once():
    async def scenario(shell, transport, loop):
        shell._resume_reading()
        assert shell.heard == []
        shell._pause_reading()
        shell._pause_reading()
        transport.send(b"data")
        assert shell.heard == []
        shell._resume_reading()
        shell._resume_reading()
        await asyncio.sleep(0)
        assert shell.heard == ["resumed", b"data"]

    played(scenario)


def test_one_deadline_at_a_time():
    async def scenario(shell, transport, loop):
        expired = []
        short, long = (Deadlines(loop, seconds, expired.append) for seconds in (1.0, 9.0))
        shell._set_deadline(long)
        shell._set_deadline(short)
        assert (len(short), len(long)) == (1, 0)
        loop.now += 0.6
        shell._set_deadline(short, keep=True)
        loop.now += 0.6
        short._fire()
        assert expired == [shell]
        shell._set_deadline(short)  # anew, though it is the same
        assert len(short) == 1
        shell._set_deadline(None)
        assert len(short) == 0
        short.close()
        long.close()

    played(scenario)


@pytest.mark.parametrize("has_eof", [True, False])
def test_closing_our_side(has_eof):
    async def scenario(shell, transport, loop):
        lingering = Deadlines(loop, 1.0, Shell.abort)
        shell._pause_reading()
        assert shell._half_close(lingering) is has_eof
        assert (transport.eof_written, transport.closing) == (has_eof, not has_eof)
        assert len(lingering) == has_eof
        assert transport.is_reading() is has_eof
        lingering.close()

    played(scenario, has_eof=has_eof)


def test_one_side_can_not_be_closed_of_a_connection_that_was_reset():
    async def scenario(shell, transport, loop):
        def fail():
            raise OSError(107, "Transport endpoint is not connected")

        transport.write_eof = fail
        lingering = Deadlines(loop, 2.0, lambda shell: None)
        assert not shell._half_close(lingering)
        assert transport.aborted
        assert len(lingering) == 0

    played(scenario)


def test_another_takes_the_transport_as_it_is():
    async def scenario(shell, transport, loop):
        shell._pause_reading()
        transport.client_stops_reading()
        shell._write([b"x" * CHUNK * 2])
        other = Shell(loop)
        other._take_over(shell)
        assert transport.protocol is other
        assert not other.writable
        other._resume_reading()
        assert other.heard == ["resumed"]

    played(scenario)


@pytest.mark.parametrize(
    ("extra", "endpoints", "name", "known"),
    [
        ({"peername": ("::1", 5000, 0, 0)}, (("::1", 5000), ("127.0.0.1", 80), "http", None, None), "::1:5000", True),
        ({"peername": None}, (None, ("127.0.0.1", 80), "http", None, None), "local", False),
        ({"peername": "", "socket": socket.AF_UNIX}, (None, ("127.0.0.1", 80), "http", None, None), "local", True),
        (
            {"peername": ("10.0.0.1", 5000), "sslcontext": object()},
            (("10.0.0.1", 5000), ("127.0.0.1", 80), "https", None, None),
            "10.0.0.1:5000",
            True,
        ),
    ],
)
def test_endpoints(extra, endpoints, name, known):
    family = extra.pop("socket", socket.AF_INET)
    sock = type("Socket", (), {"family": family})()
    transport = asyncio.Transport({"sockname": ("127.0.0.1", 80), "socket": sock, **extra})
    assert direct_endpoints(transport) == endpoints
    assert name_of_client(endpoints) == name
    assert has_known_peer(transport) is known

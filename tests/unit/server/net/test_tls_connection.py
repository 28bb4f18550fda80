"""server.net.tls and server.net.tls_connections: OpenSSL's clients in memory, at the other end of a fake transport."""

import asyncio
import logging
import random
import ssl
import threading

import pytest
from clients import FakeTransport, request
from connections import World
from moves import held_to
from playing import HandLoop, advance
from tls_peers import KeyChanges, MemoryClient, client_hello
from waiting import turn, until

from snakepit.server.lifecycle import CONNECTION, TLS, WEBSOCKET, TlsState
from snakepit.server.net import client_limits
from snakepit.server.net.connections import Connections
from snakepit.server.net.http1 import Connection
from snakepit.server.net.tls import TlsConnection, over_tls
from snakepit.server.net.tls_connections import TlsConnections
from snakepit.server.net.websocket import WebSocketConnection
from snakepit.tls.certificates import Certificates
from snakepit.tls.contexts import ACME_PROTOCOL, CertificateFiles, TlsOptions, load

SECONDS = 10.0
"""For a handshake."""

MOST = 3
"""Handshakes at once."""

TLS_1_2, TLS_1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
VERSIONS = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["TLSv1.2", "TLSv1.3"])


class Recorder(asyncio.Protocol):
    """The connection above: it keeps what it is told."""

    def __init__(self):
        self.told = []
        self.heard = b""
        self.takes = None  # bytes after which it pauses reading

    def connection_made(self, transport):
        self.transport = transport
        self.told.append("made")

    def data_received(self, data):
        self.heard += data
        if self.takes is not None and len(self.heard) >= self.takes:
            self.transport.pause_reading()

    def eof_received(self):
        self.told.append("eof")
        return False

    def connection_lost(self, exc):
        self.told.append("lost")

    def pause_writing(self):
        self.told.append("pause")

    def resume_writing(self):
        self.told.append("resume")

    def drain(self, gently=False):
        self.told.append("drain")

    def abort(self):
        self.transport.abort()


class Jobs:
    """Threads' work, which waits until the test has it done."""

    def __init__(self):
        self.waiting = []
        self.count = 0

    @property
    def busy(self):
        return len(self.waiting)

    def run(self, work, then):
        self.count += 1
        self.waiting.append((work, then))

    def close(self):
        self.waiting.clear()

    def do(self):
        """Do all of it."""
        while self.waiting:
            work, then = self.waiting.pop(0)
            try:
                result = work()
            except ssl.SSLError as error:
                result = error
            then(result)


class Place:
    """The connections over TLS of a server."""

    def __init__(self, made, options=None, source=None, by_hand=True, certificate=None, make_above=Recorder):
        self.loop = asyncio.get_running_loop()
        self.made = made
        options = options or TlsOptions()
        certificate = certificate or made.server()
        files = made.write(certificate, f"place-{certificate.certificate.serial_number}")
        self.loaded = load(CertificateFiles(*files), options)
        self.certificates = Certificates(options, source)
        self.certificates.add(self.loaded)
        self.connections = Connections()
        self.shared = TlsConnections(
            self.certificates, self.connections, self.loop, seconds=SECONDS, most_at_once=MOST, threads=2
        )
        if by_hand:
            self.shared.threads = Jobs()
        self.above = []

        def new():
            self.above.append(make_above())
            return self.above[-1]

        self.new_connection = over_tls(self.shared, new)

    @property
    def jobs(self):
        return self.shared.threads

    def connect(self, context=None, **of_context):
        return Peer(self, context or self.made.client_context(**of_context))


class Peer:
    """A client and its transport."""

    def __init__(self, place, context, name="localhost", session=None):
        self.place = place
        self.transport = FakeTransport(place.loop, place.new_connection())
        self.connection = self.transport.protocol
        self.client = MemoryClient(context, name, session)
        self._taken = 0

    @property
    def state(self):
        return self.connection._state

    @property
    def above(self):
        return self.connection._above

    def new(self):
        """Return what has come since the last call."""
        new = self.transport.received[self._taken :]
        self._taken = len(self.transport.received)
        return new

    def step(self):
        """Take what has come, and answer; returns whether there was anything."""
        answer = self.client.step(self.new())
        if answer:
            self.transport.send(answer)
        return bool(answer)

    def shake(self):
        """Complete the handshake."""
        while self.step():
            self.place.jobs.do()
        assert self.client.shaken
        assert self.state is TlsState.OPEN
        return self

    def say(self, data):
        self.transport.send(self.client.say(data))

    def hear(self):
        """Return all that the server has sent."""
        self.client.step(self.new())
        return self.client.heard


@pytest.fixture
def play(certificates, caplog):
    caplog.set_level(logging.DEBUG, "snakepit.server")

    def play(scenario, **how):
        async def main():
            errors = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
            place = Place(certificates, **how)
            with held_to(TlsConnection, TLS) as moves:
                await scenario(place)
                await turn()
                for connection in list(place.connections.open):
                    connection.abort()
                await turn()
            place.shared.close()
            assert len(place.shared.handshakes) == 0
            assert place.connections.open == set()
            assert errors == []
            return moves

        return asyncio.run(main(), loop_factory=HandLoop)

    return play


def refused(peer):
    """Go on with a handshake, and return why the client gives it up, if it does."""
    try:
        while peer.step():
            peer.place.jobs.do()
    except ssl.SSLError as error:
        return error.reason
    return ""


# -- the handshake


@VERSIONS
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_handshake(play, certificates, version, kind):
    async def scenario(place):
        peer = place.connect(most=version)
        assert peer.state is TlsState.HELLO
        assert (len(place.shared.handshakes), len(place.connections.open)) == (1, 1)
        peer.shake()
        assert place.jobs.count == 1, "only the first step is costly"
        assert len(place.shared.handshakes) == 0
        assert peer.client.session.version() == version.name.replace("_", ".")
        peer.say(b"request")
        assert peer.above.heard == b"request"
        peer.above.transport.write(b"answer")
        peer.above.transport.writelines([b" and", b" more"])
        assert peer.hear() == b"answer and more"
        assert place.connections.open == set(), "the one above takes care of itself"

    play(scenario, certificate=certificates.server(kind=kind))


@VERSIONS
def test_a_handshake_byte_by_byte(play, version):
    async def scenario(place):
        peer = place.connect(most=version)
        data = peer.client.step()
        while data:
            for at in range(len(data)):
                peer.transport.send(data[at : at + 1])
                place.jobs.do()
            data = peer.client.step(peer.new())
        assert place.jobs.count == 1
        for each in peer.client.say(b"request"):
            peer.transport.send(bytes((each,)))
        assert peer.above.heard == b"request"

    play(scenario)


@VERSIONS
def test_data_behind_the_last_step(play, certificates, version):
    """A client may send its request with the end of its handshake (TLS 1.3), or before a slow step is over."""

    async def scenario(place):
        peer = place.connect(most=version, shows=place.made.client())
        while not peer.client.shaken:
            place.jobs.do()
            data = peer.client.step(peer.new())
            if peer.client.shaken:
                data += peer.client.say(b"request")
            if data:
                peer.transport.send(data)
        if version is TLS_1_3:
            assert peer.state is TlsState.STEPPING, "the client's certificate is being checked"
            peer.transport.send(peer.client.say(b" and more"))
        place.jobs.do()
        assert peer.above.heard == (b"request and more" if version is TLS_1_3 else b"request")

    play(scenario, options=TlsOptions(client_certificates=ssl.CERT_OPTIONAL, client_ca=certificates.ca_file))


def test_a_second_hello_is_computed_in_a_thread_too(play):
    """Where the server can't use the client's key, it asks for another one, and all the work is in the second step."""

    async def scenario(place):
        context = place.made.client_context()
        place.loaded.context.set_ecdh_curve("secp384r1")
        peer = place.connect(context)
        peer.step()
        place.jobs.do()
        assert peer.state is TlsState.SHAKING
        assert b"\xcf\x21\xad\x74" in peer.transport.received
        peer.shake()
        assert place.jobs.count == 2

    play(scenario)


def test_a_record_that_is_longer_than_the_hello(play):
    """OpenSSL waits for the rest of it, and computes only then."""

    async def scenario(place):
        peer = place.connect(most=TLS_1_2)
        hello = peer.client.step()
        longer = hello[:3] + (int.from_bytes(hello[3:5]) + 1).to_bytes(2) + hello[5:]
        peer.transport.send(longer)
        place.jobs.do()
        assert peer.state is TlsState.SHAKING
        peer.transport.send(b"\x00")
        place.jobs.do()
        assert place.jobs.count == 2

    play(scenario)


def test_threads_compute_it(play):
    async def scenario(place):
        peer = place.connect()
        while peer.step():
            await until(lambda: peer.state not in (TlsState.STEPPING, TlsState.HELLO), pause=0)
        peer.say(b"request")
        assert peer.above.heard == b"request"
        assert [thread.name for thread in threading.enumerate() if "tls" in thread.name] == ["snakepit-tls-1"]

    play(scenario, by_hand=False)


@VERSIONS
def test_a_session_that_is_resumed(play, version):
    async def scenario(place):
        context = place.made.client_context(most=version)
        first = place.connect(context).shake()
        first.above.transport.write(b"answer")
        assert first.hear() == b"answer"
        second = Peer(place, context, session=first.client.session.session).shake()
        assert second.client.session.session_reused

    play(scenario)


@pytest.mark.parametrize("name", ["localhost", None])
def test_what_is_known_of_a_session(play, name):
    async def scenario(place):
        context = place.made.client_context()
        peers = [Peer(place, context, name).shake() for _ in range(2)]
        one, other = (peer.connection.get_extra_info("snakepit_tls") for peer in peers)
        assert one is other, "it is made once"
        assert one[0]["server_cert"] == place.made.server().pem
        assert one[1]["SSL_PROTOCOL"] == "TLSv1.3"
        connection = peers[0].connection
        assert connection.get_extra_info("sslcontext") is place.loaded.context
        assert connection.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert connection.get_extra_info("peername") == ("10.0.0.1", 5000)
        assert connection.get_extra_info("nothing", 7) == 7
        new = place.made.ca.issue("localhost")
        files = new.write(place.made.folder, "another")
        place.certificates.add(load(CertificateFiles(*files), TlsOptions()), place.loaded)
        later = place.connect().shake().connection.get_extra_info("snakepit_tls")
        assert later[0]["server_cert"] == new.pem

    play(scenario)


def test_before_a_handshake_nothing_is_known(play):
    async def scenario(place):
        connection = place.connect().connection
        assert connection.get_extra_info("sslcontext") is None
        assert connection.get_extra_info("snakepit_tls") is None
        assert connection.get_extra_info("peername") == ("10.0.0.1", 5000)
        assert connection.get_protocol() is connection

    play(scenario)


@pytest.mark.parametrize("required", [ssl.CERT_OPTIONAL, ssl.CERT_REQUIRED])
def test_certificates_of_clients(play, certificates, required):
    async def scenario(place):
        peer = place.connect(shows=place.made.client()).shake()
        assert place.jobs.count == 2, "to check it is costly, too"
        told = peer.connection.get_extra_info("snakepit_tls")
        assert told[1]["SSL_CLIENT_S_DN"] == "CN=alice,C=CH,O=Tests"
        other = place.connect(shows=place.made.client(common_name="bob")).shake()
        assert other.connection.get_extra_info("snakepit_tls")[1]["SSL_CLIENT_S_DN"] == "CN=bob"
        none = place.connect()
        assert ("CERTIFICATE_REQUIRED" in refused(none)) is (required is ssl.CERT_REQUIRED)
        assert none.state is (TlsState.OPEN if required is ssl.CERT_OPTIONAL else TlsState.CLOSED)
        if required is ssl.CERT_OPTIONAL:
            assert none.connection.get_extra_info("snakepit_tls")[1]["SSL_CLIENT_VERIFY"] == "NONE"

    play(scenario, options=TlsOptions(client_certificates=required, client_ca=certificates.ca_file))


@VERSIONS
def test_a_client_that_is_not_believed(play, certificates, version, caplog):
    async def scenario(place):
        peer = place.connect(most=version, shows=place.made.strange_client)
        assert "ALERT_UNKNOWN_CA" in refused(peer)
        assert peer.state is TlsState.CLOSED
        assert place.above == []
        assert peer.transport.closing
        assert not peer.transport.aborted

    play(scenario, options=TlsOptions(client_certificates=ssl.CERT_REQUIRED, client_ca=certificates.ca_file))
    assert "TLS handshake with 10.0.0.1:5000 failed: [SSL: CERTIFICATE_VERIFY_FAILED]" in caplog.text


def test_a_version_that_is_too_old(play, caplog):
    async def scenario(place):
        peer = place.connect(most=TLS_1_2)
        peer.step()
        place.jobs.do()
        assert peer.state is TlsState.CLOSED
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            peer.step()

    play(scenario, options=TlsOptions(least=TLS_1_3))
    assert "UNSUPPORTED_PROTOCOL" in caplog.text


@pytest.mark.parametrize("offered", [["h2"], ["ftp", "h2", "x\n"]])
def test_a_client_that_speaks_something_else(play, certificates, offered, caplog):
    caplog.set_level(logging.INFO)

    async def scenario(place):
        peer = Peer(place, certificates.client_context(protocols=offered))
        peer.step()
        assert peer.state is TlsState.CLOSED
        assert place.above == []
        with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
            peer.step()

    play(scenario)
    shown = ", ".join(offered).encode("unicode_escape").decode()
    assert f"The client 10.0.0.1:5000 speaks over TLS only {shown}, and not HTTP/1.1" in caplog.messages


@pytest.mark.parametrize("offered", [["h2", "http/1.1"], ["http/1.0"]])
def test_a_client_that_speaks_more(play, certificates, offered):
    async def scenario(place):
        peer = Peer(place, certificates.client_context(protocols=offered))
        peer.step()
        place.jobs.do()
        peer.shake()
        assert peer.state is TlsState.OPEN

    play(scenario)


def test_a_handshake_that_takes_too_long(play, caplog):
    async def scenario(place):
        silent, begun, waiting = place.connect(), place.connect(), place.connect()
        begun.transport.send(begun.client.step()[:20])
        waiting.step()
        place.jobs.do()
        assert [peer.state for peer in (silent, begun, waiting)] == [TlsState.HELLO, TlsState.HELLO, TlsState.SHAKING]
        await advance(SECONDS - 1)
        assert not silent.transport.closing
        await advance(2)
        for peer in (silent, begun, waiting):
            assert peer.state is TlsState.CLOSED
            assert peer.transport.aborted
        assert place.connections.open == set()

    play(scenario)
    assert caplog.text.count("No TLS handshake with 10.0.0.1:5000 in time") == 3


def test_the_time_is_over_while_a_step_is_computed(play):
    async def scenario(place):
        peer = place.connect()
        peer.step()
        assert peer.state is TlsState.STEPPING
        await advance(SECONDS + 1)
        assert peer.state is TlsState.CLOSED
        place.jobs.do()
        assert peer.state is TlsState.CLOSED
        assert place.above == []

    play(scenario)


def test_too_many_at_once(play, caplog):
    async def scenario(place):
        peers = [place.connect() for _ in range(MOST + 2)]
        for peer in peers:
            peer.step()
        assert [peer.state is TlsState.STEPPING for peer in peers] == [True] * MOST + [False] * 2
        assert all(peer.transport.aborted for peer in peers[MOST:])
        place.jobs.do()
        place.connect().shake()

    play(scenario)
    assert caplog.text.count("Too many TLS handshakes at once: that with 10.0.0.1:5000 is refused") == 2


def test_more_than_a_client_can_have_to_say(play):
    async def scenario(place):
        peer = place.connect()
        peer.step()
        for _ in range(4):
            peer.transport.send(bytes(16_000))
            assert peer.state is TlsState.STEPPING
        peer.transport.send(bytes(16_000))
        assert peer.state is TlsState.CLOSED
        assert peer.transport.aborted

    play(scenario)


@pytest.mark.parametrize("leaves", ["client_closes", "client_resets"])
@pytest.mark.parametrize("when", ["at once", "in the hello", "while it is computed", "in the middle"])
def test_a_client_that_leaves_in_a_handshake(play, when, leaves):
    async def scenario(place):
        peer = place.connect()
        if when == "in the hello":
            peer.transport.send(peer.client.step()[:100])
        elif when != "at once":
            peer.step()
        if when == "in the middle":
            place.jobs.do()
        getattr(peer.transport, leaves)()
        await turn()
        assert peer.state is TlsState.CLOSED
        assert place.connections.open == set()
        place.jobs.do()
        assert place.above == []

    play(scenario)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_handshakes(play, seed):
    """What comes instead of the right message ends the connection, and nothing else."""
    chance = random.Random(seed)

    async def scenario(place):
        for _ in range(20):
            peer = place.connect(most=chance.choice([TLS_1_2, TLS_1_3]))
            data = peer.client.step()
            while data:
                damaged = bytearray(data)
                for _ in range(chance.randint(0, 2)):
                    damaged[chance.randrange(len(damaged))] = chance.randrange(256)
                if chance.random() < 0.2:
                    damaged += chance.randbytes(chance.randint(1, 40))
                peer.transport.send(bytes(damaged))
                place.jobs.do()
                try:
                    data = peer.client.step(peer.new())
                except ssl.SSLError:
                    break
            peer.transport.client_closes()
            await turn()
            assert peer.state is TlsState.CLOSED

    play(scenario)


# -- what is no TLS


def test_plain_http(play, caplog):
    async def scenario(place):
        peer = place.connect()
        peer.transport.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert peer.state is TlsState.HALF_CLOSED
        head, _, body = peer.transport.received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"content-length: %d\r\n" % len(body) in head
        assert body == b"This port speaks HTTPS only: use https:// instead.\n"
        assert peer.transport.eof_written
        peer.transport.send(b"more of it")
        peer.transport.client_closes()
        await turn()
        assert peer.state is TlsState.CLOSED

    play(scenario)
    assert "Bad request from 10.0.0.1:5000: what came is not TLS (400)" in caplog.text
    assert "in time" not in caplog.text


def test_plain_http_of_a_client_that_stays(play, caplog):
    async def scenario(place):
        peer = place.connect()
        peer.transport.send(b"GET / HTTP/1.1\r\n\r\n")
        await advance(SECONDS + 1)
        assert peer.state is TlsState.CLOSED

    play(scenario)
    assert "in time" not in caplog.text


@pytest.mark.parametrize("garbage", [b"\x00", b"\x16\x02", b"\x80\x2e\x01", b"\xff" * 1000, b"\x16\x03\x01\x00\x00"])
def test_garbage(play, garbage):
    async def scenario(place):
        peer = place.connect()
        peer.transport.send(garbage)
        assert peer.state is TlsState.CLOSED
        assert peer.transport.received == b""

    play(scenario)


# -- data


@VERSIONS
def test_much_data_both_ways(play, version):
    async def scenario(place):
        peer = place.connect(most=version).shake()
        much = random.Random(1).randbytes(1_000_000)
        sent = peer.client.say(much)
        for at in range(0, len(sent), 200_000):
            peer.transport.send(sent[at : at + 200_000])
        assert peer.above.heard == much
        for data in (much, bytearray(much), memoryview(much), much[:65_536], much[:65_537]):
            peer.client.heard = b""
            peer.above.transport.write(data)
            assert peer.hear() == bytes(data)

    play(scenario)


def test_openssl_holds_little(play):
    """Its memory would stay as large as the largest piece was, for as long as the connection lives."""

    async def scenario(place):
        peer = place.connect().shake()
        connection = peer.connection
        held = []
        peer.above.data_received = lambda data: held.append(connection._received.pending)
        peer.transport.send(peer.client.say(bytes(500_000)))
        assert max(held) < 70_000
        writes = []
        peer.transport.write = writes.append
        peer.above.transport.write(bytes(500_000))
        assert max(map(len, writes)) < 90_000
        assert sum(map(len, writes)) > 500_000

    play(scenario)


@pytest.mark.parametrize("piece", [100, 5_000, 20_000, 300_000])
def test_reading_is_paused(play, piece):
    async def scenario(place):
        peer = place.connect().shake()
        peer.above.takes = 20_000
        data = random.Random(2).randbytes(250_000)
        sent = peer.client.say(data)
        for at in range(0, len(sent), piece):
            peer.transport.send(sent[at : at + piece])
        rounds = 0
        while len(peer.above.heard) < len(data):
            assert peer.above.takes <= len(peer.above.heard) < peer.above.takes + 16_384 + piece
            assert not peer.connection.is_reading()
            await turn()
            peer.above.takes += 20_000
            peer.connection.resume_reading()
            await turn()
            rounds += 1
        assert rounds > 5
        assert peer.above.heard == data

    play(scenario)


def test_nothing_is_read_while_paused(play):
    async def scenario(place):
        peer = place.connect().shake()
        peer.connection.pause_reading()
        peer.say(b"request")
        await turn()
        assert peer.above.heard == b""
        peer.connection.resume_reading()
        peer.connection.resume_reading()
        await turn()
        assert peer.above.heard == b"request"

    play(scenario)


def test_a_client_that_does_not_read(play):
    async def scenario(place):
        peer = place.connect().shake()
        peer.transport.client_stops_reading()
        transport = peer.above.transport
        transport.write(bytes(500_000))
        assert peer.above.told == ["made", "pause"]
        assert transport.get_write_buffer_size() > 500_000
        peer.transport.client_reads_again()
        assert peer.above.told == ["made", "pause", "resume"]
        assert len(peer.hear()) == 500_000

    play(scenario)


def test_what_was_received_is_read_before_the_end(play):
    async def scenario(place):
        peer = place.connect().shake()
        sent = peer.client.say(b"request") + peer.client.say_goodbye()
        peer.transport.send(sent)
        assert peer.above.heard == b"request"
        assert peer.above.told == ["made", "eof"]
        assert peer.state is TlsState.CLOSED
        await turn()
        assert peer.above.told == ["made", "eof", "lost"]
        peer.hear()
        assert peer.client.ended

    play(scenario)


@pytest.mark.parametrize("leaves", ["client_closes", "client_resets"])
def test_a_client_that_just_closes(play, leaves):
    async def scenario(place):
        peer = place.connect().shake()
        getattr(peer.transport, leaves)()
        await turn()
        assert peer.above.told[-1] == "lost"
        assert peer.state is TlsState.CLOSED
        peer.above.transport.write(b"too late")
        peer.above.transport.close()
        peer.above.transport.abort()

    play(scenario)


@VERSIONS
def test_damaged_data(play, version, caplog):
    async def scenario(place):
        peer = place.connect(most=version).shake()
        data = bytearray(peer.client.say(b"request"))
        data[-1] ^= 1
        peer.transport.send(bytes(data))
        assert peer.above.heard == b""
        assert peer.state is TlsState.CLOSED
        assert peer.transport.aborted

    play(scenario)
    assert "TLS with 10.0.0.1:5000 failed" in caplog.text


@pytest.mark.parametrize("seed", range(10))
def test_anything_instead_of_data(play, seed):
    chance = random.Random(seed)

    async def scenario(place):
        for _ in range(20):
            peer = place.connect(most=chance.choice([TLS_1_2, TLS_1_3])).shake()
            peer.say(b"request")
            kind = chance.choice([20, 21, 22, 23, 24, 255])
            peer.transport.send(bytes((kind, 3, 3, 0, 30)) + chance.randbytes(30) + chance.randbytes(50))
            peer.transport.client_closes()
            await turn()
            assert peer.above.heard == b"request"
            assert peer.state is TlsState.CLOSED
            assert peer.above.told[-1] == "lost"

    play(scenario)


def keys_written(place, folder):
    """Return a client that is connected, and what makes its records."""
    context = place.made.client_context()
    context.keylog_filename = str(folder / "keys")
    peer = place.connect(context).shake()
    return peer, KeyChanges(peer.client.session, folder / "keys")


def test_a_client_that_changes_its_keys(play, tmp_path):
    """It reads that the server has changed its own."""

    async def scenario(place):
        peer, by_hand = keys_written(place, tmp_path)
        peer.transport.send(by_hand.say(b"one ") + by_hand.change() + by_hand.say(b"two ") + by_hand.say(b"three"))
        assert peer.above.heard == b"one two three"
        peer.above.transport.write(b"answer")
        assert peer.hear() == b"answer"
        for _ in range(20):
            peer.transport.send(by_hand.change())
            peer.above.transport.write(b".")
        assert peer.hear() == b"answer" + b"." * 20

    play(scenario)


def test_a_client_that_changes_its_keys_all_the_time(play, tmp_path, caplog):
    """Each change is answered: a client that does not read the answers would have them pile up."""
    caplog.set_level(logging.INFO, "snakepit.server")

    async def scenario(place):
        peer, by_hand = keys_written(place, tmp_path)
        peer.transport.client_stops_reading()
        most = 0
        for _ in range(400):
            peer.transport.send(b"".join(by_hand.change() for _ in range(10)) + by_hand.say(b"x"))
            most = max(most, peer.transport.get_write_buffer_size())
        assert peer.transport.aborted
        assert 60_000 < most < 70_000

    play(scenario)
    assert "10.0.0.1:5000 changes its keys too often" in caplog.text


# -- the ends


@VERSIONS
def test_close(play, version):
    async def scenario(place):
        peer = place.connect(most=version).shake()
        peer.above.transport.write(b"answer")
        peer.above.transport.close()
        assert peer.connection.is_closing()
        assert peer.hear() == b"answer"
        assert peer.client.ended, "the client knows that this is all"
        assert not peer.transport.aborted
        peer.above.transport.close()
        peer.above.transport.write(b"too late")
        peer.above.transport.write_eof()
        await turn()
        assert peer.above.told == ["made", "lost"]

    play(scenario)


@VERSIONS
def test_this_side_is_closed_alone(play, version):
    async def scenario(place):
        peer = place.connect(most=version).shake()
        transport = peer.above.transport
        assert transport.can_write_eof()
        transport.write(b"answer")
        transport.write_eof()
        assert not transport.can_write_eof()
        assert peer.hear() == b"answer"
        assert peer.client.ended
        assert peer.transport.eof_written
        assert not peer.transport.closing
        transport.write(b"too late")
        transport.write_eof()
        peer.transport.send(b"any bytes")
        assert peer.above.heard == b"any bytes", "they are only counted"
        peer.transport.client_closes()
        await turn()
        assert peer.above.told == ["made", "eof", "lost"]

    play(scenario)


def test_closed_after_this_side(play):
    async def scenario(place):
        peer = place.connect().shake()
        peer.above.transport.write_eof()
        peer.above.transport.close()
        await turn()
        assert peer.above.told == ["made", "lost"]

    play(scenario)


def at_hello(peer):
    pass


def at_stepping(peer):
    peer.step()


def at_shaking(peer):
    peer.step()
    peer.place.jobs.do()


def at_open(peer):
    peer.shake()


def at_half_closed(peer):
    peer.shake().connection.write_eof()


def at_closed(peer):
    peer.shake().connection.close()


STATES = [at_hello, at_stepping, at_shaking, at_open, at_half_closed, at_closed]


@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("state", STATES)
def test_ended_in_each_state(play, state, how):
    async def scenario(place):
        peer = place.connect()
        state(peer)
        getattr(peer.connection, how)()
        assert peer.state is TlsState.CLOSED
        assert peer.transport.aborted is (how == "abort")
        await turn()
        assert place.connections.open == set()
        place.jobs.do()
        assert len(place.above) == (1 if state in STATES[3:] else 0)
        for above in place.above:
            assert above.told == ["made", "lost"]

    play(scenario)


def test_what_a_transport_is_asked(play):
    async def scenario(place):
        peer = place.connect().shake()
        connection = peer.connection
        other = Recorder()
        connection.set_protocol(other)
        assert connection.get_protocol() is other
        peer.say(b"request")
        assert other.heard == b"request"
        connection.writelines([b"an", b"swer"])
        connection.write(b"")
        assert peer.hear() == b"answer"

    play(scenario)


def test_data_for_the_next_protocol(play):
    """Two records come at once, and after the first one another protocol is spoken."""

    async def scenario(place):
        peer = place.connect().shake()
        first, second = peer.above, Recorder()
        first.data_received = lambda data: peer.connection.set_protocol(second)
        peer.transport.send(peer.client.say(b"first") + peer.client.say(b"second"))
        assert second.heard == b"second"

    play(scenario)


# -- the server stops


def test_drained_before_anything_came(play):
    async def scenario(place):
        silent, begun, shaking = place.connect(), place.connect(), place.connect()
        begun.transport.send(begun.client.step()[:50])
        shaking.step()
        place.jobs.do()
        place.connections.drain(gently=True)
        assert not silent.transport.closing
        place.connections.drain(gently=False)
        assert silent.transport.aborted
        assert not begun.transport.closing
        shaking.shake()
        await advance(client_limits.LAST_HANDSHAKE_SECONDS + 0.5)
        assert begun.transport.aborted, "it has got its time"
        assert not shaking.transport.closing, "the one above cares for itself"

    play(scenario)


def test_connected_while_the_server_stops(play):
    """The system had accepted it before, so its request may be on its way."""

    async def scenario(place):
        place.connections.drain(gently=False)
        silent, quick = place.connect(), place.connect()
        quick.shake()
        await advance(client_limits.LAST_REQUEST_SECONDS + 0.25)
        assert silent.transport.aborted
        assert not quick.transport.closing

    play(scenario)


def test_plain_http_while_the_server_stops(play):
    async def scenario(place):
        peer = place.connect()
        peer.transport.send(b"GET / HTTP/1.1\r\n\r\n")
        place.connections.drain(gently=False)
        await advance(client_limits.LAST_HANDSHAKE_SECONDS + 0.5)
        assert peer.transport.aborted

    play(scenario)


# -- certificates that have to be made


class Source:
    """Makes certificates when the test says so."""

    def __init__(self):
        self.future = None
        self.challenge = None

    def wanted(self, name):
        self.future = asyncio.get_running_loop().create_future() if name == "made.test" else None
        return self.future

    async def wait_challenge(self, name):
        return self.challenge if name == "checked.test" else None


def test_a_certificate_that_has_to_be_made(play, certificates):
    source = Source()

    async def scenario(place):
        peer = Peer(place, certificates.client_context(), "made.test")
        peer.step()
        assert peer.state is TlsState.CHOOSING
        await turn()
        new = certificates.server("made.test").write(certificates.folder, "made")
        place.certificates.add(load(CertificateFiles(*new), TlsOptions()))
        source.future.set_result(None)
        await turn()
        assert peer.state is TlsState.STEPPING
        place.jobs.do()
        peer.shake()

    play(scenario, source=source)


@pytest.mark.parametrize("name", ["made.test", "unknown.test"])
def test_a_certificate_that_can_not_be_had(play, certificates, name, caplog):
    source = Source()

    async def scenario(place):
        peer = Peer(place, certificates.client_context(), name)
        peer.step()
        await turn()
        if source.future is not None:
            source.future.set_result(None)
            await turn()
        assert peer.state is TlsState.CLOSED
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            peer.step()

    play(scenario, source=source)
    assert f"No certificate for {name}, which 10.0.0.1:5000 asks for" in caplog.text


def test_a_client_that_does_not_wait_for_its_certificate(play, certificates):
    source = Source()

    async def scenario(place):
        peer = Peer(place, certificates.client_context(), "made.test")
        peer.step()
        await turn()
        peer.transport.client_closes()
        await turn()
        source.future.set_result(None)
        await turn()
        assert peer.state is TlsState.CLOSED

    play(scenario, source=source)


def test_a_ca_that_checks_a_name(play, certificates):
    source = Source()

    async def scenario(place):
        challenge = certificates.server("checked.test").write(certificates.folder, "challenge")
        source.challenge = load(CertificateFiles(*challenge), TlsOptions())
        source.challenge.context.set_alpn_protocols([ACME_PROTOCOL])
        context = certificates.client_context(protocols=[ACME_PROTOCOL])
        peer = Peer(place, context, "checked.test")
        peer.step()
        await turn()
        place.jobs.do()
        while peer.step():
            place.jobs.do()
        assert peer.client.shaken
        assert peer.client.session.selected_alpn_protocol() == ACME_PROTOCOL
        assert peer.state is TlsState.CLOSED
        assert place.above == []
        other = Peer(place, context, "localhost")
        other.step()
        await turn()
        assert other.state is TlsState.CLOSED

    play(scenario, source=source)


# -- with HTTP above


@pytest.fixture
def speak(certificates):
    """Play with connections that speak HTTP over TLS."""

    def speak(scenario, echoes=True):
        async def main():
            world = World(echoes, {})
            place = Place(certificates, make_above=world.http.new_connection)
            place.connections = place.shared.connections = world.http.connections
            with (
                held_to(TlsConnection, TLS),
                held_to(Connection, CONNECTION),
                held_to(WebSocketConnection, WEBSOCKET),
            ):
                await scenario(world, place)
                world.http.close()
                await turn()
            place.shared.close()
            assert world.http.connections.open == set()

        asyncio.run(main(), loop_factory=HandLoop)

    return speak


@VERSIONS
def test_requests(speak, version):
    async def scenario(world, place):
        peer = place.connect(most=version).shake()
        for number in range(3):
            peer.client.heard = b""
            peer.say(request(f"/{number}"))
            await turn()
            assert peer.hear().endswith(b"GET /%d " % number)
        assert world.app.exchange.endpoints[2] == "https"
        assert world.app.exchange.endpoints[4][1]["HTTPS"] == "on"

    speak(scenario)


def test_many_requests_at_once(speak):
    async def scenario(world, place):
        peer = place.connect().shake()
        peer.say(b"".join(request(f"/{number}") for number in range(200)))
        await turn()
        assert peer.hear().count(b"HTTP/1.1 200 ") == 200

    speak(scenario)


def test_a_large_body(speak):
    async def scenario(world, place):
        peer = place.connect().shake()
        body = random.Random(3).randbytes(700_000)
        peer.transport.send(peer.client.say(request("/", "POST", body=body)))
        await turn()
        assert peer.hear().endswith(body)

    speak(scenario)


def test_a_bad_request_is_answered_before_the_end(speak):
    """This side is closed first, so that the client can read the answer."""

    async def scenario(world, place):
        peer = place.connect().shake()
        peer.say(b"nonsense\r\n\r\n")
        assert peer.hear().startswith(b"HTTP/1.1 400 ")
        assert peer.client.ended
        assert peer.state is TlsState.HALF_CLOSED
        peer.transport.client_closes()
        await turn()
        assert peer.state is TlsState.CLOSED

    speak(scenario)


def test_the_hello_of_the_helpers_is_one():
    assert client_hello()[:1] == b"\x16"

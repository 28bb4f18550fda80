"""TLS on accepted sockets: between the socket and the connection that speaks HTTP.

`TlsConnection` is the protocol of a socket's transport, and itself the transport of the connection above it. OpenSSL
works on memory, as in asyncio's own TLS, with these differences: what a client says first is read before OpenSSL gets
it, to choose a certificate, or to wait for one; the costly step of a handshake runs in a thread, so that requests of
others go on meanwhile; what speaks no TLS gets an answer that says so; one side can be closed alone; and there is less
of it to run through for each request. It is the same code with every event loop.
"""

import asyncio
import ssl
from typing import Any, cast

from snakepit.server.lifecycle import TLS, TlsState, advance
from snakepit.server.net import client_limits, transport
from snakepit.server.net.tls_connections import TlsConnections
from snakepit.server.net.transport import NewConnection
from snakepit.tls.client_hello import ClientHello, NotTls, read_client_hello
from snakepit.tls.contexts import ACME_PROTOCOL, LoadedCertificate

_RECORD = 16_384
"""Bytes; what one record may hold (RFC 8446 section 5.1), and so the most that one read returns."""

_MOST_EARLY = 64 * 1024
"""Bytes that may come while a step of the handshake is computed; a client has to wait for our part of it."""

_PIECE = 64 * 1024
"""Bytes that OpenSSL gets, or makes, at once. Its memory grows to the most that it has held, and stays so large."""

_MOST_UNASKED = 64 * 1024
"""Bytes that a client may have the server send beside what the connection above writes: answers to changes of its keys.
A client that does without reading them would fill the memory."""

_RETRY = b"\xcf\x21\xad\x74"
"""How the random of a ServerHello begins that asks for another ClientHello (RFC 8446 section 4.1.3)."""

_RANDOM_AT = 11
"""Where it begins: behind the record's head, that of the message, and the version."""

_UNRECOGNIZED_NAME = b"\x15\x03\x03\x00\x02\x02\x70"
"""A record with a fatal alert (RFC 8446 section 6, RFC 6066 section 3): there is no certificate for the name."""

_NO_PROTOCOL = b"\x15\x03\x03\x00\x02\x02\x78"
"""The same: there is no protocol that both speak (RFC 7301 section 3.2). Python can't have OpenSSL say that."""

_SPOKEN = frozenset((b"http/1.1", b"http/1.0", ACME_PROTOCOL.encode("ascii")))
"""The protocols of which a client has to offer one, if it offers any."""

_NOT_HTTPS = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 51\r\n"
    b"connection: close\r\n\r\nThis port speaks HTTPS only: use https:// instead.\n"
)

_MOST_SHOWN = 4
"""Protocols of such a client that the log names."""

_HELLO, _STEPPING, _SHAKING = TlsState.HELLO, TlsState.STEPPING, TlsState.SHAKING  # for speed
_OPEN, _HALF_CLOSED, _CLOSED = TlsState.OPEN, TlsState.HALF_CLOSED, TlsState.CLOSED

_NO_BYTES = bytearray()


class TlsConnection(asyncio.Protocol, asyncio.Transport):
    """One accepted socket that speaks TLS."""

    __slots__ = (
        "_above",
        "_answered",
        "_certificate",
        "_early",
        "_encrypted",
        "_make_above",
        "_raw",
        "_reading",
        "_received",
        "_session",
        "_shared",
        "_state",
        "_unasked",
    )

    _raw: asyncio.Transport
    _session: ssl.SSLObject
    _received: ssl.MemoryBIO
    _encrypted: ssl.MemoryBIO

    def __init__(self, shared: TlsConnections, make_above: NewConnection) -> None:
        super().__init__()
        self._shared = shared
        self._make_above = make_above
        self._state = _HELLO
        self._early = bytearray()  # what has come, and OpenSSL has not got yet
        self._answered = False  # our part of the handshake is made, which is what is costly
        self._unasked = 0  # bytes
        self._reading = True
        self._above: asyncio.Protocol | None = None
        self._certificate: LoadedCertificate | None = None  # once there is one, there is a session

    # -- asyncio.Protocol: from the socket ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast("asyncio.Transport", transport)
        shared = self._shared
        shared.connections.add(self)
        shared.handshakes.add(self)
        if shared.connections.stopping:
            shared.loop.call_later(client_limits.LAST_REQUEST_SECONDS, self.drain)
        if shared.admission is not None and shared.admission.refuses_early(transport):
            self.abort()

    def data_received(self, data: bytes) -> None:
        state = self._state
        if state is _OPEN:
            if len(data) > _PIECE or self._early:
                self._early = self._early + data  # another object: that of all connections stays empty
            else:
                self._received.write(data)
            self._read()
        elif state is _HALF_CLOSED:  # whoever is above only counts it
            if self._above is not None:
                self._above.data_received(data)
        elif state is not _CLOSED:
            self._early += data
            if state is _HELLO:
                self._read_hello()
            elif state is _SHAKING:
                self._to(_STEPPING)
                self._step()
            elif len(self._early) > _MOST_EARLY:
                self.abort()

    def eof_received(self) -> bool:
        # also where the client has not said before that it closes (RFC 8446 section 6.1): HTTP knows where its messages
        # end, and many clients just close
        if self._above is not None:
            self._above.eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._state is not _CLOSED:
            self._to(_CLOSED)
        self._shared.handshakes.discard(self)
        if self._above is None:
            self._shared.connections.discard(self)
        else:
            self._above.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._above is not None:
            self._above.pause_writing()

    def resume_writing(self) -> None:
        if self._above is not None:
            self._above.resume_writing()

    # -- asyncio.Transport: from the connection above ----------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if self._certificate is None:
            return self._raw.get_extra_info(name, default)
        match name:
            case "sslcontext":
                return self._certificate.context
            case "ssl_object":
                return self._session
            case transport.TLS:
                return self._shared.describe(self._session, self._certificate)
            case _:
                return self._raw.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._above = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self if self._above is None else self._above

    def is_closing(self) -> bool:
        return self._state is _CLOSED or self._raw.is_closing()

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        self._reading = False
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._reading = True
        self._raw.resume_reading()
        if self._state is _OPEN and (self._received.pending or self._session.pending() or self._early):
            self._shared.loop.call_soon(self._read)

    def write(self, data: Any) -> None:
        if self._state is not _OPEN:
            return
        session, encrypted = self._session, self._encrypted
        try:
            size = session.write(data if len(data) <= _PIECE else memoryview(data)[:_PIECE])
            while size < len(data):
                if encrypted.pending >= _PIECE:
                    self._raw.write(encrypted.read())
                data = memoryview(data)[size:]
                size = session.write(data[:_PIECE])
        except ssl.SSLError as error:
            self._fail(error)
            return
        self._raw.write(encrypted.read())

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._raw.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._raw.set_write_buffer_limits(high, low)

    def can_write_eof(self) -> bool:
        return self._state is _OPEN and self._raw.can_write_eof()

    def write_eof(self) -> None:
        """Close this side: the client reads that nothing more comes."""
        if self._state is _OPEN:
            self._say_goodbye()
            self._to(_HALF_CLOSED)
            self._raw.write_eof()

    def close(self) -> None:
        if self._state is _OPEN:
            self._say_goodbye()
        if self._state is not _CLOSED:
            self._to(_CLOSED)
            self._raw.close()

    def abort(self) -> None:
        if self._state is not _CLOSED:
            self._to(_CLOSED)
        self._raw.abort()

    # -- for the set of connections, while there is none above -------------------------------------------------------

    @property
    def phase(self) -> str:
        return "handshake"

    def drain(self, gently: bool = False) -> None:
        """Close, unless something has come: a client that has begun a handshake has a request. It gets less time."""
        if gently:
            return
        if self._state is _HELLO and not self._early:
            self.abort()
        else:
            self._shared.loop.call_later(client_limits.LAST_HANDSHAKE_SECONDS, self._end_handshake)

    def _end_handshake(self) -> None:
        if self._above is None:
            self.handshake_too_slow()

    @property
    def may_yield(self) -> bool:
        """Whether it may be closed for another: the client has not completed its handshake."""
        return self._above is None

    def yield_place(self) -> None:
        """Close the socket at once, since another client needs its place."""
        self._shared.handshakes.discard(self)
        self.abort()

    def handshake_too_slow(self) -> None:
        """Close: the time for a handshake is over."""
        if self._state is not _HALF_CLOSED:
            self._shared.log.debug("No TLS handshake with %s in time", self._peer)
        self.abort()

    # -- its own -----------------------------------------------------------------------------------------------------

    def _to(self, state: TlsState) -> None:
        self._state = advance(TLS, self._state, state)

    @property
    def _peer(self) -> str:
        return transport.name_of_client(transport.direct_endpoints(self._raw))

    @property
    def _local_address(self) -> str:
        name = self._raw.get_extra_info("sockname")
        return str(name[0]).removeprefix("::ffff:") if isinstance(name, tuple) else ""  # IPv4 on an IPv6 socket

    def _read_hello(self) -> None:
        try:
            hello = read_client_hello(self._early)
        except NotTls as error:
            self._refuse(error)
            return
        if hello is None:
            return
        if hello.protocols and _SPOKEN.isdisjoint(hello.protocols):
            offered = b", ".join(hello.protocols[:_MOST_SHOWN]).decode("latin-1").encode("unicode_escape").decode()
            self._shared.log.info("The client %s speaks over TLS only %.100s, and not HTTP/1.1", self._peer, offered)
            self._raw.write(_NO_PROTOCOL)
            self.close()
            return
        found = self._shared.certificates.find(hello, self._local_address)
        if found is None:
            self._to(TlsState.CHOOSING)
            self._shared.waiting.begin(self._wait_for_certificate(hello))
        else:
            self._begin(found)

    def _refuse(self, error: NotTls) -> None:
        """Close a connection that does not speak TLS; if it may be HTTP, say what would be right."""
        self._shared.log.info("Bad request from %s: %s (400)", self._peer, error)
        if self._early[:1].isalpha() and self._raw.can_write_eof():
            self._raw.write(_NOT_HTTPS)
            self._to(_HALF_CLOSED)
            self._raw.write_eof()  # until the client closes, too, or its time for a handshake is over
        else:
            self.close()

    async def _wait_for_certificate(self, hello: ClientHello) -> None:
        found = await self._shared.certificates.wait_for(hello, self._local_address)
        if self._state is not TlsState.CHOOSING:
            return
        if found is not None:
            self._begin(found)
            return
        name = hello.server_name or self._local_address
        self._shared.log.info("No certificate for %s, which %s asks for", name, self._peer)
        self._raw.write(_UNRECOGNIZED_NAME)
        self.close()

    def _begin(self, certificate: LoadedCertificate) -> None:
        """Begin the handshake."""
        if self._shared.threads.busy >= self._shared.most_at_once:
            self._shared.log.info("Too many TLS handshakes at once: that with %s is refused", self._peer)
            self.abort()
            return
        self._certificate = certificate
        self._received, self._encrypted = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = certificate.context.wrap_bio(self._received, self._encrypted, server_side=True)
        self._to(_STEPPING)
        self._step()

    def _step(self) -> None:
        """Compute a step of the handshake. After our answer it takes little, unless a certificate is to be checked."""
        self._received.write(bytes(self._early))
        self._early.clear()
        session = self._session
        if not self._answered or (self._certificate is not None and self._certificate.asks_clients):
            self._shared.threads.run(session.do_handshake, self._stepped)
            return
        try:
            session.do_handshake()
        except ssl.SSLError as error:
            self._stepped(error)
        else:
            self._stepped(None)

    def _stepped(self, result: Exception | None) -> None:
        """Go on from a step of the handshake."""
        if self._state is not _STEPPING:
            return
        if self._encrypted.pending:
            flight = self._encrypted.read()
            self._answered = not flight.startswith(_RETRY, _RANDOM_AT)
            self._raw.write(flight)
        if result is None:
            self._open()
        elif not isinstance(result, ssl.SSLWantReadError):
            self._shared.log.debug("TLS handshake with %s failed: %s", self._peer, result)
            self.close()
        elif self._early:
            self._step()
        else:
            self._to(_SHAKING)

    def _open(self) -> None:
        """Let the connection above begin: the handshake is complete."""
        shared = self._shared
        self._to(_OPEN)
        shared.handshakes.discard(self)
        if self._session.selected_alpn_protocol() == ACME_PROTOCOL:  # nothing more is to come (RFC 8737 section 3)
            self.close()
            return
        above = self._above = self._make_above()
        above.connection_made(self)
        shared.connections.discard(self)
        if not self._early:
            self._early = _NO_BYTES
        self._read()

    def _read(self) -> None:
        """Give the connection above what has come for it."""
        session, received = self._session, self._received
        while self._reading and self._state is _OPEN:
            if not (received.pending or session.pending()):
                if not self._early:
                    break
                self._feed()
            try:
                data = session.read(_RECORD)
            except ssl.SSLWantReadError:
                continue  # it has taken all that it had
            except ssl.SSLError as error:
                self._fail(error)
                return
            above = self._above
            assert above is not None, "it is there as long as the state is OPEN"
            if not data:  # the client closes (RFC 8446 section 6.1)
                above.eof_received()
                self.close()
                return
            above.data_received(data)
        if self._encrypted.pending and self._state is _OPEN:  # the client has changed its keys (RFC 8446 section 4.6.3)
            self._unasked += self._encrypted.pending
            self._raw.write(self._encrypted.read())
            if self._unasked > _MOST_UNASKED:
                self._shared.log.info("%s changes its keys too often", self._peer)
                self.abort()

    def _feed(self) -> None:
        """Give OpenSSL some more of what came."""
        early = self._early
        self._received.write(bytes(early[:_PIECE]))
        if len(early) > _PIECE:
            del early[:_PIECE]
        else:
            self._early = _NO_BYTES

    def _fail(self, error: ssl.SSLError) -> None:
        if isinstance(error, ssl.SSLZeroReturnError):
            self.close()
            return
        self._shared.log.debug("TLS with %s failed: %s", self._peer, error)
        self.abort()

    def _say_goodbye(self) -> None:
        """Tell the client that nothing more comes (RFC 8446 section 6.1)."""
        try:
            self._session.unwrap()
        except ssl.SSLError:
            pass  # it wants the client's goodbye, too
        if self._encrypted.pending:
            self._raw.write(self._encrypted.read())


def over_tls(shared: TlsConnections, make_above: NewConnection) -> NewConnection:
    """Return what makes a connection that speaks TLS below those that are made here."""
    return lambda: TlsConnection(shared, make_above)

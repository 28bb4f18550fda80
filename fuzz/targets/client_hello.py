"""ClientHello: each beginning of it is read alike, and the name is the one that OpenSSL finds."""

import ssl

from fuzz.target import Fault, expect
from snakepit.tls.client_hello import LARGEST, ClientHello, NotTls, host_name, read_client_hello

type Outcome = ClientHello | str | None
"""None: more has to come. A text: it is refused."""


def check(data: bytes) -> None:
    """Read each beginning of the bytes: once there is an outcome, it stays; and compare with OpenSSL's."""
    decided: Outcome = None
    ends = range(len(data) + 1) if len(data) < 200 else (*range(50), len(data) // 2, len(data) - 1, len(data))
    for end in ends:
        outcome = _read(data[:end])
        if decided is None:
            decided = outcome
        else:
            same = isinstance(outcome, str) if isinstance(decided, str) else outcome == decided
            expect(same, "read otherwise when more came", decided, outcome)
    if isinstance(decided, ClientHello):
        name = decided.server_name
        expect(name == host_name(name.encode()) and len(name) <= 253 and name == name.lower(), "an odd name", name)
    expect(decided is not None or len(data) < LARGEST * 8, "waits for ever", len(data))
    for name in _names_by_openssl(data):
        if isinstance(decided, str) and "can't have 0 bytes" in decided:
            continue  # OpenSSL takes empty records, which nobody may send (RFC 8446 section 5.1)
        expect(isinstance(decided, ClientHello), "OpenSSL reads it", name, decided)
        assert isinstance(decided, ClientHello)
        expected = host_name((name or "").encode("utf-8", "surrogateescape"))
        expect(decided.server_name == expected, "OpenSSL finds another name", decided, name)


def _read(data: bytes) -> Outcome:
    try:
        return read_client_hello(data)
    except NotTls as error:
        return str(error)


def _names_by_openssl(data: bytes) -> list[str | None]:
    """Return the name in the ClientHello, if OpenSSL takes it for one."""
    _NAMES.clear()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    incoming.write(data)
    try:
        _CONTEXT.wrap_bio(incoming, outgoing, server_side=True).do_handshake()
    except (ssl.SSLError, UnicodeError):
        pass
    return _NAMES.copy()


_NAMES: list[str | None] = []
_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
_CONTEXT.sni_callback = lambda connection, name, context: _NAMES.append(name)


def _hello(name: str | None, *protocols: str) -> bytes:
    """Make the ClientHello of Python's own client."""
    context = ssl.create_default_context()
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(protocols)
    outgoing = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def _small(name: bytes, suites: bytes = b"\xc0\x2f") -> bytes:
    """Make the smallest ClientHello with a name, of TLS 1.2."""
    names = b"\x00" + len(name).to_bytes(2) + name
    names = len(names).to_bytes(2) + names
    extensions = b"\x00\x00" + len(names).to_bytes(2) + names + b"\x00\x10\x00\x05\x00\x03\x02h2"
    hello = b"\x03\x03" + bytes(32) + b"\x00" + len(suites).to_bytes(2) + suites + b"\x01\x00"
    hello += len(extensions).to_bytes(2) + extensions
    return b"\x16\x03\x01" + (len(hello) + 4).to_bytes(2) + b"\x01" + len(hello).to_bytes(3) + hello


def _in_records(record: bytes, size: int) -> bytes:
    message = record[5:]
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2) + piece for piece in pieces)


SEEDS = [
    _small(b"example.com"),
    _small(b"EXAMPLE.com.", b"\xc0\x2f" * 40),
    _in_records(_small(b"a.b"), 20),
    _hello("example.com", "h2", "http/1.1"),
    _hello(None),
    b"GET / HTTP/1.1\r\n",
]
WORDS = [
    *(
        b"\x16\x03\x01",
        b"\x16\x03\x03",
        b"\x00\x00",
        b"\x00\x10",
        b"\x00\x2b",
        b"example.com",
        b".",
        b"\x00",
        b"\xff\xff",
    ),
    *(b"\x01\x00\x00", b"\x02h2", b"\x08http/1.1", b"xn--", b"_", b"*"),
]
FAULTS = [
    Fault(
        "tls/client_hello.py",
        "    at += 2 + _number(hello, at)  # cipher suites\n",
        "    at += 2 + _number(hello, at) % 64  # cipher suites\n",
    ),
    Fault(
        "tls/client_hello.py", "            if len(message) >= whole:\n", "            if len(message) >= whole - 1:\n"
    ),
    Fault(
        "tls/client_hello.py",
        "    except IndexError:\n        return ClientHello()\n",
        "    except KeyError:\n        return ClientHello()\n",
    ),
]

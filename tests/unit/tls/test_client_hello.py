"""tls.client_hello: what clients say first, as OpenSSL says it, in pieces, and damaged."""

import ssl
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tls_peers import client_hello

from snakepit.tls.client_hello import LARGEST, MOST_RECORDS, ClientHello, NotTls, host_name, read_client_hello


@cache
def hello(name="www.example.com", protocols=("h2", "http/1.1"), most=ssl.TLSVersion.TLSv1_3):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.maximum_version = most
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return client_hello(context, name)


def record(message, kind=22):
    return bytes((kind, 3, 1)) + len(message).to_bytes(2) + message


def in_records(data, size):
    """Spread a ClientHello over records of this size."""
    message = data[5:]
    return b"".join(record(message[at : at + size]) for at in range(0, len(message), size))


def openssl_reads(data, certificate_files):
    """Return the server's name that OpenSSL finds in a ClientHello."""
    found = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate_files)
    context.sni_callback = lambda session, name, context: found.append(name)
    received = ssl.MemoryBIO()
    session = context.wrap_bio(received, ssl.MemoryBIO(), server_side=True)
    received.write(data)
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return found[0]


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("protocols", [(), ("http/1.1",), ("acme-tls/1",), ("h2", "http/1.1")])
@pytest.mark.parametrize("name", ["www.example.com", "localhost", "xn--bcher-kva.example", "a_b.example", None])
def test_those_of_openssl(name, protocols, most):
    expected = ClientHello(name or "", tuple(each.encode() for each in protocols))
    assert read_client_hello(hello(name, protocols, most)) == expected


@pytest.mark.parametrize("name", ["www.example.com", "WWW.Example.COM", None])
def test_openssl_finds_the_same_name(name, certificates):
    data = hello(name)
    files = certificates.write(certificates.server(), "hello")
    assert read_client_hello(data).server_name == (openssl_reads(data, files) or "").lower()


def test_in_every_split():
    data = hello()
    for end in range(len(data)):
        assert read_client_hello(data[:end]) is None
    assert read_client_hello(data + b"more") == read_client_hello(bytearray(data)) == read_client_hello(data)


@pytest.mark.parametrize("size", [30, 100, 250])
def test_in_several_records(size, certificates):
    data = in_records(hello(), size)
    assert read_client_hello(data) == read_client_hello(hello())
    for end in range(len(data)):
        assert read_client_hello(data[:end]) is None
    assert openssl_reads(data, certificates.write(certificates.server(), "hello")) == "www.example.com"


def test_in_too_many_records():
    """To read them again with each byte that comes would take long."""
    data = in_records(hello(), 1)
    with pytest.raises(NotTls, match=f"^the ClientHello comes in more than {MOST_RECORDS} records$"):
        read_client_hello(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"GET / HTTP/1.1\r\n", "what came is not TLS"),
        (b"\x80\x2e\x01\x00\x02", "what came is not TLS"),  # SSL 2
        (b"\x16\x02", "what came is not TLS"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "what came is not TLS"),  # an alert
        (b"\x16\x03\x01\x00\x00", "a TLS record can't have 0 bytes"),
        (b"\x16\x03\x01\x40\x01", "a TLS record can't have 16385 bytes"),
        (record(b"\x02\x00\x00\x01x"), "the first message of TLS is not a ClientHello"),
        (record(b"\x01\x00\x80\x01"), f"the ClientHello is longer than {LARGEST} bytes"),
        (record(b"\x01") + record(b"", 23), "what came is not TLS"),
    ],
)
def test_what_is_no_client_hello(data, message):
    with pytest.raises(NotTls, match=f"^{message}$"):
        read_client_hello(data)


def test_the_largest_one():
    """It comes in full records, as it has to."""
    body = hello()[9:]
    message = b"\x01" + LARGEST.to_bytes(3) + body + bytes(LARGEST - len(body))
    assert len(message) == 4 + LARGEST
    with pytest.raises(NotTls, match="longer"):
        read_client_hello(in_records(bytes(5) + message, 16_384))
    message = b"\x01" + (LARGEST - 4).to_bytes(3) + body + bytes(LARGEST - 4 - len(body))
    assert read_client_hello(in_records(bytes(5) + message, 16_384)).server_name == "www.example.com"


def extension(kind, value):
    return kind.to_bytes(2) + len(value).to_bytes(2) + value


def made(*extensions):
    """Make a ClientHello with these extensions."""
    joined = b"".join(extensions)
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00" + len(joined).to_bytes(2) + joined
    return record(b"\x01" + len(body).to_bytes(3) + body)


def server_name(name, kind=0):
    entry = bytes((kind,)) + len(name).to_bytes(2) + name
    return extension(0, len(entry).to_bytes(2) + entry)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (made(), ClientHello()),
        (made(server_name(b"a.example.")), ClientHello("a.example")),
        (made(server_name(b"a.example", kind=1)), ClientHello()),
        (made(server_name(b"")), ClientHello()),
        (made(server_name(b"a\0b")), ClientHello()),
        (made(extension(0, b"")), ClientHello()),
        (made(extension(16, b"\x00\x03\x02h2"), server_name(b"a.test")), ClientHello("a.test", (b"h2",))),
        (made(extension(16, b"\x00\x09\x02h2")), ClientHello("", (b"h2",))),  # OpenSSL refuses it
        (made(extension(16, b"\x00\x03\x02h2"), extension(0, b"\x00")), ClientHello("", (b"h2",))),
        (record(b"\x01\x00\x00\x00"), ClientHello()),
        # no extensions at all (RFC 5246 section 7.4.1.2)
        (record(b"\x01\x00\x00\x29\x03\x03" + bytes(32) + b"\x00\x00\x02\x00\x2f\x01\x00"), ClientHello()),
    ],
)
def test_made_ones(data, expected):
    assert read_client_hello(data) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"Example.COM", "example.com"),
        (b"example.com.", "example.com"),
        (b"example.com..", ""),
        (b".example.com", ""),
        (b"a b", ""),
        (b"*.example.com", ""),
        (b"../etc", ""),
        (b"b\xc3\xbccher.example", ""),
        (b"127.0.0.1", "127.0.0.1"),
        (b"-", ""),
        (b"x" * 254, ""),
        (b"x" * 253, "x" * 253),
    ],
)
def test_names_of_hosts(name, expected):
    assert host_name(name) == expected


def check(data):
    """Read what may be anything."""
    try:
        found = read_client_hello(data)
    except NotTls:
        return
    assert found is None or (found.server_name == host_name(found.server_name.encode("ascii")))


@given(st.binary(max_size=200))
def test_any_bytes(data):
    check(data)


@given(st.binary(max_size=200))
def test_any_bytes_in_a_client_hello(data):
    check(record(b"\x01" + len(data).to_bytes(3) + data))


@given(st.data())
def test_changed_ones(data):
    changed = bytearray(data.draw(st.sampled_from([hello(), hello(None, ()), in_records(hello(), 50)])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(changed) - 1))
        match data.draw(st.sampled_from(["change", "remove", "add", "cut"])):
            case "change":
                changed[at] = data.draw(st.integers(0, 255))
            case "remove" if len(changed) > 1:
                del changed[at]
            case "add":
                changed[at:at] = data.draw(st.binary(min_size=1, max_size=5))
            case "cut":
                del changed[at + 1 :]
    check(changed)

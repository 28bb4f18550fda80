"""snakepit.http.proxy_protocol: both forms, in pieces, and everything else refused."""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.errors import RemoteProtocolError
from snakepit.http.proxy_protocol import MOST_V1, MOST_V2, NOBODY, Reported, read_proxy_header

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
BEHIND = b"GET / HTTP/1.1\r\n"


def binary(data, command=0x21, kind=0x11):
    return SIGNATURE + bytes([command, kind]) + struct.pack("!H", len(data)) + data


def addresses(client, server):
    ips = [ipaddress.ip_address(ip).packed for ip, _ in (client, server)]
    return b"".join(ips) + struct.pack("!HH", client[1], server[1])


V4 = ("192.0.2.1", 5000), ("198.51.100.2", 443)
V6 = ("2001:db8::1", 5000), ("2001:db8::2", 443)
EXTRA = b"\x05\x00\x02id" + b"\x04\x00\x00"

GOOD = {
    "v1 of IPv4": (b"PROXY TCP4 192.0.2.1 198.51.100.2 5000 443\r\n", Reported(*V4)),
    "v1 of IPv6": (b"PROXY TCP6 2001:db8::1 2001:DB8:0::2 5000 443\r\n", Reported(*V6)),
    "v1 of low and high ports": (
        b"PROXY TCP4 255.255.255.255 0.0.0.0 0 65535\r\n",
        Reported(("255.255.255.255", 0), ("0.0.0.0", 65535)),
    ),
    "the longest v1": (
        b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535".ljust(MOST_V1 - 2, b" ") + b"\r\n",
        NOBODY,
    ),
    "v1 of an unknown client": (b"PROXY UNKNOWN\r\n", NOBODY),
    "v2 of IPv4": (binary(addresses(*V4)), Reported(*V4)),
    "v2 of IPv6": (binary(addresses(*V6), kind=0x21), Reported(*V6)),
    "v2 with more": (binary(addresses(*V4) + EXTRA), Reported(*V4)),
    "v2 of IPv6 with more": (binary(addresses(*V6) + EXTRA, kind=0x21), Reported(*V6)),
    "v2 of a Unix socket": (binary(b"/run/a".ljust(108, b"\0") * 2, kind=0x31), NOBODY),
    "v2 of an unknown client": (binary(b"", kind=0x00), NOBODY),
    "v2 of an unknown client with more": (binary(EXTRA, kind=0x00), NOBODY),
    "v2 of the proxy itself": (binary(b"", command=0x20, kind=0x00), NOBODY),
    "v2 of the proxy itself, with what is left out": (binary(addresses(*V4), command=0x20), NOBODY),
    "the longest v2": (binary(addresses(*V4).ljust(MOST_V2 - 16, b"\0")), Reported(*V4)),
}
good = pytest.mark.parametrize(("header", "reported"), GOOD.values(), ids=list(GOOD))


@good
def test_header(header, reported):
    assert read_proxy_header(header) == (reported, len(header))


@good
@pytest.mark.parametrize("behind", [BEHIND, b"\r\n", b"PROXY ", SIGNATURE, b"\x16\x03\x01\x00"])
def test_nothing_behind_it_counts(header, reported, behind):
    assert read_proxy_header(header + behind) == (reported, len(header))


@good
def test_it_may_come_in_pieces(header, reported):
    for size in range(len(header)):
        assert read_proxy_header(header[:size]) is None, size


BAD = {
    "a request": BEHIND,
    "a request that begins alike": b"PROPFIND / HTTP/1.1\r\n",
    "TLS": b"\x16\x03\x01\x02\x00",
    "an empty line and a request": b"\r\nGET / HTTP/1.1\r\n",
    "small letters": b"proxy TCP4 192.0.2.1 198.51.100.2 5000 443\r\n",
    "v1 of UDP": b"PROXY UDP4 192.0.2.1 198.51.100.2 5000 443\r\n",
    "v1 with LF": b"PROXY TCP4 192.0.2.1 198.51.100.2 5000 443\n",
    "v1 with CR inside": b"PROXY TCP4 192.0.2.1\r198.51.100.2 5000 443\r\n",
    "v1 with two spaces": b"PROXY TCP4  192.0.2.1 198.51.100.2 5000 443\r\n",
    "v1 with a space at the end": b"PROXY TCP4 192.0.2.1 198.51.100.2 5000 443 \r\n",
    "v1 with a tab": b"PROXY\tTCP4 192.0.2.1 198.51.100.2 5000 443\r\n",
    "v1 of one address": b"PROXY TCP4 192.0.2.1 5000 443\r\n",
    "v1 without ports": b"PROXY TCP4 192.0.2.1 198.51.100.2\r\n",
    "v1 with a port too large": b"PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
    "v1 with a port of zeros": b"PROXY TCP4 192.0.2.1 198.51.100.2 05000 443\r\n",
    "v1 with a signed port": b"PROXY TCP4 192.0.2.1 198.51.100.2 +5000 443\r\n",
    "v1 with a bad address": b"PROXY TCP4 192.0.2.256 198.51.100.2 5000 443\r\n",
    "v1 with zeros in an address": b"PROXY TCP4 192.0.02.1 198.51.100.2 5000 443\r\n",
    "v1 with a short address": b"PROXY TCP4 192.0.513 198.51.100.2 5000 443\r\n",
    "v1 with the wrong family": b"PROXY TCP4 2001:db8::1 2001:db8::2 5000 443\r\n",
    "v1 with the wrong family, the other way round": b"PROXY TCP6 192.0.2.1 198.51.100.2 5000 443\r\n",
    "v1 with a zone": b"PROXY TCP6 fe80::1%eth0 fe80::2 5000 443\r\n",
    "v1 of an unknown client, with a control character": b"PROXY UNKNOWN \x00\r\n",
    "v1 of something unknown": b"PROXY UNKNOWNS\r\n",
    "v1 too long": b"PROXY UNKNOWN ".ljust(MOST_V1 - 1, b" ") + b"\r\n",
    "v1 without end": b"PROXY TCP4 " + b"1" * MOST_V1,
    "v2 of another version": binary(addresses(*V4), command=0x31),
    "v2 of version 1": binary(addresses(*V4), command=0x11),
    "v2 of another command": binary(addresses(*V4), command=0x22),
    "v2 of UDP": binary(addresses(*V4), kind=0x12),
    "v2 of an unknown kind of socket": binary(addresses(*V4), kind=0x10),
    "v2 of an unknown family": binary(addresses(*V4), kind=0x41),
    "v2 too short": binary(addresses(*V4)[:-1]),
    "v2 of IPv6 too short": binary(addresses(*V4), kind=0x21),
    "v2 of a Unix socket too short": binary(b"\0" * 215, kind=0x31),
    "v2 too long": binary(addresses(*V4).ljust(MOST_V2 - 15, b"\0")),
    "v2 with a wrong signature": binary(addresses(*V4)).replace(b"QUIT", b"QUIZ"),
}


@pytest.mark.parametrize("data", BAD.values(), ids=list(BAD))
def test_anything_else_is_refused_however_it_comes(data):
    def read():
        for size in range(1, len(data) + 1):
            assert read_proxy_header(data[:size]) is None

    with pytest.raises(RemoteProtocolError) as caught:
        read()
    assert 0 < len(caught.value.reason) < 500


@pytest.mark.parametrize("data", [b"G", b"\x16", b"\n", b"\r\n\r\nx", b"PROXy", b"PRO "])
def test_what_can_be_no_header_is_refused_at_once(data):
    with pytest.raises(RemoteProtocolError):
        read_proxy_header(data)


def test_a_length_that_is_too_large_is_refused_before_it_comes():
    with pytest.raises(RemoteProtocolError):
        read_proxy_header(SIGNATURE + b"\x21\x11\xff\xff")


IPS = st.ip_addresses(v=4) | st.ip_addresses(v=6)
PORTS = st.integers(0, 65_535)


@given(st.sampled_from([4, 6]).flatmap(lambda v: st.tuples(*[st.ip_addresses(v=v)] * 2)), PORTS, PORTS, st.binary())
def test_what_a_proxy_writes_is_read(ips, client_port, server_port, behind):
    reported = Reported((str(ips[0]), client_port), (str(ips[1]), server_port))
    text = f"PROXY TCP{ips[0].version} {ips[0]} {ips[1]} {client_port} {server_port}\r\n".encode()
    kind = 0x11 if ips[0].version == 4 else 0x21
    data = binary(addresses(reported.client, reported.server), kind=kind)
    for header in (text, data):
        assert read_proxy_header(header + behind) == (reported, len(header))


@given(st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 1.1.1.1 ", SIGNATURE, SIGNATURE + b"\x21"]), st.binary())
def test_more_bytes_never_change_what_was_read(start, data):
    data = start + data
    before = None
    for size in range(len(data) + 1):
        try:
            read = read_proxy_header(data[:size])
        except RemoteProtocolError:
            read = "refused"
        assert before is None or read == before
        before = read

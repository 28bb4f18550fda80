"""snakepit.config.trusted_proxies: who is trusted, and how addresses of clients are written."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.config.trusted_proxies import Node, TrustedProxies, header_names
from snakepit.errors import ConfigError


@pytest.mark.parametrize(
    ("listed", "peer", "trusted"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("127.0.0.1", "::1", False),
        ("::1", "::1", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("10.0.0.0/8", "10.255.0.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.0.0.0/8", "::ffff:10.0.0.1", True),
        ("fe80::/10", "fe80::1%eth0", True),
        (" 10.0.0.1 , 10.0.0.2,", "10.0.0.2", True),
        ("10.0.0.1,10.0.0.2", "10.0.0.3", False),
        ("unix:", None, True),
        ("unix:", "127.0.0.1", False),
        ("127.0.0.1", None, False),
        ("*", None, True),
        ("*", "203.0.113.9", True),
        ("10.0.0.1,*", "203.0.113.9", True),
        ("", "127.0.0.1", False),
        ("", None, False),
        ("127.0.0.1", "no address", False),
    ],
)
def test_peers(listed, peer, trusted):
    assert TrustedProxies(listed).trusts(peer) is trusted


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ("nginx", "'nginx' is none of these"),
        ("127.0.0.1;10.0.0.1", "'127.0.0.1;10.0.0.1' is none of these"),
        ("unix", "'unix' is none of these"),
        ("10.0.0.0/33", "'10.0.0.0/33' is not a network, such as 10.0.0.0/8"),
        ("10.0.0.1/8", "'10.0.0.1/8' is an address within a network; for all of it, write 10.0.0.0/8"),
        ("/run/proxy.sock", "'/run/proxy.sock' is not a network"),
    ],
)
def test_what_is_no_list(listed, message):
    with pytest.raises(ConfigError, match=f"forwarded_allow_ips.*{message}"):
        TrustedProxies(listed)


def test_names_of_header_fields():
    assert header_names(" X-Forwarded-For ,forwarded,") == {b"x-forwarded-for", b"forwarded"}
    assert header_names("") == frozenset()
    with pytest.raises(ConfigError, match="trusted_proxy_headers: 'cf-connecting-ip' can't be read, only x-forw"):
        header_names("x-forwarded-for,CF-Connecting-IP")


addresses = st.ip_addresses().map(str)
ports = st.integers(0, 65_535)


@given(addresses, ports)
def test_every_address_is_read(address, port):
    ip = ipaddress.ip_address(address)
    proxies = TrustedProxies("203.0.113.0/24")
    bare = proxies.read_node(address)
    with_port = proxies.read_node(f"{address}:{port}" if ip.version == 4 else f"[{address}]:{port}")
    assert bare is not None
    assert ipaddress.ip_address(bare.address) == ip
    assert bare.port == 0
    assert with_port == Node(bare.address, port, bare.trusted)


@given(st.text() | st.text(alphabet="0123456789abcdef.:[]%_", max_size=70))
def test_what_is_read_is_an_address(text):
    node = TrustedProxies("10.0.0.0/8").read_node(text)
    if node is not None:
        assert "%" not in str(ipaddress.ip_address(node.address))
        assert 0 <= node.port <= 65_535


def test_what_is_too_long_is_not_remembered():
    proxies = TrustedProxies("10.0.0.1")
    assert proxies.read_node("1" * 100_000) is None
    assert proxies._remembered.cache_info().currsize == 0

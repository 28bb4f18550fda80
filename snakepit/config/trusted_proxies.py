"""Which proxies are trusted, and in which header fields: `--forwarded-allow-ips` and `--trusted-proxy-headers`."""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from snakepit.errors import ConfigError

type IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
type IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

PROXY_HEADERS = (
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "forwarded",
)
"""All header fields that can be read."""

_REMEMBERED = 4096
"""The most nodes that are cached: parsing one takes some microseconds, and the proxies' own come with each request."""

_LONGEST_NODE = 64
"""Characters. Nothing longer can be an address and a port, and cached texts must not be large."""

# 192.0.2.1, 192.0.2.1:80, [2001:db8::1], [2001:db8::1]:80, 2001:db8::1; the port may be obfuscated, as in RFC 7239 6.3.
# An IPv6 address with a zone ("%eth0") is refused: a proxy can't mean one, and its zone could be any text.
_PORT = r"(?::(?:([0-9]{1,5})|_[A-Za-z0-9._-]+))?"
_NODE = re.compile(rf"([0-9.]+){_PORT}|\[([0-9A-Fa-f:.]+)\]{_PORT}|([0-9A-Fa-f:.]+)")


@dataclass(frozen=True, slots=True)
class Node:
    """The peer of a proxy, as the proxy reports it: an IP address and a port, 0 if it is not reported."""

    address: str
    port: int
    trusted: bool
    """Whether it is a trusted proxy itself."""


class TrustedProxies:
    """The addresses, networks and Unix sockets from which proxy headers are believed.

    Args:
        text: what `--forwarded-allow-ips` says: IP addresses, networks ("10.0.0.0/8"), "unix:" for peers on a Unix
            socket, or "*" for every address, with commas between them. Raises ConfigError for anything else.
    """

    def __init__(self, text: str) -> None:
        self.all = False
        self._unix = False
        self._addresses: set[IpAddress] = set()
        self._networks: list[IpNetwork] = []
        for item in text.split(","):
            self._add(item.strip())
        self._remembered = lru_cache(_REMEMBERED)(self._read_node)

    def _add(self, item: str) -> None:
        if item == "*":
            self.all = True
        elif item == "unix:":
            self._unix = True
        elif "/" in item:
            self._networks.append(_network(item))
        elif item:
            self._addresses.add(_address(item))

    def trusts(self, peer: str | None) -> bool:
        """Tell whether the peer with this address is trusted; None: it is on a Unix socket."""
        if self.all or peer is None:
            return self.all or self._unix
        node = self.read_node(peer.partition("%")[0])
        return node is not None and node.trusted

    def _trusts(self, ip: IpAddress) -> bool:
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped  # how a socket for both families shows a client with an IPv4 address
        return self.all or ip in self._addresses or any(ip in network for network in self._networks)

    def read_node(self, text: str) -> Node | None:
        """Read an item of X-Forwarded-For, or the `for` of a Forwarded element; None if it is no IP address."""
        return self._remembered(text) if len(text) <= _LONGEST_NODE else None

    def _read_node(self, text: str) -> Node | None:
        found = _NODE.fullmatch(text)
        if found is None:
            return None
        v4, v4_port, v6, v6_port, bare_v6 = found.groups()
        port = int(v4_port or v6_port or 0)
        try:
            ip: IpAddress = ipaddress.IPv4Address(v4) if v4 else ipaddress.IPv6Address(v6 or bare_v6)
        except ValueError:
            return None
        return Node(str(ip), port, self._trusts(ip)) if port <= 65_535 else None


def header_names(text: str) -> frozenset[bytes]:
    """Return the header fields of a comma-separated list. Raises ConfigError for one that Snakepit does not read."""
    names = {name for item in text.split(",") if (name := item.strip().lower())}
    for name in sorted(names):
        if name not in PROXY_HEADERS:
            raise ConfigError(f"trusted_proxy_headers: {name!r} can't be read, only {', '.join(PROXY_HEADERS)}")
    return frozenset(name.encode() for name in names)


def _address(item: str) -> IpAddress:
    try:
        return ipaddress.ip_address(item)
    except ValueError:
        raise ConfigError(
            f"forwarded_allow_ips must be IP addresses, networks, 'unix:' or '*', with commas between them; "
            f"{item!r} is none of these"
        ) from None


def _network(item: str) -> IpNetwork:
    try:
        return ipaddress.ip_network(item)
    except ValueError:
        pass
    try:
        meant = ipaddress.ip_network(item, strict=False)
    except ValueError:
        raise ConfigError(f"forwarded_allow_ips: {item!r} is not a network, such as 10.0.0.0/8") from None
    raise ConfigError(f"forwarded_allow_ips: {item!r} is an address within a network; for all of it, write {meant}")

"""Reads what trusted proxies report about a request in header fields: its client, scheme and host, and the app's path.

Each proxy knows only the address that has connected to it, and appends it to the field. So X-Forwarded-For is read from
its end: the peer, which is trusted, wrote the last item; if that names a trusted proxy, that proxy wrote the item
before it, and so on. The first address that is not a trusted proxy's is the client. The items before it may be forged
by any client, so they are ignored. If all are trusted, the first item is the client.

The elements of Forwarded (RFC 7239) are read in the same way. X-Forwarded-Proto, -Host, -Port and -Prefix have no such
order: they count if all their values are the same.

An invalid value is ignored as a whole, and so is Forwarded if it contradicts the others. In that case the proxy has set
one of the two, and passed the other on, which any client may have forged. Since nearly all proxies set the others,
these are believed; if neither were, any client could make requests look like the proxy's own.
"""

import ipaddress
import re
from dataclasses import dataclass

from snakepit.config.trusted_proxies import Node, TrustedProxies
from snakepit.http.types import Address, Endpoints, Headers
from snakepit.server.net import forwarded

_FOR, _PROTO, _HOST, _PORT, _PREFIX = (
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-prefix",
)
_FORWARDED = b"forwarded"

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_PORTS = {"http": 80, "https": 443}

_HOST_AND_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]{1,255}))(?::([0-9]{1,5}))?")
_DIGITS = re.compile("[0-9]{1,5}")
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&*+=:@-]+)+")
"""An absolute path of characters that need no escape in URLs and HTML. With an empty segment it could begin with "//",
and URLs that an app makes of it would lead to another host."""


KEPT = 1024
"""The most reports that are remembered, which are nearly one for each client; then all are forgotten."""

LARGEST = 256
"""Bytes of the fields of a report that is remembered. Usual ones are below 100; a longer one may be of any length."""


@dataclass(slots=True)
class _Said:
    """The reported facts about a request; None for those that are not reported."""

    client: Address = None
    scheme: str | None = None
    host: str | None = None
    port: int | None = None  # that the client connected to


class ProxyHeaders:
    """A reader of the header fields with these names, in lower case, from trusted proxies."""

    def __init__(self, trusted: TrustedProxies, names: frozenset[bytes]) -> None:
        self._trusted = trusted
        self._names = names
        self._known: dict[tuple[tuple[bytes, bytes], ...], tuple[_Said, str | None]] = {}

    def trusts(self, peer: str | None) -> bool:
        """Tell whether this peer's fields are read; None: it is on a Unix socket."""
        return self._trusted.trusts(peer)

    def endpoints(self, headers: Headers, direct: Endpoints) -> Endpoints:
        """Return a request's endpoints, from its header fields and from those of the connection to the proxy."""
        names = self._names
        report = tuple([field for field in headers if field[0] in names])
        if not report:
            return direct
        said, prefix = self._known.get(report) or self._read(report)
        client, server, scheme, _, tls = direct
        scheme = said.scheme or scheme
        if said.host is not None:
            server = said.host, said.port or _PORTS[scheme]
        elif said.port is not None and server is not None:
            server = server[0], said.port
        return said.client or client, server, scheme, prefix, tls

    def _read(self, report: tuple[tuple[bytes, bytes], ...]) -> tuple[_Said, str | None]:
        """Read the fields of proxies, and remember what they say, with the path under which the app is published."""
        fields: dict[bytes, list[str]] = {}
        for name, value in report:
            fields.setdefault(name, []).append(value.decode("latin-1"))
        read = self._said(fields), _prefix(fields.get(_PREFIX, []))
        if sum(len(name) + len(value) for name, value in report) <= LARGEST:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[report] = read
        return read

    def _said(self, fields: dict[bytes, list[str]]) -> _Said:
        """Combine the facts of all fields."""
        said = _Said(self._client(fields.get(_FOR, [])), _scheme(_same(fields.get(_PROTO, []))))
        said.host, said.port = _host(_same(fields.get(_HOST, [])))
        port = _port(_same(fields.get(_PORT, [])))
        if _contradict(port, said.port):
            said.host = said.port = None
        else:
            said.port = port or said.port
        also = self._forwarded(fields.get(_FORWARDED, []))
        return said if also is None else _together(said, also)

    def _client(self, values: list[str]) -> Address:
        items = ",".join(values).split(",")
        address: Address = None
        for item in items if self._trusted.all else reversed(items):
            if not (text := item.strip(" \t")):
                continue  # RFC 9110 section 5.6.1: empty items do not count
            if (node := self._trusted.read_node(text)) is None:
                return None
            address = node.address, node.port
            if self._trusted.all or not node.trusted:
                break
        return address

    def _forwarded(self, values: list[str]) -> _Said | None:
        """Read the last element that a trusted proxy wrote; None if an element up to there is invalid."""
        said: _Said | None = None
        for value in values if self._trusted.all else reversed(values):
            elements = forwarded.elements(value)
            if elements is None:
                return None
            for element in elements if self._trusted.all else reversed(elements):
                node = self._trusted.read_node(element.get("for", ""))
                said = _element(element, node)
                if said is None or self._trusted.all or node is None or not node.trusted:
                    return said
        return said


def _element(element: dict[str, str], node: Node | None) -> _Said | None:
    """Read an element of Forwarded, with its node if it names one; None if it is invalid."""
    name, proto, host = element.get("for"), element.get("proto"), element.get("host")
    if node is None and name is not None and not forwarded.is_hidden(name):
        return None
    said = _Said((node.address, node.port) if node is not None else None)
    if proto is not None:
        said.scheme = _scheme(proto)
    if host is not None:
        said.host, said.port = _host(host)
    broken = (proto is not None and said.scheme is None) or (host is not None and said.host is None)
    return None if broken else said


def _together(said: _Said, also: _Said) -> _Said:
    """Combine both; only the first if they contradict each other."""
    (address, port), (other_address, other_port) = said.client or ("", 0), also.client or ("", 0)
    if (
        _contradict(address, other_address)
        or _contradict(port, other_port)
        or _contradict(said.scheme, also.scheme)
        or _contradict(said.host, also.host)
        or _contradict(said.port, also.port)
    ):
        return said
    address = address or other_address
    return _Said(
        (address, port or other_port) if address else None,
        said.scheme or also.scheme,
        said.host or also.host,
        said.port or also.port,
    )


def _contradict(one: object, other: object) -> bool:
    return bool(one and other and one != other)


def _same(values: list[str]) -> str:
    """Return the one value that all fields of a name have, and all items in them; empty if there is none."""
    items = {text.lower() for value in values for item in value.split(",") if (text := item.strip(" \t"))}
    return items.pop() if len(items) == 1 else ""


def _scheme(text: str) -> str | None:
    return _SCHEMES.get(text.lower())


def _host(text: str) -> tuple[str, int | None] | tuple[None, None]:
    """Read a host, and its port if there is one."""
    found = _HOST_AND_PORT.fullmatch(text)
    if found is None:
        return None, None
    address, name, digits = found.groups()
    port = _port(digits or "")
    if (digits is not None and port is None) or (address is not None and not _is_ipv6(address)):
        return None, None
    return (address or name).lower(), port


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _port(text: str) -> int | None:
    port = int(text) if _DIGITS.fullmatch(text) else 0
    return port if 0 < port <= 65_535 else None


def _prefix(values: list[str]) -> str | None:
    """Return the path under which a proxy publishes the app; None if it is not reported. Empty for "/"."""
    paths = {value.rstrip("/") for value in values}
    if len(paths) != 1:
        return None
    path = paths.pop()
    if not path:
        return "" if all(values) else None
    return path if _PATH.fullmatch(path) else None

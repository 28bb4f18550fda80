"""X-Forwarded-* and Forwarded: whatever a client writes before what a trusted proxy writes changes nothing."""

import ipaddress
import re

from fuzz.target import Choices, Fault, expect
from snakepit.config.trusted_proxies import PROXY_HEADERS, TrustedProxies
from snakepit.http.types import Endpoints, Headers
from snakepit.server.net.proxy_headers import ProxyHeaders

NAMES = tuple(name.encode() for name in PROXY_HEADERS)
TRUSTED = "10.0.0.0/8, 192.0.2.1, ::1"
DIRECT: Endpoints = ("10.0.0.1", 5000), ("127.0.0.1", 8000), "http", None, None
REAL = "203.0.113.9"

_HOST = re.compile(r"[a-z0-9._:-]{1,255}")
_PREFIX = re.compile(r"|(?:/[A-Za-z0-9._~!$&*+=:@-]+)+")


def check(data: bytes) -> None:
    """Read some fields: the name of each is a byte, its value is up to the next line end."""
    choices = Choices(data)
    trusts = TrustedProxies("*" if choices.flag() else TRUSTED)
    reader = ProxyHeaders(trusts, frozenset(NAMES))
    headers: Headers = [
        (NAMES[line[0] % len(NAMES)], line[1:].replace(b"\r", b"").strip(b" \t"))
        for line in choices.rest().split(b"\n")
        if line
    ]
    said = reader.endpoints(headers, DIRECT)
    _check(said)
    expect(reader.endpoints(headers, DIRECT) == said, "read otherwise again", said)
    expect(ProxyHeaders(trusts, frozenset()).endpoints(headers, DIRECT) == DIRECT, "read, and not wanted")
    if not trusts.all:
        _check_forged(headers, reader)


def _check(said: Endpoints) -> None:
    client, server, scheme, prefix, tls = said
    expect(client is not None and server is not None and tls is None, "endpoints are lost", said)
    assert client is not None
    assert server is not None
    expect(str(ipaddress.ip_address(client[0])) == client[0], "no address of a client", client)
    expect(0 <= client[1] < 65_536 and 0 < (server[1] or 0) < 65_536, "no port", said)
    expect(scheme in ("http", "https"), "no scheme", scheme)
    expect(_HOST.fullmatch(server[0]), "no host", server)
    expect(prefix is None or (_PREFIX.fullmatch(prefix) and "/../" not in f"{prefix}/"), "no path", prefix)


def _check_forged(headers: Headers, reader: ProxyHeaders) -> None:
    """Have a trusted proxy append the client that it sees to what that client has sent."""
    for name, appended in ((b"x-forwarded-for", REAL), (b"forwarded", f"for={REAL}")):
        of_client = [value for field, value in headers if field == name]
        in_one_field = (name, b", ".join([*of_client, appended.encode()]))
        in_another = [*((name, value) for value in of_client), (name, appended.encode())]
        for fields in ([in_one_field], in_another):
            client = reader.endpoints(fields, DIRECT)[0]
            # a malformed value is ignored as a whole
            allowed = {REAL} if name != b"forwarded" else {REAL, "10.0.0.1"}
            expect(client is not None and client[0] in allowed, "a forged client", client, fields)


SEEDS = [
    b"\x00\x00203.0.113.7, 10.2.3.4\n\x01https\n\x02a.example:8443\n\x03443\n\x04/app",
    b'\x00\x05for=203.0.113.7;proto=https;host="a.example:80", for="[2001:db8::1]:80";by=_x',
    b"\x01\x00[2001:db8::1]:80, unknown\n\x05for=_hidden, for=unknown;proto=wss",
    b'\x00\x001.2.3.4:99999, ::ffff:10.0.0.1,, 192.0.2.1\n\x01http, http\n\x04/a/b/\n\x05For="a\\"b"',
]
WORDS = [
    *(
        b"\n\x00",
        b"\n\x01",
        b"\n\x02",
        b"\n\x03",
        b"\n\x04",
        b"\n\x05",
        b"for=",
        b"proto=",
        b"host=",
        b"by=",
        b",",
        b";",
    ),
    *(
        b'"',
        b"\\",
        b"10.0.0.1",
        b"::1",
        b"[::1]",
        b":80",
        b"unknown",
        b"_x",
        b"//",
        b"/..",
        b"/.",
        b"https",
        b"*",
        b"%2f",
    ),
]
FAULTS = [
    Fault(
        "server/net/proxy_headers.py",
        "for item in items if self._trusted.all else reversed(items):",
        "for item in items:",
    ),
    Fault("server/net/proxy_headers.py", "(?:/(?!\\.{1,2}(?:/|\\Z))[A-Za", "(?:/[A-Za"),
    Fault(
        "server/net/proxy_headers.py",
        "            for element in elements if self._trusted.all else reversed(elements):\n",
        "            for element in elements:\n",
    ),
]
